"""The variance budget of a sum, against random layers, identities and free maps that are really added up."""

from __future__ import annotations

import math

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.methods.sum_budget import Budget, Fed, forward_sum, gain_limit, solve_sum
from convex_init_core.signal.signal_moments import activated, pre_activation
from convex_init_core.theory.moments import FeatureMoments
from tests.core.monte_carlo import assert_agrees, off_diagonal_mean

BATCHES, ROWS, UNITS = 32, 1500, 6
INCOMING = pre_activation(0.0, 1.0, 0.5)
FEATURES = activated("relu", INCOMING)
PLENTY = 8  # numbers that a free map reads


def relu_of(rng: np.random.Generator, shared: np.ndarray, count: int) -> np.ndarray:
    """Features behind a pre-activation with the moments of INCOMING."""
    own = np.sqrt(0.5) * rng.standard_normal((shared.shape[0], count))
    return np.maximum(np.sqrt(0.5) * shared + own, 0.0)


def simulated(
    budget: Budget, factors: list[float], *, free: int = 0, squares: tuple[int, ...] = (), identity: bool = False
) -> np.ndarray:
    """Batches of mean, second moment and product of two units of the sum, with the budget's laws for every term."""
    rng = np.random.default_rng(7)
    found = np.empty((BATCHES, 3))
    for batch in found:
        shared = rng.standard_normal((ROWS, 1))
        total = rng.normal(budget.bias_mean, math.sqrt(budget.bias_variance), (ROWS, UNITS))
        for layer, factor in zip(budget.layers, factors, strict=True):
            law = core.non_negative_law("gamma", layer.weight_mean, layer.weight_variance)
            weights = law.sample(core.NumpyDraw(rng, (ROWS, UNITS, int(layer.fan_in))))
            total += factor * np.einsum("rij,rj->ri", weights, relu_of(rng, shared, int(layer.fan_in)))
        x = rng.standard_normal((ROWS, PLENTY))
        for variance in [budget.free_variance] * free:
            total += np.einsum("rij,rj->ri", rng.normal(0.0, math.sqrt(variance / PLENTY), (ROWS, UNITS, PLENTY)), x)
        for count, inner in zip(squares, budget.inner_variances, strict=True):
            total += np.square(rng.normal(0.0, math.sqrt(inner), (ROWS, UNITS, count))).sum(-1)
        if identity:
            total += relu_of(rng, shared, UNITS)
        batch[:] = total.mean(), np.square(total).mean(), off_diagonal_mean(total)
    return found


CASES = {
    "one layer": ({}, [(12.0, 1.0)], {}),
    "two layers, one behind a factor": ({}, [(12.0, 1.0), (6.0, 0.25)], {}),
    "a free map": ({"free": 1, "bias_noise": 0.3}, [(12.0, 1.0)], {"free": 1}),
    "two free maps": ({"free": 2, "correlation": 0.3, "variance": 2.0}, [(12.0, 1.0)], {"free": 2}),
    "squares": ({"squares": (4.0,)}, [(12.0, 1.0)], {"squares": (4,)}),
    "an identity": ({"present": (FEATURES,), "kept": FEATURES.mean}, [(12.0, 1.0)], {"identity": True}),
    "a centred identity": ({"present": (FEATURES,)}, [(12.0, 1.0)], {"identity": True}),
    "no bias": ({"has_bias": False, "free": 1}, [(12.0, 1.0)], {"free": 1}),
    "means held back": ({"gain_limit": 0.5, "free": 1}, [(12.0, 1.0)], {"free": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_sum_has_the_moments_that_the_budget_promises(name):
    arguments, layers, simulation = CASES[name]
    budget = solve_sum([Fed(n, FEATURES, factor) for n, factor in layers], **arguments)
    found = simulated(budget, [factor for _, factor in layers], **simulation)
    out = budget.outgoing
    expected = np.array([out.mean, out.second, out.covariance + out.mean**2])
    assert_agrees(found, expected, scale=2.0 * out.second, resolution=0.08)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("no bias", "an identity")])
def test_the_mean_is_zero_where_a_bias_can_make_it_so(name):
    arguments, layers, _ = CASES[name]
    budget = solve_sum([Fed(n, FEATURES, factor) for n, factor in layers], **arguments)
    assert budget.outgoing.mean == 0.0


@pytest.mark.parametrize("name", ["one layer", "two layers, one behind a factor", "a free map", "two free maps"])
def test_the_target_is_met_exactly(name):
    arguments, layers, _ = CASES[name]
    budget = solve_sum([Fed(n, FEATURES, factor) for n, factor in layers], **arguments)
    variance = arguments.get("variance", 1.0)
    assert budget.outgoing.variance == pytest.approx(variance)
    assert budget.outgoing.covariance == pytest.approx(arguments.get("correlation", 0.5) * variance)


def test_one_layer_is_the_solver_of_the_paper():
    expected = core.solve(30, "relu", 0.5, 1.0, bias_noise=0.2)
    budget = solve_sum([Fed(30, FEATURES)], bias_noise=0.2)
    (layer,) = budget.layers
    assert layer.weight_mean == pytest.approx(expected.weight_mean)
    assert layer.weight_variance == pytest.approx(expected.weight_variance)
    assert budget.bias_mean == pytest.approx(expected.bias_mean)
    assert budget.bias_variance == pytest.approx(expected.bias_variance)


def test_a_full_signal_leaves_each_layer_a_share_that_grows_it_boundedly():
    full = pre_activation(0.0, 1.0, 0.5)
    for residuals in (1, 5, 50):
        signal = full
        for _ in range(residuals):
            signal = solve_sum([Fed(64, activated("relu", signal))], present=[signal], residuals=residuals).outgoing
        assert 1.0 < signal.variance < 2.0


def test_forward_sum_finds_what_solve_sum_aimed_at():
    budget = solve_sum([Fed(40, FEATURES), Fed(20, FEATURES)], bias_noise=0.2)
    terms = [(layer, FEATURES) for layer in budget.layers]
    found = forward_sum(terms, bias_mean=budget.bias_mean, bias_variance=budget.bias_variance)
    assert found.mean == pytest.approx(0.0, abs=1e-12)
    assert found.variance == pytest.approx(1.0)
    assert found.covariance == pytest.approx(0.5)


def test_free_maps_alone_share_the_whole_variance():
    budget = solve_sum([], free=2, variance=3.0)
    assert budget.free_variance == pytest.approx(1.5)
    assert budget.bias_mean == 0.0


@pytest.mark.parametrize("depth", [1, 3, 10, 100])
def test_the_gain_of_all_layers_together_is_four(depth):
    assert gain_limit(depth) ** depth == pytest.approx(4.0)
    budget = solve_sum([Fed(64, FEATURES)], free=1, gain_limit=gain_limit(depth))
    (layer,) = budget.layers
    assert layer.fan_in * layer.weight_mean <= gain_limit(depth) * (1 + 1e-12)
    assert budget.outgoing.variance == pytest.approx(1.0)


@pytest.mark.parametrize("limit", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("variance", [1.0, 4.0])
def test_a_layer_whose_mean_is_held_back_keeps_its_participation(limit, variance):
    """No unit hangs on a few giant weights: free maps carry what the weights of small mean must not."""
    budget = solve_sum(
        [Fed(100, activated("relu", pre_activation(0.0, variance)))],
        variance=variance,
        free=1,
        skip_share=0.05,
        gain_limit=limit,
    )
    (layer,) = budget.layers
    gain = layer.fan_in * layer.weight_mean
    assert gain == pytest.approx(limit)
    assert gain**2 / (layer.fan_in * layer.weight_variance) == pytest.approx(2.5)
    assert budget.outgoing.variance == pytest.approx(variance)


@pytest.mark.parametrize("variance", [1.0, 4.0])
def test_a_layer_alone_gets_the_gain_that_the_variance_needs(variance):
    """No free map stands by to carry what is left, so the limit gives way, and no further than it must."""
    features = activated("relu", pre_activation(0.0, variance))
    budget = solve_sum([Fed(100, features)], variance=variance, gain_limit=0.1)
    (layer,) = budget.layers
    gain = layer.fan_in * layer.weight_mean
    assert 0.1 < gain < 100 * core.solve(100, "relu", variance=variance).weight_mean
    assert gain**2 / (layer.fan_in * layer.weight_variance) == pytest.approx(2.5)
    found = forward_sum([(layer, features)], bias_mean=budget.bias_mean, bias_variance=budget.bias_variance)
    assert found.variance == pytest.approx(variance)
    assert found.mean == pytest.approx(0.0, abs=1e-12)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="residuals must be at least 1"):
        solve_sum([Fed(4, FEATURES)], residuals=0)
    with pytest.raises(ValueError, match="depth must be at least 1"):
        gain_limit(0)
    with pytest.raises(ValueError, match="factor"):
        solve_sum([Fed(4, FEATURES, 0.0)])
    with pytest.raises(ValueError, match="its features are constant"):
        solve_sum([Fed(4, activated("relu", pre_activation(-1.0, 0.0, 0.0)))])


def test_features_that_oppose_each_other_take_variance_away():
    layer = core.LayerStatistics(10, 0.3, 0.05)
    opposed = FeatureMoments(0.0, 1.0, 1.0, -0.1)
    exact = core.forward(core.SignalStatistics(0.0, 1.0, -0.1), layer, core.identity())
    assert forward_sum([(layer, opposed)]).variance == pytest.approx(exact.variance)
