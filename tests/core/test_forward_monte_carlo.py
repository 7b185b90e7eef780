"""Forward propagation (5), (6), (16)–(19), (34)–(36) against real random layers, drawn many times over."""

from __future__ import annotations

import numpy as np
import pytest

import convex_init_core as core
from tests.core.monte_carlo import assert_agrees, correlated_normals, off_diagonal_mean

BATCHES, ROWS, FAN_IN, UNITS = 32, 1500, 12, 6

SOLVED = core.solve(FAN_IN, "relu", 0.5, 1.0, bias_noise=0.3, skip_share=0.2)
NON_NEGATIVE = core.LayerStatistics(FAN_IN, 0.2, 0.09, bias_mean=-0.7, bias_variance=0.2)
SIGNED = core.LayerStatistics(FAN_IN, -0.15, 0.08, bias_mean=0.4, bias_variance=0.1)
CENTRED = core.LayerStatistics(FAN_IN, 0.0, 1.0 / FAN_IN)

ON_TARGET = core.SignalStatistics(0.0, 1.0, 0.5)
OFF_TARGET = core.SignalStatistics(-0.6, 1.7, 0.3)
SHIFTED = core.SignalStatistics(1.1, 0.4, 0.8)
UNCORRELATED = core.SignalStatistics(0.3, 1.0, 0.0)


def law_of(layer: core.LayerStatistics, distribution: str) -> core.Law:
    if distribution == "normal":
        return core.Normal(layer.weight_mean, layer.weight_std)
    return core.non_negative_law(distribution, layer.weight_mean, layer.weight_variance)


@pytest.mark.parametrize(
    ("distribution", "layer", "signal", "activation"),
    [
        ("log_normal", SOLVED, ON_TARGET, core.relu()),
        ("log_normal", SOLVED, OFF_TARGET, core.relu()),
        ("log_normal", NON_NEGATIVE, SHIFTED, core.softplus()),
        ("gamma", SOLVED, OFF_TARGET, core.leaky_relu(0.2)),
        ("gamma", NON_NEGATIVE, ON_TARGET, core.elu()),
        ("spike_and_slab", SOLVED, ON_TARGET, core.relu()),
        ("spike_and_slab", NON_NEGATIVE, OFF_TARGET, core.celu(0.5)),
        ("two_point", SOLVED, OFF_TARGET, core.relu()),
        ("two_point", NON_NEGATIVE, UNCORRELATED, core.relu()),
        ("normal", SIGNED, OFF_TARGET, core.leaky_relu(0.3)),
        ("normal", SIGNED, SHIFTED, core.relu()),
        ("normal", CENTRED, ON_TARGET, core.identity()),
        ("normal", CENTRED, OFF_TARGET, core.squared_softplus()),
    ],
)
def test_moments_of_a_layer(
    distribution: str, layer: core.LayerStatistics, signal: core.SignalStatistics, activation: core.Activation
) -> None:
    rng = np.random.default_rng(20230615)
    law, bias = law_of(layer, distribution), core.Normal(layer.bias_mean, layer.bias_std)
    found = np.empty((BATCHES, 3))
    for batch in found:
        features = activation(correlated_normals(rng, signal.mean, signal.variance, signal.correlation, ROWS, FAN_IN))
        weights = law.sample(core.NumpyDraw(rng, (ROWS, UNITS, FAN_IN)))
        out = np.einsum("rij,rj->ri", weights, features) + bias.sample(core.NumpyDraw(rng, (ROWS, UNITS)))
        out += np.sqrt(layer.skip_variance) * rng.standard_normal((ROWS, UNITS))  # what a free skip would add
        batch[:] = out.mean(), np.square(out).mean(), off_diagonal_mean(out)

    predicted = core.forward(signal, layer, activation)
    second = predicted.variance + predicted.mean**2
    cross = predicted.correlation * predicted.variance + predicted.mean**2
    for column, (expected, scale) in enumerate(((predicted.mean, second**0.5), (second, second), (cross, second))):
        assert_agrees(found[:, column], expected, scale, resolution=0.1)


def test_without_bias_weights_or_signal() -> None:
    layer = core.LayerStatistics(5, 0.3, 0.1)
    dead = core.forward(core.SignalStatistics(-1.0, 0.0, 0.0), layer, core.relu())
    assert dead == core.SignalStatistics(0.0, 0.0, 0.0)
    only_bias = core.forward(ON_TARGET, core.LayerStatistics(5, 0.0, 0.0, 0.2, 0.5), core.relu())
    assert only_bias == core.SignalStatistics(0.2, 0.5, 0.0)


def test_single_input_shares_one_feature_with_all_units() -> None:
    """Fan-in 1: s_i = w_i φ, so Cov[s₁, s₂] = μ_w² Var[φ], with no pairs of features in it."""
    out = core.forward(ON_TARGET, core.LayerStatistics(1, 0.7, 0.2), core.relu())
    variance = 0.5 - 1 / (2 * np.pi)
    assert out.correlation * out.variance == pytest.approx(0.49 * variance, rel=1e-12, abs=0.0)
    assert out.variance == pytest.approx(0.2 * 0.5 + 0.49 * variance, rel=1e-12, abs=0.0)
