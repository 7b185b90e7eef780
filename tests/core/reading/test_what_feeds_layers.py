"""The activation between a layer and the one before, by its name or by its values."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.reading.fed_by import Feeding
from convex_init_core.theory.moments import feature_moments
from tests.core.reading.drawn_graphs import Drawing


def chosen_elu(g, s, alpha):
    below = g.multiply(alpha, g.expm1(g.minimum(s, 0.0)))
    return g.where(g.compare(s, 0.0, relation=">="), s, below)


ACTIVATIONS = {
    "relu": (lambda g, s: g.relu(s), "relu"),
    "maximum": (lambda g, s: g.maximum(s, 0.0), "relu"),
    "leaky relu": (lambda g, s: g.leaky_relu(s, slope=0.2), "leaky_relu(0.2)"),
    "softplus": (lambda g, s: g.softplus(s, beta=2.0, threshold=20.0), "softplus(2, 20)"),
    "log-add-exp": (lambda g, s: g.log_add_exp(s, 0.0), "softplus(1, 20)"),
    "elu": (lambda g, s: g.elu(s, alpha=1.0, scale=1.0, input_scale=1.0), "elu(1)"),
    "celu": (lambda g, s: g.elu(s, alpha=0.5, scale=1.0, input_scale=2.0), "celu(0.5)"),
    "scaled elu": (lambda g, s: g.elu(s, alpha=0.5, scale=3.0, input_scale=1.0), "elu(0.5)"),
    "prelu": (lambda g, s: g.prelu(s, 0.25), "prelu(0.25)"),
    "chosen": (lambda g, s: g.where(g.compare(s, 0.0, relation=">"), s, 0.0), "relu"),
    "leaky, chosen": (lambda g, s: g.maximum(s, g.multiply(0.1, s)), "leaky_relu(0.1)"),
    "half of |s| + s": (lambda g, s: g.multiply(g.add(g.abs(s), s), 0.5), "relu"),
    "log of 1 + exp": (lambda g, s: g.log(g.add(g.exp(g.multiply(3.0, s)), 1.0)), "softplus(3, 20)"),
    "elu, chosen": (lambda g, s: g.where(g.compare(s, 0.0, relation=">="), s, g.expm1(g.minimum(s, 0.0))), "elu(1)"),
    "elu, chosen, a rounding too steep": (lambda g, s: chosen_elu(g, s, 1.0 + 8e-10), "elu(1)"),
    "elu, chosen, too steep": (lambda g, s: chosen_elu(g, s, 1.01), "None"),
    "tanh": (lambda g, s: g.tanh(s), "None"),
    "square": (lambda g, s: g.square(s), "None"),
    "gelu by erf": (
        lambda g, s: g.multiply(s, g.multiply(0.5, g.add(1.0, g.erf(g.multiply(0.5**0.5, s))))),
        "None",
    ),
}


def fed(g, node):
    reading = g.read()
    return Feeding.of(g.graph, reading.values).activation_behind(node)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_gets_its_name(name):
    make, shown = ACTIVATIONS[name]
    g = Drawing()
    z = make(g, g.linear(g.input(4, 6), "0", 8))
    assert str(fed(g, z)) == shown


CONVEX = {
    "smoothed relu": lambda g, s: g.add(
        g.square(g.minimum(g.maximum(s, 0.0), 0.5)), g.maximum(g.subtract(s, 0.5), 0.0)
    ),
    "by erf": lambda g, s: g.add(
        g.multiply(s, g.multiply(0.5, g.add(1.0, g.erf(g.multiply(0.5**0.5, s))))),
        g.multiply((2 * np.pi) ** -0.5, g.exp(g.multiply(-0.5, g.square(s)))),
    ),
    "squared relu": lambda g, s: g.square(g.relu(s)),
    "two kinks": lambda g, s: g.add(g.relu(s), g.relu(g.subtract(s, 1.37))),
}


@pytest.mark.parametrize("name", CONVEX)
def test_another_convex_function_is_known_by_its_values(name):
    g = Drawing()
    s = g.linear(g.input(4, 6), "0", 8)
    phi = fed(g, CONVEX[name](g, s))
    samples = np.random.default_rng(0).normal(size=400_000)
    values = phi(samples)
    moments = feature_moments(phi, 0.5)
    # Six standard errors of a mean.
    assert moments.mean == pytest.approx(values.mean(), abs=6 * values.std() / 400_000**0.5)
    assert moments.second == pytest.approx((values**2).mean(), abs=6 * (values**2).std() / 400_000**0.5)
    assert phi == fed(g, CONVEX[name](g, s))


PASSING = {
    "pooled": lambda g, z: g.reduce("mean", z, 1),
    "gated": lambda g, z: g.multiply(z, 2.0),
    "behind circular padding": lambda g, z: g.join(
        g.node("slice", z, shape=(4, 1), starts=(0, 7), stops=(4, 8), steps=(1, 1)),
        z,
        g.node("slice", z, shape=(4, 1), starts=(0, 0), stops=(4, 1), steps=(1, 1)),
    ),
    "beside the input": lambda g, z: g.join(z, g.graph.inputs["x"]),
    "added to the input": lambda g, z: g.add(z, g.linear(g.graph.inputs["x"], "1", 8)),
}


@pytest.mark.parametrize("name", PASSING)
def test_moves_and_pools_are_looked_through(name):
    g = Drawing()
    z = PASSING[name](g, g.relu(g.linear(g.input(4, 6), "0", 8)))
    assert str(fed(g, z)) == "relu"


def test_two_activations_are_none():
    g = Drawing()
    s = g.linear(g.input(4, 6), "0", 8)
    both = g.join(g.relu(s), g.softplus(s, beta=1.0, threshold=20.0))
    assert fed(g, both) is None


def test_behind_another_layer_is_the_identity():
    g = Drawing()
    z = g.relu(g.linear(g.input(4, 6), "0", 8))
    assert str(fed(g, g.linear(z, "1", 8))) == "identity"
