"""Whole networks as graphs: certified with non-negative weights, and refused by the name of the one that is not."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder, NumpyFramework

RNG = np.random.default_rng(1)


class Net(Builder):
    """Weights by name; ``spoil`` names the one that gets a single negative element."""

    def __init__(self, spoil: str = "") -> None:
        super().__init__()
        self.spoil = spoil

    def free(self, name: str, *shape: int) -> Node:
        return self.parameter(name, RNG.standard_normal(shape))

    def positive(self, name: str, *shape: int) -> Node:
        numbers = np.abs(RNG.standard_normal(shape))
        if name == self.spoil:
            numbers.flat[1] = -1e-3
        return self.parameter(name, numbers)


def chain(b: Net) -> Node:
    z = b.softplus(b.linear(b.input("x", (8, 5)), b.free("0.weight", 6, 5), b.free("0.bias", 6)))
    z = b.leaky_relu(b.linear(z, b.positive("1.weight", 6, 6), b.free("1.bias", 6)))
    return b.linear(z, b.positive("2.weight", 1, 6))


def skips(b: Net) -> Node:
    x = b.input("x", (8, 5))
    z = b.softplus(b.linear(x, b.free("first.weight", 6, 5)))
    z = b.elu(
        b.add(b.linear(z, b.positive("1.weight", 6, 6)), b.linear(x, b.free("1.free", 6, 5))),
        alpha=0.5,
        input_scale=2.0,
    )
    return b.add(b.linear(z, b.positive("2.weight", 1, 6)), b.linear(x, b.free("2.free", 1, 5)))


def recurrent(b: Net) -> Node:
    x, z = b.input("x", (8, 5)), b.literal(np.zeros((8, 6)))
    inward, onward = b.free("inward", 6, 5), b.positive("onward", 6, 6)
    for _ in range(3):
        z = b.leaky_relu(b.add(b.linear(z, onward), b.linear(x, inward)))
    return b.sum(z, axes=(1,))


def context(b: Net) -> Node:
    x, y = b.input("x", (8, 5)), b.input("y", (8, 3))
    z = b.relu(b.add(b.linear(x, b.free("x.weight", 6, 5)), b.tanh(b.linear(y, b.free("y.weight", 6, 3)))))
    gated = b.multiply(z, b.softplus(b.linear(y, b.free("gate", 6, 3))))
    return b.linear(gated, b.positive("out", 1, 6))


def concatenated(b: Net) -> Node:
    x = b.input("x", (8, 5))
    z = b.concatenate(b.relu(b.linear(x, b.free("first", 4, 5))), x, axis=1)
    numbers = np.hstack([np.abs(RNG.standard_normal((2, 4))), RNG.standard_normal((2, 5))])
    if b.spoil == "second":
        numbers[0, 1] = -1e-3
    return b.linear(z, b.parameter("second", numbers))


def dense(b: Net) -> Node:
    """Each layer sees the features of all before it."""
    z = b.input("x", (8, 4))
    for layer in range(4):
        width = z.shape[1] - 4
        weight = np.hstack([RNG.standard_normal((3, 4)), np.abs(RNG.standard_normal((3, width)))])
        if b.spoil == f"{layer}":
            weight[0, -1] = -1e-3
        z = b.concatenate(z, b.relu(b.linear(z, b.parameter(f"{layer}", weight))), axis=1)
    return b.sum(b.part(z, slice(None), slice(4, 16)), axes=(1,))


def energy(b: Net) -> Node:
    x = b.input("x", (8, 5))
    squares = b.sum(b.power(b.linear(x, b.free("a", 4, 5)), 2.0), axes=(1,))
    parts = [squares, b.log_sum_exp(b.linear(x, b.free("b", 6, 5)), axes=(1,)), b.norm(x, axes=(1,))]
    parts.append(b.max(b.linear(x, b.free("c", 3, 5)), axes=(1,)))
    return b.contract(b.stack(*parts, axis=1), b.positive("mixture", 4), axes=((1,), (0,)))


def convolutional(b: Net) -> Node:
    z = b.relu(b.convolve(b.input("x", (2, 1, 8)), b.free("stem", 4, 1, 3)))
    inner = b.convolve(b.pad(z, 0.0, widths=((0, 0), (0, 0), (1, 1))), b.positive("conv", 4, 4, 3))
    scale = b.positive("norm.weight", 4)
    inner = b.batch_norm(inner, scale, b.free("norm.bias", 4), RNG.standard_normal(4), np.ones(4))
    z = b.relu(b.add(z, inner))
    pooled = b.op("window_max", z, run=lambda a: a.reshape(2, 4, 3, 2).max(-1))
    return b.linear(b.mean(pooled, axes=(2,)), b.positive("head", 1, 4))


def maps(b: Net) -> Node:
    """Weights through maps that make them non-negative, and a gain that must be."""
    x = b.input("x", (8, 5))
    z = b.relu(b.matmul(x, b.free("first", 5, 6)))
    z = b.relu(b.matmul(z, b.divide(b.softplus(b.free("raw", 6, 6)), 6.0)))
    z = b.relu(b.matmul(z, b.multiply(b.exp(b.free("log", 6, 6)), b.positive("gain", 6))))
    return b.matmul(z, b.square(b.free("root", 6, 1)))


MODELS = {
    chain: ("1.weight", "2.weight"),
    skips: ("1.weight", "2.weight"),
    recurrent: ("onward",),
    context: ("out",),
    concatenated: ("second",),
    dense: ("1", "2", "3"),
    energy: ("mixture",),
    convolutional: ("conv", "norm.weight", "head"),
    maps: ("gain",),
}


def certified(model, spoil: str = ""):
    b = Net(spoil)
    b.output(model(b))
    return certificate_of(b.graph, judge(b.graph, ["x"], framework=NumpyFramework()))


@pytest.mark.parametrize("model", MODELS)
def test_a_network_is_certified(model):
    assert certified(model), str(certified(model))


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, names in MODELS.items() for name in names])
def test_one_negative_weight_is_refused_by_name(model, name):
    certificate = certified(model, name)
    assert not certificate
    assert f"'{name}'" in str(certificate)
    assert "goes down to -0.0" in str(certificate)


@pytest.mark.parametrize("model", [chain, skips, recurrent, context, convolutional, maps])
def test_it_would_be_certified_if_its_weights_were_non_negative(model):
    for name in MODELS[model]:
        b = Net(name)
        b.output(model(b))
        assert certificate_of(b.graph, judge(b.graph, ["x"], assume_non_negative=MODELS[model]))


def test_context_is_no_convex_input():
    b = Net()
    b.output(context(b))
    assert "tanh is neither convex nor concave" in str(certificate_of(b.graph, judge(b.graph)))
