"""Properties of the convolution's map that need no sampling, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convex_init_core as core

LAYER = core.LayerStatistics(12, 0.2, 0.05, -0.3, 0.1, skip_variance=0.25)
FIELD = core.FieldStatistics(-0.2, same=np.array([1.3, 0.6, 0.2, 0.2, 0.6]), cross=np.array([0.5, 0.3, 0.1, 0.1, 0.3]))


@pytest.mark.parametrize("activation", [core.relu(), core.elu(), core.identity()], ids=str)
def test_kernel_of_one_tap_is_a_dense_layer_at_each_position(activation: core.Activation) -> None:
    found = core.forward_convolution(FIELD, LAYER, activation, (1,)).signal
    dense = core.forward(FIELD.signal, LAYER, activation)
    assert found.mean == pytest.approx(dense.mean, rel=1e-12, abs=0.0)
    assert found.variance == pytest.approx(dense.variance, rel=1e-12, abs=0.0)
    assert found.correlation == pytest.approx(dense.correlation, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("kernel_size", [(2,), (3,), (4,)])
def test_fully_correlated_positions_are_summed_like_one(kernel_size: tuple[int]) -> None:
    """A field that is constant over the grid: N inputs, of which every channel's taps are one and the same."""
    flat = core.FieldStatistics(0.0, np.full(4, 1.0), np.full(4, 0.5))
    taps = kernel_size[0]
    layer = core.LayerStatistics(3 * taps, 0.1, 0.02)
    found = core.forward_convolution(flat, layer, core.relu(), kernel_size)
    phi = core.feature_moments(core.relu(), 0.5)
    shared = (0.1 * taps) ** 2 * (3 * phi.variance + 6 * phi.covariance)
    np.testing.assert_allclose(found.cross, shared, rtol=1e-12)
    np.testing.assert_allclose(found.same, shared + 3 * taps * 0.02 * phi.second, rtol=1e-12)


def test_independent_positions_and_channels_are_a_dense_layer_of_independent_inputs() -> None:
    white = core.FieldStatistics(0.3, np.eye(6)[0] * 0.8, np.zeros(6))
    found = core.forward_convolution(white, LAYER, core.softplus(), (3,))
    dense = core.forward(core.SignalStatistics(0.3, 0.8, 0.0), LAYER, core.softplus())
    assert found.mean == pytest.approx(dense.mean, rel=1e-12, abs=0.0)
    assert found.signal.variance == pytest.approx(dense.variance, rel=1e-12, abs=0.0)
    assert found.signal.correlation == pytest.approx(dense.correlation, rel=1e-12, abs=0.0)


def test_two_dimensions_of_which_one_is_trivial() -> None:
    tall = core.FieldStatistics(FIELD.mean, FIELD.same[:, None], FIELD.cross[:, None])
    for dilation in (1, 2):
        expected = core.forward_convolution(FIELD, LAYER, core.relu(), (2,), dilation)
        found = core.forward_convolution(tall, LAYER, core.relu(), (2, 1), (dilation, 7))
        np.testing.assert_allclose(found.same[:, 0], expected.same, rtol=1e-13)
        np.testing.assert_allclose(found.cross[:, 0], expected.cross, rtol=1e-13)


def test_dead_field() -> None:
    dead = core.forward_convolution(core.FieldStatistics(0.5, np.zeros(5), np.zeros(5)), LAYER, core.relu(), (3,))
    dense = core.forward(core.SignalStatistics(0.5, 0.0, 0.0), LAYER, core.relu())
    assert dead.signal.variance == pytest.approx(dense.variance)
    np.testing.assert_allclose(dead.cross, 0.0, atol=1e-15)
    assert core.FieldStatistics(0.0, np.zeros(5), np.zeros(5)).signal == core.SignalStatistics(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "message"),
    [
        ((3, 3), 1, r"kernel_size \(3, 3\) needs one length for each of the 1 dimensions"),
        ((), 1, "kernel_size"),
        ((6,), 1, "kernel_size 6 with dilation 1 is longer than the grid's 5 in axis 0"),
        ((3,), 3, "kernel_size 3 with dilation 3 is longer"),
        ((0,), 1, "kernel_size must be at least 1"),
        ((3,), 0, "dilation must be at least 1"),
        ((5,), 1, "fan_in 12 is not a multiple of the kernel's 5 taps"),
    ],
)
def test_kernel_that_does_not_fit(kernel_size: tuple[int, ...], dilation: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        core.forward_convolution(FIELD, LAYER, core.relu(), kernel_size, dilation)


@pytest.mark.parametrize("fan_in", [2, 4.5])
def test_fan_in_that_is_no_number_of_channels(fan_in: float) -> None:
    with pytest.raises(ValueError, match="fan_in"):
        core.forward_convolution(FIELD, core.LayerStatistics(fan_in, 0.1, 0.1), core.relu(), (3,))


@pytest.mark.parametrize("kernel_size", [(2.0,), ("3",), (None,)])
def test_kernel_size_of_the_wrong_type(kernel_size: tuple[Any]) -> None:
    with pytest.raises(TypeError, match="kernel_size must be a whole number"):
        core.forward_convolution(FIELD, LAYER, core.relu(), kernel_size)
