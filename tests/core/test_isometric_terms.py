"""Isometric layers in sums, as signals through deep stacks of them."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import InitSettings, as_activation, as_positivity
from convex_init_core.methods.isometric_sum import Part, isometric_sum
from convex_init_core.weights.weight_axes import dense_geometry

WIDTH = 200
SETTINGS = InitSettings(method="isometric")


def recipes(count, width=WIDTH, **options):
    part = Part(dense_geometry(width, width), as_activation("relu"), as_positivity("projection"))
    return isometric_sum([part] * count, SETTINGS, **options)


def matrix(recipe, seed):
    weights = np.full(recipe.weight.geometry.shape, recipe.weight.background)
    places, values = recipe.weight.entries(seed)
    weights.flat[places] = values
    return weights


def test_one_layer_is_a_plain_one():
    (recipe,) = recipes(1)
    assert recipe.weight.gain == 1.0
    assert recipe.bias.mean == 0.0
    assert recipe.statistics.skip_variance == 0.0


@pytest.mark.parametrize("count", [2, 3])
def test_several_layers_add_up_to_the_variance_and_the_mean_of_one(count):
    """16,000 values of each: standard errors are about a percent of the variance and of the mean."""
    rng, found = np.random.default_rng(0), recipes(count)
    features = [np.maximum(rng.normal(size=(80, WIDTH)), 0.0) for _ in found]
    s = sum(f @ matrix(recipe, seed).T for seed, (f, recipe) in enumerate(zip(features, found, strict=True)))
    s = s + found[0].bias.mean
    assert all(recipe.bias == found[0].bias for recipe in found)
    assert s.var() == pytest.approx(features[0].var(), rel=0.05)
    assert s.mean() == pytest.approx(features[0].mean(), rel=0.05)


@pytest.mark.parametrize("residuals", [1, 5, 40])
def test_residual_sums_grow_by_a_bounded_factor_at_any_depth(residuals):
    rng, (recipe,) = np.random.default_rng(1), recipes(1, residuals=residuals)
    s = rng.normal(size=(50, WIDTH))
    before = s.std()
    for seed in range(residuals):
        s = s + np.maximum(s, 0.0) @ matrix(recipe, seed).T + recipe.bias.mean
    assert before < s.std() < np.e * before
    assert abs(s.mean()) < before


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("depth", [3, 100])
def test_free_skips_of_any_size_keep_the_signal_bounded(depth, share):
    rng = np.random.default_rng(2)
    part = Part(dense_geometry(WIDTH, WIDTH), as_activation("relu"), as_positivity("projection"))
    settings = InitSettings(method="isometric", skip_share=share)
    (recipe,) = isometric_sum([part], settings, has_free=True)
    s = rng.normal(size=(50, WIDTH))
    for seed in range(depth):
        free = rng.normal(0.0, np.sqrt(recipe.statistics.skip_variance), s.shape)
        s = np.maximum(s, 0.0) @ matrix(recipe, seed).T + free + recipe.bias.mean
    # What ReLU passes of a positive mean adds to E[s²]; it stays of the order of σ*².
    assert 0.2 < np.square(s).mean() < 3.0
