"""Draws with exact sample moments."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import InitSettings, NumpyDraw, matched, non_negative_law, positive_recipe, sample_raw, solve
from convex_init_core.positivity import as_positivity

SHAPES = [(784, 784), (784, 10), (784, 1), (30, 30), (30, 2), (2, 1000), (100_000, 3)]


def draw(law, count, seed=0):
    return law.sample(NumpyDraw(np.random.default_rng(seed), (count,)))


@pytest.mark.parametrize(("fan_in", "units"), SHAPES)
@pytest.mark.parametrize("distribution", ["log_normal", "gamma", "spike_and_slab"])
def test_the_sample_has_the_moments_of_the_law(distribution, fan_in, units):
    if distribution == "spike_and_slab" and fan_in * units > 50_000 and units < 10:
        pytest.skip("a few positive weights among so many: no power of them has the moments")
    moments = solve(fan_in)
    if distribution == "spike_and_slab" and fan_in == 2:
        pytest.skip("the law itself does not exist at so small a variance")
    law = matched(non_negative_law(distribution, moments.weight_mean, moments.weight_variance))
    weights = draw(law, fan_in * units)
    assert weights.min() >= 0.0
    # Newton's method ends at rounding error; single precision would show as 1e-7.
    assert weights.mean() == pytest.approx(moments.weight_mean, rel=1e-9)
    assert weights.var() == pytest.approx(moments.weight_variance, rel=1e-6)
    assert law.mean == pytest.approx(moments.weight_mean)
    assert law.variance == pytest.approx(moments.weight_variance)


def test_the_paper_s_law_falls_short_of_its_variance_and_the_matched_one_does_not():
    """Why this exists: the 614,656 log-normal weights of a layer of 784 units fall short of their variance."""
    moments = solve(784)
    law = non_negative_law("log_normal", moments.weight_mean, moments.weight_variance)
    as_drawn = [draw(law, 784 * 784, seed).var() / moments.weight_variance for seed in range(9)]
    assert np.median(as_drawn) < 0.9
    assert draw(matched(law), 784 * 784).var() == pytest.approx(moments.weight_variance)


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
    raw = sample_raw(recipe.weight, recipe.positivity, NumpyDraw(np.random.default_rng(1), (60_000,)))
    weights = as_positivity(positivity).value(raw)
    assert weights.mean() == pytest.approx(recipe.statistics.weight_mean, rel=1e-9)
    assert weights.var() == pytest.approx(recipe.statistics.weight_variance, rel=1e-6)


def test_a_law_of_one_value_is_refused():
    with pytest.raises(ValueError, match=r"match_moments.*spike_and_slab"):
        matched(non_negative_law("two_point", 0.1, 0.2))
    with pytest.raises(ValueError, match=r"match_moments.*spike_and_slab"):
        InitSettings(distribution="two_point", match_moments=True)
