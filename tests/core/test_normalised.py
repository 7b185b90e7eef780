"""Layers behind a normalisation, and residual sums, against simulation."""

from __future__ import annotations

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.methods.normalised import (
    expected_output,
    forward_normalised,
    forward_residual,
    normalised_recipe,
    participation,
    residual_gain,
    solve_normalised,
)
from tests.core.monte_carlo import assert_agrees

BATCHES = 32


def simulated(rng, layers, activation, correlation, width, samples, gain=1.0, residual=False):
    """Mean pairwise correlation over the data behind each layer, one draw of the weights; then of the residual sum."""
    shared = rng.standard_normal((samples, 1))
    s = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * rng.standard_normal((samples, width))
    start, found = s, []
    for layer in layers:
        law = core.non_negative_law("gamma", layer.weight_mean, layer.weight_variance)
        s = activation(s) @ law.sample(core.NumpyDraw(rng, (width, width)))
        s = (s - s.mean(0)) / s.std(0)
        found.append(mean_correlation(s))
    if residual:
        total = start + gain * s
        return [total.var(0).mean(), pooled_correlation(total)]
    return found


def mean_correlation(s):
    sums = (s / s.std(0)).sum(1)
    count = s.shape[1]
    return (sums.var() / count - 1.0) / (count - 1.0)


def pooled_correlation(s):
    variance, count = s.var(0).mean(), s.shape[1]
    return (s.sum(1).var() / count - variance) / (count - 1.0) / variance


@pytest.mark.parametrize("activation", [core.relu(), core.leaky_relu(0.2), core.softplus()], ids=str)
@pytest.mark.parametrize("correlation", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("fan_in", [4, 50, 5000])
def test_the_solved_layer_keeps_the_correlation(activation, correlation, fan_in):
    layer = solve_normalised(fan_in, activation, correlation)
    out = forward_normalised(core.SignalStatistics(0.0, 1.0, correlation), layer, activation)
    assert (out.mean, out.variance) == (0.0, 1.0)
    if 1.26 < participation(layer) < 0.49 * (fan_in + 1.0):
        assert out.correlation == pytest.approx(correlation, rel=1e-9)
    else:
        assert out.correlation > correlation  # less mixing than the least participation would be needed


def test_participation_of_the_solved_layer_by_hand():
    # N → ∞, ReLU at ρ = 1/2: (V − C)/C with V = (π−1)/2π and C = (√3/2 + π/3 − 1)/2π.
    covariance = np.sqrt(3.0) / 2.0 + np.pi / 3.0 - 1.0
    expected = (np.pi - 1.0 - covariance) / covariance
    assert participation(solve_normalised(1e9)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("fan_in", [1, 2, 3, 10, 1000])
def test_the_variance_before_the_normalisation_is_as_asked(fan_in):
    layer, phi = solve_normalised(fan_in, "relu", 0.5, 2.5), core.feature_moments(core.relu(), 0.5)
    n, square = layer.fan_in, layer.weight_mean**2
    total = (n * square + layer.weight_variance) * n * phi.covariance
    total += n * (square + layer.weight_variance) * (phi.variance - phi.covariance)
    assert total == pytest.approx(2.5, rel=1e-12)


@pytest.mark.parametrize("heard", [1.345, 3.0, 10.0])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_correlation_behind_the_normalisation_agrees_with_simulation(heard, correlation):
    width, ratio = 100, (100 - heard) / (heard - 1.0)
    layer = core.LayerStatistics(width, 1.0, ratio)
    assert participation(layer) == pytest.approx(heard)
    rng = np.random.default_rng(0)
    found = np.array([simulated(rng, [layer], core.relu(), correlation, width, 1000)[0] for _ in range(BATCHES)])
    predicted = forward_normalised(core.SignalStatistics(0.0, 1.0, correlation), layer, core.relu()).correlation
    # Units differ in participation, of which the theory takes the mean: it is off by at most 0.03 (Jensen's gap).
    error = found.std(ddof=1) / np.sqrt(BATCHES)
    assert abs(found.mean() - predicted) < 0.03 + 5.0 * error
    assert 5.0 * error < 0.05


def test_the_papers_moments_run_to_correlation_one_and_the_solved_ones_do_not():
    paper, solved, signal = core.solve(1000), solve_normalised(1000), core.SignalStatistics(0.0, 1.0, 0.5)
    ends = []
    for layer in (paper, solved):
        at = signal
        for _ in range(20):
            at = forward_normalised(at, layer, core.relu())
        ends.append(at.correlation)
    assert ends[0] > 0.999
    assert ends[1] == pytest.approx(0.5, abs=1e-6)


def test_expected_output_agrees_with_simulation():
    rng, width, correlation = np.random.default_rng(1), 60, 0.4
    weights = rng.gamma(0.05, 1.0, (width, width))
    moments = []
    for _ in range(BATCHES):
        shared = rng.standard_normal((2000, 1))
        s = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * rng.standard_normal((2000, width))
        out = np.maximum(s, 0.0) @ weights.T
        moments.append([out.mean(0)[0], out.var(0, ddof=1)[0]])
    unit = weights[0]
    mean, variance = expected_output(unit.sum(), np.square(unit).sum(), core.relu(), correlation)
    assert_agrees(np.array(moments)[:, 0], mean, mean)
    assert_agrees(np.array(moments)[:, 1], variance, variance, resolution=0.1)


@pytest.mark.parametrize("gain", [0.25, 1.0])
@pytest.mark.parametrize("correlation", [0.1, 0.5])
def test_residual_sum_agrees_with_simulation(gain, correlation):
    width = 100
    layers = [solve_normalised(width, "relu", 0.5)] * 2
    rng = np.random.default_rng(2)
    found = np.array(
        [simulated(rng, layers, core.relu(), correlation, width, 1000, gain, residual=True) for _ in range(BATCHES)]
    )
    theory = forward_residual(core.SignalStatistics(0.0, 1.0, correlation), layers, core.relu(), gain)
    error = found.std(axis=0, ddof=1) / np.sqrt(BATCHES)
    # Between the branch's layers the signal is not quite Gaussian; 4 % of the variance is what that costs here.
    assert abs(found[:, 0].mean() - theory.variance) < 0.04 * theory.variance + 5.0 * error[0]
    assert abs(found[:, 1].mean() - theory.correlation) < 0.03 + 5.0 * error[1]
    assert 5.0 * error[1] < 0.05
    assert theory.variance > 1.0 + gain**2  # the covariance counts


def test_a_dead_signal_beside_a_silent_branch_stays_dead():
    dead = core.SignalStatistics(0.3, 0.0, 0.0)
    assert forward_residual(dead, [core.solve(16)], core.relu(), 0.0) == dead


def test_residual_gain_adds_up_to_one():
    assert 7 * residual_gain(7) ** 2 == pytest.approx(1.0)
    with pytest.raises(ValueError, match="blocks"):
        residual_gain(0)


def test_recipe_of_a_normalised_layer():
    recipe = normalised_recipe(30, "relu", core.InitSettings(distribution="gamma"))
    assert recipe.bias.mean == recipe.bias.std == 0.0
    assert recipe.weight.mean == pytest.approx(recipe.statistics.weight_mean)
    assert recipe.weight.variance == pytest.approx(recipe.statistics.weight_variance)
    with pytest.raises(ValueError, match="gelu"):
        normalised_recipe(30, "gelu", core.InitSettings())
    with pytest.raises(ValueError, match="correlation"):
        solve_normalised(30, "relu", 1.0)
    with pytest.raises(ValueError, match="gain"):
        forward_normalised(core.SignalStatistics(0.0, 1.0, 0.5), recipe.statistics, core.relu(), -1.0)
