"""The setting threshold in a model: which layers follow one another."""

import pytest

from convex_init_core import InitSettings
from convex_init_core.methods.bends.bend_spread import spread_bends
from tests.core.planning.models import FEATURES, WIDTH, chain, dense, planned, residual, sample
from tests.core.planning.numpy_framework import NumpyFramework

ISOMETRIC = {"method": "isometric", "threshold": 0.5}


def narrowing(activation: str = "relu", **params) -> NumpyFramework:
    """A chain that ends in a sum of many features, so that the layers before it are a run."""

    def forward(b):
        x = b.linear(b.input(), "0")
        for i in (1, 2, 3):
            x = b.linear(b.map(activation, x, **params), str(i))
        return b.linear(b.map(activation, x, **params), "out")

    shapes = dense(("0", FEATURES, WIDTH), *((str(i), WIDTH, WIDTH) for i in (1, 2, 3)), ("out", WIDTH, 1))
    return NumpyFramework(forward, shapes, sample())


def test_bends_are_spread_over_the_chain() -> None:
    plain = planned(narrowing(), method="isometric")
    made = planned(narrowing(), **ISOMETRIC)
    recipes = [layer.recipe for layer in plain.layers if layer.role == "positive"]
    expected = spread_bends(recipes, InitSettings(**ISOMETRIC))
    assert [layer.recipe for layer in made.layers[1:]] == expected
    assert expected != recipes
    assert [made.biases[layer.bias].mean for layer in made.layers[1:]] == [recipe.bias.mean for recipe in expected]


def of_one_output(bias: bool) -> NumpyFramework:
    """Two copying layers would need no bias without a threshold; the second one sums many features."""

    def forward(b):
        x = b.linear(b.input(), "0")
        return b.linear(b.relu(b.linear(b.relu(x), "1")), "2")

    shapes = dense(("0", FEATURES, WIDTH)) | dense(("1", WIDTH, WIDTH), ("2", WIDTH, 1), bias=bias)
    return NumpyFramework(forward, shapes, sample())


def with_parts(build) -> NumpyFramework:
    def forward(b):
        h = b.relu(b.linear(b.input(), "0"))
        return b.linear(b.relu(build(b, b.linear(h, "1"))), "2")

    return NumpyFramework(forward, dense(("0", FEATURES, WIDTH), ("1", WIDTH, WIDTH), ("2", WIDTH, 1)), sample())


NO_CHAIN = {
    "a residual": (residual, "'h1'.*a residual or another value is added to it"),
    "another function": (lambda: narrowing("leaky_relu", slope=0.2), "'1'.*threshold= moves the bends of ReLUs"),
    "a factor": (lambda: with_parts(lambda b, z: b.map("multiply", z, 2.0)), "'1'.*it is scaled"),
    "no bias": (lambda: chain(bias=False), "'1'.*it has no bias .register_missing_bias=True adds one"),
    "a function between": (
        lambda: with_parts(lambda b, z: b.map("multiply", b.relu(z), 2.0)),
        "'2'.*it does not follow '1' through a ReLU alone",
    ),
    "an exponential between": (
        lambda: with_parts(lambda b, z: b.map("exp", z)),
        "'2': activation relu∘exp has no bounded, positive slope",
    ),
}


@pytest.mark.parametrize(("build", "message"), NO_CHAIN.values(), ids=NO_CHAIN)
def test_what_is_no_chain_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        planned(build(), **ISOMETRIC)


def test_a_bias_that_is_added_belongs_to_the_chain() -> None:
    made = planned(of_one_output(bias=False), register_missing_bias=True, **ISOMETRIC)
    assert made.biases == planned(of_one_output(bias=True), **ISOMETRIC).biases
    assert [layer.add_bias for layer in made.layers] == [False, True, True]
    assert [layer.shift_into for layer in made.layers] == ["", "1", "2"]
