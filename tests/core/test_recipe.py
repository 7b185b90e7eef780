"""Recipes: what an adapter is told about one layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.weights.laws import DISTRIBUTIONS
from tests.core.monte_carlo import assert_agrees, correlated_normals, off_diagonal_mean

DEFAULT = core.InitSettings()
ACTIVATIONS = ("relu", "leaky_relu", "elu", "softplus")


def test_defaults_are_the_papers() -> None:
    assert (DEFAULT.correlation, DEFAULT.variance, DEFAULT.bias_noise) == (0.5, 1.0, 0.0)
    assert DEFAULT.distribution == "log_normal"
    recipe = core.positive_recipe(784, "relu", DEFAULT)
    assert recipe.statistics == core.solve(784)
    assert isinstance(recipe.weight, core.LogNormal)
    assert recipe.positivity == core.as_positivity("projection")
    assert recipe.activation == core.relu()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_laws_have_the_solved_moments(distribution: str, activation: str) -> None:
    settings = core.InitSettings(0.4, 2.0, 0.3, distribution)
    recipe = core.positive_recipe(60, activation, settings)
    solved = core.solve(60, activation, 0.4, 2.0, 0.3)
    assert recipe.statistics == solved
    assert recipe.weight.mean == pytest.approx(solved.weight_mean, rel=1e-12, abs=0.0)
    assert recipe.weight.variance == pytest.approx(solved.weight_variance, rel=1e-12, abs=0.0)
    assert recipe.bias.mean == solved.bias_mean
    assert recipe.bias.variance == pytest.approx(solved.bias_variance, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_skip_completes_the_target(activation: str, share: float, noise: float) -> None:
    settings = core.InitSettings(0.3, 1.5, noise, skip_share=share)
    layer = core.positive_recipe(40, activation, settings, has_skip=True)
    skip = core.skip_recipe(10, layer)
    # The input has unit second moment, so the skip adds 10 σ_w²: its share of what the noise leaves.
    added = 10 * skip.weight.variance
    assert added == pytest.approx(share * (1 - noise) * 0.7 * 1.5, rel=1e-12, abs=0.0)
    without = core.LayerStatistics(
        40, layer.weight.mean, layer.weight.variance, layer.bias.mean, layer.bias.variance, skip_variance=0.0
    )
    after = core.forward(core.SignalStatistics(0.0, 1.5, 0.3), without, core.as_activation(activation))
    assert after.mean == pytest.approx(0.0, abs=1e-12)
    assert after.variance + added == pytest.approx(1.5, rel=1e-12, abs=0.0)
    assert after.correlation * after.variance == pytest.approx(0.3 * 1.5, rel=1e-12, abs=0.0)
    with_skip = core.forward(core.SignalStatistics(0.0, 1.5, 0.3), layer.statistics, core.as_activation(activation))
    assert with_skip.variance == pytest.approx(1.5, rel=1e-12, abs=0.0)
    assert with_skip.correlation == pytest.approx(0.3, rel=1e-12, abs=0.0)


def test_skip_and_layer_drawn_from_their_recipes() -> None:
    """The sum of both, as a network computes it, has the target mean, variance and correlation."""
    rng = np.random.default_rng(12)
    settings = core.InitSettings(bias_noise=0.2, distribution="gamma")
    layer = core.positive_recipe(15, "relu", settings, has_skip=True)
    skip = core.skip_recipe(4, layer)
    found = np.empty((32, 3))
    for batch in found:
        features = core.relu()(correlated_normals(rng, 0.0, 1.0, 0.5, 1500, 15))
        out = np.einsum("rij,rj->ri", layer.weight.sample(core.NumpyDraw(rng, (1500, 6, 15))), features)
        out += layer.bias.sample(core.NumpyDraw(rng, (1500, 6)))
        inputs = rng.standard_normal((1500, 4))
        out += np.einsum("rij,rj->ri", skip.weight.sample(core.NumpyDraw(rng, (1500, 6, 4))), inputs)
        out += skip.bias.sample(core.NumpyDraw(rng, (1500, 6)))
        batch[:] = out.mean(), np.square(out).mean(), off_diagonal_mean(out)
    for column, expected in enumerate((0.0, 1.0, 0.5)):
        assert_agrees(found[:, column], expected, 1.0)


def test_without_a_skip_nothing_is_set_aside() -> None:
    recipe = core.positive_recipe(40, "relu", core.InitSettings(skip_share=0.9))
    assert recipe.statistics.skip_variance == 0.0
    with pytest.raises(ValueError, match="skip_share must be above 0"):
        core.skip_recipe(10, recipe)
    with pytest.raises(ValueError, match="skip_share must be above 0"):
        core.skip_recipe(10, core.positive_recipe(40, "relu", core.InitSettings(skip_share=0.0), has_skip=True))


@pytest.mark.parametrize("variance", [1.0, 0.3])
def test_free_recipe_is_lecun(variance: float) -> None:
    recipe = core.free_recipe(25, core.InitSettings(variance=variance))
    assert recipe.weight == core.Normal(0.0, math.sqrt(variance / 25))
    assert recipe.bias == core.Normal(0.0, 0.0)
    assert recipe.positivity is None
    assert recipe.activation == core.identity()
    out = core.forward(core.SignalStatistics(0.0, 1.0, 0.0), recipe.statistics, core.identity())
    assert (out.mean, out.correlation) == (0.0, 0.0)
    assert out.variance == pytest.approx(variance, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("fan_in", [0, 0.5, math.nan])
def test_fan_in_out_of_range(fan_in: float) -> None:
    layer = core.positive_recipe(3, "relu", DEFAULT, has_skip=True)
    for call in (
        lambda: core.positive_recipe(fan_in, "relu", DEFAULT),
        lambda: core.free_recipe(fan_in, DEFAULT),
        lambda: core.skip_recipe(fan_in, layer),
    ):
        with pytest.raises(ValueError, match=r"^fan_in must"):
            call()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correlation": 1.0}, "^correlation must"),
        ({"variance": 0.0}, "^variance must"),
        ({"bias_noise": 1.0}, "^bias_noise must"),
        ({"skip_share": -0.1}, "^skip_share must"),
        ({"distribution": "normal"}, "^distribution 'normal' is unknown; known are log_normal"),
    ],
)
def test_settings_are_checked_when_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        core.InitSettings(**changes)


def test_settings_are_fixed() -> None:
    with pytest.raises(AttributeError):
        DEFAULT.variance = 2.0


@pytest.mark.parametrize("distribution", ["two_point", "spike_and_slab"])
@pytest.mark.parametrize("positivity", ["exp", "softplus", "square", "abs", "relu"])
def test_law_and_map_must_fit(distribution: str, positivity: str) -> None:
    with pytest.raises(ValueError, match=f"distribution '{distribution}'.*positivity {positivity}"):
        core.positive_recipe(10, "relu", core.InitSettings(distribution=distribution), positivity)


def test_variance_too_small_for_the_slab() -> None:
    with pytest.raises(ValueError, match=r"'spike_and_slab' cannot have mean"):
        core.positive_recipe(1, "relu", core.InitSettings(bias_noise=0.9, distribution="spike_and_slab"))


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="positivity 'cube' is unknown"):
        core.positive_recipe(10, "relu", DEFAULT, "cube")
    with pytest.raises(ValueError, match="activation 'tanh'"):
        core.positive_recipe(10, "tanh", DEFAULT)
