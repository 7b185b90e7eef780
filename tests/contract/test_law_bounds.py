"""The bounds themselves: they pass a sample of the law and fail one that is slightly off."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from convex_init_core import LogNormal, Normal, NumpyDraw, as_positivity, non_negative_law, solve
from convex_init_core.weights.laws import DISTRIBUTIONS
from tests.contract.law_bounds import assert_follows, cdf, central_moment, quantile, raw_moment

COUNT = 200_000


def law_for(distribution: str, fan_in: int):
    moments = solve(fan_in)
    return non_negative_law(distribution, moments.weight_mean, moments.weight_variance)


def sample(law, seed: int = 0) -> np.ndarray:
    return law.sample(NumpyDraw(np.random.default_rng(seed), (COUNT,)))


@pytest.mark.parametrize("fan_in", [1, 784, 100_000])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_sample_of_the_law_passes(distribution, fan_in):
    law = law_for(distribution, fan_in)
    for seed in range(5):
        assert_follows(sample(law, seed), law)


@pytest.mark.parametrize("fan_in", [2, 784])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize(("mean", "variance"), [(1.25, 1.0), (1.0, 1.5), (0.8, 1.0), (1.0, 0.65)])
def test_other_moments_fail(distribution, fan_in, mean, variance):
    moments = solve(fan_in)
    off = non_negative_law(distribution, mean * moments.weight_mean, variance * moments.weight_variance)
    with pytest.raises(AssertionError, match="due"):
        assert_follows(sample(off), law_for(distribution, fan_in))


def test_another_law_of_the_same_moments_fails():
    for other in ("gamma", "spike_and_slab", "two_point"):
        with pytest.raises(AssertionError, match="due"):
            assert_follows(sample(law_for(other, 784)) + 1e-30, law_for("log_normal", 784))


def test_a_cut_tail_of_a_log_normal_fails():
    law = law_for("log_normal", 784)
    with pytest.raises(AssertionError, match="due"):
        assert_follows(np.minimum(sample(law), quantile(law, 0.999)), law)


def test_a_negative_or_infinite_weight_fails():
    law = law_for("gamma", 10)
    for wrong in (-1e-9, math.inf, math.nan):
        weights = sample(law)
        weights[7] = wrong
        with pytest.raises(AssertionError, match=r"negative|finite"):
            assert_follows(weights, law)


def test_rounding_is_followed_through_the_map():
    law, through = law_for("log_normal", 784), as_positivity("exp")
    epsilon = 2.0**-8
    raw = np.log(sample(law))
    unit = epsilon * 2.0 ** np.floor(np.log2(np.abs(raw)))
    coarse = np.exp(np.round(raw / unit) * unit)
    assert_follows(coarse, law, through, epsilon)
    with pytest.raises(AssertionError, match="due"):
        assert_follows(np.exp(raw + 0.15), law, through, epsilon)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_moments_and_quantiles_are_those_of_the_law(distribution):
    law = law_for(distribution, 3)
    assert raw_moment(law, 0) == 1.0
    assert raw_moment(law, 1) == pytest.approx(law.mean)
    assert central_moment(law, 2) == pytest.approx(law.variance)
    if distribution in ("log_normal", "gamma"):
        assert cdf(law, quantile(law, 0.3)) == pytest.approx(0.3)
        known = {
            "log_normal": lambda: stats.lognorm(law.log_std, scale=math.exp(law.log_mean)),
            "gamma": lambda: stats.gamma(law.concentration, scale=law.scale),
        }[distribution]()
        _, _, skewness, excess = known.stats("mvsk")
        assert central_moment(law, 3) == pytest.approx(skewness * law.variance**1.5)
        assert central_moment(law, 4) == pytest.approx((excess + 3.0) * law.variance**2)


def test_normal_moments():
    law = Normal(0.5, 2.0)
    assert central_moment(law, 4) == pytest.approx(3.0 * 16.0)
    assert central_moment(law, 6) == pytest.approx(15.0 * 64.0)
    draws = np.random.default_rng(0).normal(0.5, 2.0, COUNT)
    assert_follows(draws, law)
    with pytest.raises(AssertionError, match="due"):
        assert_follows(draws, replace(law, std=2.05))
    assert LogNormal.from_moments(1.0, 1.0).mean == pytest.approx(1.0)
