"""Backward propagation (24)–(27) against real random layers; as the paper assumes, δ knows neither W nor s⁻."""

from __future__ import annotations

import math

import numpy as np
import pytest

import convex_init_core as core
from tests.core.monte_carlo import assert_agrees, correlated_normals, off_diagonal_mean

BATCHES, ROWS, FAN_IN, FAN_OUT = 32, 1500, 5, 9

POSITIVE = core.solve(FAN_IN, "relu", 0.5, 1.0)
SIGNED = core.LayerStatistics(FAN_IN, -0.2, 0.1)
GRADIENT = core.GradientStatistics(mean=0.3, second=1.4, cross=0.5)
CENTRED_GRADIENT = core.GradientStatistics(mean=0.0, second=1.0, cross=0.0)
ON_TARGET = core.SignalStatistics(0.0, 1.0, 0.5)
OFF_TARGET = core.SignalStatistics(-0.8, 2.0, 0.3)


@pytest.mark.parametrize(
    ("distribution", "layer", "signal", "gradient", "activation"),
    [
        ("log_normal", POSITIVE, ON_TARGET, GRADIENT, core.relu()),
        ("log_normal", POSITIVE, OFF_TARGET, CENTRED_GRADIENT, core.softplus(2.0)),
        ("gamma", POSITIVE, OFF_TARGET, GRADIENT, core.leaky_relu(0.2)),
        ("spike_and_slab", POSITIVE, ON_TARGET, CENTRED_GRADIENT, core.elu()),
        ("two_point", POSITIVE, OFF_TARGET, GRADIENT, core.relu()),
        ("normal", SIGNED, OFF_TARGET, GRADIENT, core.squared_softplus()),
        ("normal", SIGNED, ON_TARGET, GRADIENT, core.identity()),
    ],
)
def test_moments_of_the_gradient(
    distribution: str,
    layer: core.LayerStatistics,
    signal: core.SignalStatistics,
    gradient: core.GradientStatistics,
    activation: core.Activation,
) -> None:
    rng = np.random.default_rng(44)
    law: core.Law
    if distribution == "normal":
        law = core.Normal(layer.weight_mean, layer.weight_std)
    else:
        law = core.non_negative_law(distribution, layer.weight_mean, layer.weight_variance)
    spread = gradient.second - gradient.mean**2
    correlation = (gradient.cross - gradient.mean**2) / spread
    found = np.empty((BATCHES, 3))
    for batch in found:
        delta = correlated_normals(rng, gradient.mean, spread, correlation, ROWS, FAN_OUT)
        s = correlated_normals(rng, signal.mean, signal.variance, signal.correlation, ROWS, FAN_IN)
        weights = law.sample(core.NumpyDraw(rng, (ROWS, FAN_OUT, FAN_IN)))
        back = activation.derivative(s) * np.einsum("rij,ri->rj", weights, delta)
        batch[:] = back.mean(), np.square(back).mean(), off_diagonal_mean(back)

    predicted = core.backward(gradient, layer, FAN_OUT, signal, activation)
    for column, expected in enumerate((predicted.mean, predicted.second, predicted.cross)):
        scale = predicted.second**0.5 if column == 0 else predicted.second
        assert_agrees(found[:, column], expected, scale, resolution=0.1)


def test_centred_weights_keep_the_gradient_with_he_over_the_fan_out() -> None:
    """σ_w² = 2/M with ReLU: E[δ²] stays, as in He et al. for the backward pass."""
    layer = core.LayerStatistics(7, 0.0, 2.0 / 30)
    back = core.backward(CENTRED_GRADIENT, layer, 30, ON_TARGET, core.relu())
    assert (back.mean, back.cross) == (0.0, 0.0)
    assert back.second == pytest.approx(1.0, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("fan_out", [0, 0.9, -1, math.nan])
def test_fan_out_below_one(fan_out: float) -> None:
    with pytest.raises(ValueError, match=r"^fan_out must"):
        core.backward(GRADIENT, POSITIVE, fan_out, ON_TARGET, core.relu())
