"""What ``solve`` promises: one layer maps the target signal onto itself."""

from __future__ import annotations

import math
from typing import Any

import pytest

import convex_init_core as core
from tests.core.references import USABLE, Case

FAN_INS = (1, 1.5, 2, 17, 1000, 100_000)


@pytest.mark.parametrize(
    ("rho", "variance", "beta", "gamma"),
    [(0.5, 1.0, 0.0, 0.0), (0.1, 1.0, 0.5, 0.0), (0.9, 4.0, 0.0, 0.5), (0.3, 0.05, 0.25, 0.7), (1e-3, 1.0, 0.0, 0.0)],
)
@pytest.mark.parametrize("case", USABLE.values(), ids=USABLE.keys())
def test_target_is_a_fixed_point(case: Case, rho: float, variance: float, beta: float, gamma: float) -> None:
    target = core.SignalStatistics(0.0, variance, rho)
    for n in FAN_INS:
        layer = core.solve(n, case.activation, rho, variance, beta, gamma)
        assert layer.weight_mean > 0.0
        assert layer.weight_variance > 0.0
        after = core.forward(target, layer, case.activation)
        assert after.mean == pytest.approx(0.0, abs=1e-12 * max(1.0, -layer.bias_mean))
        assert after.variance == pytest.approx(variance, rel=1e-12, abs=0.0)
        assert after.correlation == pytest.approx(rho, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("n", [3, 300])
def test_shares_of_the_variance(n: int) -> None:
    """Weights, bias noise and skip divide what the features do not share; the shared part stays ρσ²."""
    layer = core.solve(n, "softplus", 0.4, 2.0, 0.3, 0.2)
    second = core.feature_moments(core.softplus(), 0.4, 2.0).second
    budget = 0.6 * 2.0
    assert layer.bias_variance == pytest.approx(0.3 * budget)
    assert layer.skip_variance == pytest.approx(0.2 * budget)
    assert n * layer.weight_variance * second == pytest.approx(0.5 * budget)


def test_bias_noise_leaves_the_weight_mean_alone() -> None:
    quiet, noisy = core.solve(50), core.solve(50, bias_noise=0.7)
    assert noisy.weight_mean == quiet.weight_mean
    assert noisy.bias_mean == quiet.bias_mean
    assert noisy.weight_variance == pytest.approx(0.3 * quiet.weight_variance)


@pytest.mark.parametrize("spec", ["celu", core.celu(), math.exp])
def test_activation_in_any_spelling(spec: Any) -> None:
    if callable(spec) and not isinstance(spec, core.Activation):
        spec = core.custom(lambda s: math.e**s)
    assert core.solve(10, spec, variance=0.1).weight_mean > 0.0
