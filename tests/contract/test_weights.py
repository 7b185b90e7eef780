"""Contract, point 1: weights are finite and non-negative and have the core's law, and biases its shift."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.weights.laws import DISTRIBUTIONS
from tests.contract.description import described
from tests.contract.frameworks import adapter
from tests.contract.law_bounds import assert_follows
from tests.contract.small_models import MAPS, dense, on_images

EPSILON = 2.0**-23


@pytest.mark.parametrize(("fan_in", "fan_out"), [(1, 40_000), (17, 5_000), (784, 100), (20_000, 4)])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_weights_follow_the_law(framework, distribution, fan_in, fan_out):
    found = adapter(framework, dense(fan_in, fan_out, distribution=distribution, calibrate=False))
    recipe = found.plan().layers[0].recipe
    found.apply(seed=fan_in)
    assert recipe.statistics.fan_in == fan_in
    assert found.effective("layer").shape == (fan_in, fan_out)
    # A gamma law of small concentration lies far below what float32 can hold.
    assert_follows(found.effective("layer"), recipe.weight, epsilon=1e-5 if distribution == "gamma" else EPSILON)
    assert found.bias("layer") == pytest.approx(recipe.statistics.bias_mean, rel=1e-6)


@pytest.mark.parametrize("through", MAPS[1:])
def test_behind_a_map_the_parameter_is_the_inverse_image(framework, through):
    found = adapter(framework, dense(120, 500, through, calibrate=False))
    planned = found.plan().layers[0]
    found.apply()
    assert_follows(found.effective("layer"), planned.recipe.weight, planned.recipe.positivity, EPSILON)
    raw = np.asarray(planned.recipe.positivity.value(found.raw("layer")))
    assert raw == pytest.approx(found.effective("layer"), rel=1e-4, abs=1e-30)


def test_random_biases_and_the_free_layer_follow_their_laws(framework):
    def layers(x):
        return x.dense("free", 2).act("relu").dense("layer", 60_000)

    found = adapter(
        framework, described(layers, (40,), bias_noise=0.5, variance=2.0, output_variance=2.0, calibrate=False)
    )
    free, positive = found.plan().layers
    found.apply()
    assert free.recipe.weight.variance == pytest.approx(2.0 / 40)
    assert_follows(found.effective("free"), free.recipe.weight, epsilon=EPSILON)
    assert not found.bias("free").any()
    assert positive.recipe.bias.variance == pytest.approx(0.5)
    assert_follows(found.bias("layer"), positive.recipe.bias, epsilon=EPSILON)


@pytest.mark.parametrize(
    ("write", "fan_in"),
    [
        (lambda x: x.convolution("layer", 500), 8 * 9),
        (lambda x: x.convolution("layer", 500, groups=4), 2 * 9),
        (lambda x: x.transposed("layer", 500, window=4, stride=2), 8 * 4),
    ],
    ids=["convolution", "grouped", "transposed"],
)
def test_convolutions_follow_the_law_of_what_one_output_sums(framework, write, fan_in):
    found = adapter(framework, on_images(write, 6, 8, calibrate=False))
    recipe = found.plan().layers[0].recipe
    found.apply()
    assert recipe.statistics.fan_in == fan_in
    assert_follows(found.effective("layer"), recipe.weight, epsilon=EPSILON)
