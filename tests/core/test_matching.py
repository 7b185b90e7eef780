"""Draws with exact sample moments."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import InitSettings, NumpyDraw, non_negative_law, positive_recipe, solve
from convex_init_core.weights.exact_moments import matched
from convex_init_core.weights.positivity import as_positivity
from convex_init_core.weights.sampling import sample_raw

SHAPES = [(784, 784), (784, 10), (784, 1), (30, 30), (30, 2), (100_000, 3)]


def draw(law, count, seed=0):
    return law.sample(NumpyDraw(np.random.default_rng(seed), (count,)))


def draw_units(law, units, fan_in, seed=0):
    return law.sample(NumpyDraw(np.random.default_rng(seed), (units * fan_in,)), units=fan_in).reshape(units, fan_in)


@pytest.mark.parametrize(("fan_in", "units"), SHAPES)
@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_every_unit_has_the_moments_of_the_law(distribution, fan_in, units):
    moments = solve(fan_in)
    law = matched(non_negative_law(distribution, moments.weight_mean, moments.weight_variance))
    weights = draw_units(law, units, fan_in)
    assert weights.min() >= 0.0
    # The mean is set last; the variance is what a fixed number of steps leaves, 1e-4 in a few units of a thousand.
    assert weights.mean(1) == pytest.approx(moments.weight_mean, rel=1e-9)
    assert weights.var(1) == pytest.approx(moments.weight_variance, rel=1e-3)
    assert law.mean == pytest.approx(moments.weight_mean)
    assert law.variance == pytest.approx(moments.weight_variance)


def test_a_sparse_law_is_matched_where_a_unit_has_weights_enough():
    """A unit with fewer positive weights than the moments ask for gets them equal: exact in the mean alone."""
    moments = solve(784)
    law = matched(non_negative_law("spike_and_slab", moments.weight_mean, moments.weight_variance))
    weights = draw_units(law, 500, 784)
    wanted = 784 * moments.weight_mean**2 / (moments.weight_variance + moments.weight_mean**2)
    positive = (weights > 0.0).sum(1)
    enough = positive > wanted + 0.5
    assert 0.5 < enough.mean() < 1.0
    # Near the limit Newton's method takes more steps than it is given; nine of ten units must be exact.
    error = np.abs(weights[enough].var(1) / moments.weight_variance - 1.0)
    assert np.quantile(error, 0.9) < 1e-3
    assert weights[positive > 0].mean(1) == pytest.approx(moments.weight_mean)
    assert not weights[positive == 0].any()


def test_units_of_the_paper_s_law_fall_short_of_its_variance_and_matched_ones_do_not():
    """Why this exists: the median unit of a layer of 784 has a fraction of the variance that it should have."""
    moments = solve(784)
    law = non_negative_law("log_normal", moments.weight_mean, moments.weight_variance)
    assert np.median(draw_units_of(law, 784, 784).var(1)) < 0.3 * moments.weight_variance
    assert np.median(draw_units(matched(law), 784, 784).var(1)) == pytest.approx(moments.weight_variance)


def draw_units_of(law, units, fan_in):
    return draw(law, units * fan_in).reshape(units, fan_in)


def test_order_and_zeros_are_kept():
    moments = solve(100)
    law = non_negative_law("spike_and_slab", moments.weight_mean, moments.weight_variance)
    plain, exact = draw(law, 5000), draw(matched(law), 5000)
    assert np.array_equal(plain == 0.0, exact == 0.0)
    assert np.array_equal(np.argsort(plain[plain > 0]), np.argsort(exact[plain > 0]))


def test_a_draw_too_small_for_its_moments_is_left_as_drawn():
    law = non_negative_law("log_normal", 0.01, 0.04)  # E[w²]/E[w]² = 401, of 100 weights at most 100
    assert draw(matched(law), 100) == pytest.approx(draw(law, 100))


@pytest.mark.parametrize("positivity", ["exp", "softplus", "square", "abs"])
@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_the_effective_weight_is_matched_through_every_map(distribution, positivity):
    settings = InitSettings(distribution=distribution, match_moments=True)
    recipe = positive_recipe(300, "relu", settings, positivity)
    raw = sample_raw(recipe.weight, recipe.positivity, NumpyDraw(np.random.default_rng(1), (60_000,)), units=300)
    weights = as_positivity(positivity).value(raw).reshape(-1, 300)
    assert weights.mean(1) == pytest.approx(recipe.statistics.weight_mean, rel=1e-9)
    assert weights.var(1) == pytest.approx(recipe.statistics.weight_variance, rel=1e-3)


def test_a_law_of_one_value_is_refused():
    with pytest.raises(ValueError, match=r"match_moments.*spike_and_slab"):
        matched(non_negative_law("two_point", 0.1, 0.2))
    with pytest.raises(ValueError, match=r"match_moments.*spike_and_slab"):
        InitSettings(distribution="two_point", match_moments=True)
