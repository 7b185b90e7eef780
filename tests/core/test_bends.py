"""Bends that are spread over a chain: against the signal itself, layer by layer."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from convex_init_core import InitSettings, free_recipe, positive_recipe, relu
from convex_init_core.methods.bends.bend_spread import Bends, spread_bends
from convex_init_core.methods.isometric import Isometric
from convex_init_core.weights.weight_axes import dense_geometry

PLAIN = InitSettings(method="isometric")
Z, STEP = np.linspace(-10.0, 10.0, 40_001, retstep=True)
DENSITY = np.exp(-0.5 * Z**2) / math.sqrt(2.0 * math.pi) * STEP


def mean(values):
    """Over z ~ N(0, 1), by the trapezoidal rule: at a kink its error is below STEP² = 2.5e-7 of the density there."""
    return float(values @ DENSITY)


def chain(*widths, settings=PLAIN, positivity="projection", activation="relu", skips=()):
    """The recipes of the positive layers between these widths, the first of which is that of the first layer."""
    plain = replace(settings, threshold=0.0)
    return [
        positive_recipe(n, activation, plain, positivity, place in skips, dense_geometry(m, n))
        for place, (n, m) in enumerate(itertools.pairwise(widths))
    ]


def spread(*widths, threshold=0.5, variance=1.0, **options):
    settings = replace(PLAIN, threshold=threshold, variance=variance)
    return spread_bends(chain(*widths, settings=settings, **options), settings)


@pytest.mark.parametrize("threshold", [1e-9, 0.1, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("layers", [1, 4, 50])
def test_the_bend_wanders_to_the_threshold_and_the_mean_square_stays(threshold, layers):
    found, s = Bends(threshold, layers), Z
    for stage in range(layers + 1):
        features = np.maximum(s, 0.0)
        assert Z[features > 1e-9].min() == pytest.approx(found.bend(stage), abs=2.0 * STEP)
        # E[(z − t)₊] is more than 1/(1 + t²)² of the density at t: the error is below 26² STEP²/12 up to t = 5.
        assert mean(features) == pytest.approx(found.mean(stage), rel=2e-5)
        assert mean(features**2) - mean(features) ** 2 == pytest.approx(found.variance(stage), rel=2e-5)
        s = found.gain * features - found.shift
    assert found.bend(layers) == pytest.approx(threshold)
    assert found.variance(layers) + found.mean(layers) ** 2 == pytest.approx(0.5)


def test_each_layer_moves_the_bend():
    found = Bends(0.5, 5)
    steps = np.diff([found.bend(stage) for stage in range(6)])
    assert np.all(steps > 0.05)


def test_a_run_gets_its_bends_and_the_sum_behind_it_the_moments():
    recipes, before = spread(64, 64, 64, 128, 10), chain(64, 64, 64, 128, 10)
    bends = Bends(0.5, 3)
    for recipe, plain in zip(recipes[:-1], before, strict=False):
        assert recipe.weight == replace(plain.weight, gain=bends.gain)
        assert recipe.bias.mean == pytest.approx(-bends.shift)
    last = recipes[-1]
    # 128 features in 10 sums, of 12 or 13: R² = 1/mean(1/r).
    assert last.weight.gain**2 * bends.variance(3) == pytest.approx(1.0)
    assert last.bias.mean == pytest.approx(-last.weight.row_sum * bends.mean(3))
    for recipe in recipes:
        assert recipe.statistics.weight_mean == recipe.weight.mean
        assert recipe.statistics.weight_variance == recipe.weight.variance
        assert recipe.statistics.bias_mean == recipe.bias.mean
        assert (recipe.statistics.bias_variance, recipe.bias.std) == (0.0, 0.0)


@pytest.mark.parametrize("positivity", ["projection", "exp"])
def test_what_a_row_sums_beyond_a_copy_is_removed_at_its_mean(positivity):
    """Rows of one or two features, R ≠ 1, and weights off the support: on average a copy's output."""
    recipes = spread(400, 300, 300, 200, 100, positivity=positivity)
    bends = Bends(0.5, 3)
    assert recipes[0].weight.row_sum > 1.05 * bends.gain
    for stage, recipe in enumerate(recipes[:-1]):
        row = recipe.weight.row_sum + recipe.weight.background * recipe.weight.fan_in
        copied = bends.gain * bends.mean(stage) - bends.shift
        assert row * bends.mean(stage) + recipe.bias.mean == pytest.approx(copied)
    row = recipes[-1].weight.row_sum + recipes[-1].weight.background * recipes[-1].weight.fan_in
    assert row * bends.mean(3) + recipes[-1].bias.mean == pytest.approx(0.0)


def matrix(law: Isometric, seed: int):
    weights = np.full(law.geometry.shape, law.background)
    places, values = law.entries(seed)
    weights.flat[places] = values
    return weights


@pytest.mark.parametrize("variance", [1.0, 4.0])
def test_the_signal_through_a_run(variance):
    """Monte Carlo, with independent inputs: everything within five standard errors.

    Of 4000 · 400 units at the end of the run P(z > 0.5) are on: 5 √(0.21/1.6e6) = 0.0018. The 4000 · 40 outputs are
    independent sums of 10 features; an excess kurtosis of the features of up to 10 is one of 1 in the sums, so that
    mean and variance are good to 5/√160000 = 0.0125 and 5 √(3/160000) = 0.022.
    """
    recipes, deviation = spread(400, 400, 400, 40, variance=variance), math.sqrt(variance)
    s = np.random.default_rng(0).normal(0.0, deviation, (4000, 400))
    for seed, recipe in enumerate(recipes):
        if recipe is recipes[-1]:
            assert (s > 0.0).mean() == pytest.approx(0.30854, abs=0.0018)
        s = np.maximum(s, 0.0) @ matrix(recipe.weight, seed).T + recipe.bias.mean
    assert s.mean() == pytest.approx(0.0, abs=0.0125 * deviation)
    assert s.var() == pytest.approx(variance, rel=0.022)


def test_thresholds_and_shifts_are_in_units_of_the_signal():
    for one, four in zip(spread(64, 64, 48, 10), spread(64, 64, 48, 10, variance=4.0), strict=True):
        assert four.weight.gain == pytest.approx(one.weight.gain)
        assert four.bias.mean == pytest.approx(2.0 * one.bias.mean)


def test_0_changes_nothing_and_next_to_0_next_to_nothing():
    before = chain(64, 64, 50, 20, 20, 10)
    assert spread_bends(before, PLAIN) == before
    for small, plain in zip(spread(64, 64, 50, 20, 20, 10, threshold=1e-12), before, strict=True):
        assert small.weight.gain == pytest.approx(plain.weight.gain)
        assert small.bias.mean == pytest.approx(plain.bias.mean, abs=1e-9)


@pytest.mark.parametrize(
    ("widths", "skips", "unchanged"),
    [
        ((64, 10), (), {0}),  # nothing is copied
        ((64, 64, 64), (), {0, 1}),  # no sum behind the copies
        ((64, 64, 20, 20, 20), (), {2, 3}),
        ((64, 64, 64, 10), (0, 1, 2), {0, 1, 2}),
        ((64, 64, 64, 10), (1,), {0, 1, 2}),  # what a free skip is added to is no copy
        ((64, 64, 64, 10, 10, 2), (1,), {0, 1, 2}),
        ((64, 64, 10, 10, 2), (1,), set()),
    ],
)
def test_what_is_no_run_stays(widths, skips, unchanged):
    before, after = chain(*widths, skips=skips), spread(*widths, skips=skips)
    assert {place for place, recipe in enumerate(before) if recipe == after[place]} == unchanged
    assert [recipe.statistics.skip_variance for recipe in before] == [r.statistics.skip_variance for r in after]


def test_each_run_has_its_own_length():
    gains = [recipe.weight.gain for recipe in spread(64, 64, 64, 20, 20, 5)]
    assert gains[0] == gains[1] == Bends(0.5, 2).gain
    assert gains[3] == Bends(0.5, 1).gain


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"threshold": -0.1}, ValueError, "^threshold must be at least 0"),
        ({"threshold": 5.1}, ValueError, "^threshold must be at most 5"),
        ({"threshold": math.nan}, ValueError, "^threshold must be finite"),
        ({"threshold": math.inf}, ValueError, "^threshold must be finite"),
        ({"threshold": "0.5"}, TypeError, "^threshold must be a real number"),
        ({"threshold": 0.5, "method": "log_normal"}, ValueError, "threshold=0.5.*use method 'isometric'"),
    ],
)
def test_settings_out_of_range(settings, error, message):
    with pytest.raises(error, match=message):
        InitSettings(**{"method": "isometric", **settings})


@pytest.mark.parametrize("activation", ["leaky_relu", "softplus", "elu", "identity"])
def test_only_relu_has_such_bends(activation):
    settings = replace(PLAIN, threshold=0.5)
    recipes = chain(64, 64, 64, 10)
    for place in range(3):
        mixed = [*recipes]
        mixed[place] = chain(64, 64, 64, 10, activation=activation)[place]
        with pytest.raises(
            ValueError, match=f"layer {place} of the chain: threshold=.*{activation}.*leave threshold out"
        ):
            spread_bends(mixed, settings)
        with pytest.raises(ValueError, match=f"^{'abc'[place]}: threshold="):
            spread_bends(mixed, settings, "abc")


def test_one_layer_by_itself_has_no_run():
    with pytest.raises(ValueError, match="threshold= belongs to a whole chain of layers; use apply_ on the model"):
        positive_recipe(4, "relu", replace(PLAIN, threshold=0.5), geometry=dense_geometry(4, 4))
    assert free_recipe(4, replace(PLAIN, threshold=0.5)) == free_recipe(4, PLAIN)


def test_recipes_of_independent_weights_are_refused():
    with pytest.raises(TypeError, match="threshold= needs recipes of method 'isometric', got one with the law LogNorm"):
        spread_bends([positive_recipe(40, relu(), InitSettings())], replace(PLAIN, threshold=0.5))
