"""The maps' derivatives against finite differences, and their conventions at 0."""

from __future__ import annotations

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.weights.positivity import Abs, Exp, Projection, Relu, Softplus, Square

MAPS = [
    Projection(),
    Relu(),
    Exp(),
    Softplus(),
    Softplus(beta=0.3),
    Softplus(0.2, 7.0),
    Square(0.5),
    Abs(),
    Exp(1 / 300),
]


@pytest.mark.parametrize("through", MAPS, ids=repr)
def test_against_central_differences(through: core.Positivity) -> None:
    raw = np.linspace(-6.0, 6.0, 120)  # not at 0
    h = 1e-5
    expected = (through.value(raw + h) - through.value(raw - h)) / (2.0 * h)
    scale = np.abs(through.value(raw)) + through.scale
    assert np.all(np.abs(through.derivative(raw) - expected) <= 1e-9 * scale * 50)


@pytest.mark.parametrize("through", MAPS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_shape_and_dtype(through: core.Positivity, dtype: type) -> None:
    raw = np.ones((2, 3), dtype=dtype)
    assert through.derivative(raw).shape == (2, 3)
    assert through.derivative(raw).dtype == dtype


@pytest.mark.parametrize(
    ("through", "at_zero"),
    [(Projection(), 1.0), (Relu(), 0.0), (Abs(), 0.0), (Square(), 0.0), (Exp(), 1.0), (Softplus(), 0.5)],
)
def test_at_zero(through: core.Positivity, at_zero: float) -> None:
    assert through.derivative(np.zeros(1)).tolist() == [at_zero]


def test_zero_is_trainable_only_where_the_map_says_so() -> None:
    """At a weight of 0, the raw image is finite and the derivative is not 0: true for the projection alone."""
    for through in (Projection(), Relu(), Abs(), Square()):
        raw = through.inverse(np.zeros(1))
        assert (through.derivative(raw)[0] != 0.0) == through.takes_zero


@pytest.mark.parametrize("beta", [1.0, 7.0])
def test_softplus_in_its_tails(beta: float) -> None:
    slope = Softplus(beta=beta).derivative(np.array([-700.0, -50.0, 50.0, 1e5]) / beta)
    np.testing.assert_allclose(slope, [np.exp(-700.0), np.exp(-50.0), 1.0, 1.0], rtol=1e-12)
