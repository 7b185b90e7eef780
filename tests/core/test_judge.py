"""Judging graphs: constants and their names, assumptions, context, the grid, certificates and cost."""

from __future__ import annotations

import time

import numpy as np
import pytest

from convex_init_core.convexity.calculus import Curvature, Monotonicity, Sign
from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.graph.nodes import Constant
from tests.core.graphs.builder import Builder, NumpyFramework

RNG = np.random.default_rng(0)
MIXED = RNG.standard_normal((4, 4))


def two_layers(weight, through=lambda b, w: w):
    """A ReLU network of x (3, 4) whose second weight is ``through`` of a parameter."""
    b = Builder()
    x = b.input("x", (3, 4))
    z = b.relu(b.linear(x, b.parameter("first.weight", MIXED), b.parameter("first.bias", MIXED[0])))
    b.module = "second"
    b.output(b.linear(z, through(b, b.parameter("second.weight", weight)), at="addmm"))
    return b


# Constants


def test_a_single_negative_weight_is_named():
    weight = np.abs(MIXED)
    b = two_layers(weight)
    assert certificate_of(b.graph, judge(b.graph))
    weight[1, 2] = -1e-3
    b = two_layers(weight)
    assert str(certificate_of(b.graph, judge(b.graph))) == (
        "cannot tell: output: addmm in 'second' maps a convex value, but 'second.weight' goes down to -0.001"
    )


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_named(number):
    weight = np.abs(MIXED)
    weight[0, 0] = number
    b = two_layers(weight)
    assert "'second.weight' holds NaN or infinite values" in str(certificate_of(b.graph, judge(b.graph)))


def test_constants_have_the_names_of_what_they_are_made_of():
    b = Builder()
    w, v, c = b.parameter("w", MIXED), b.parameter("v", MIXED), b.buffer("c", [1.0, -2.0])
    b.module = "part"
    made = [b.add(b.exp(w), v), c, b.literal(3.0), b.literal([1.0, 2.0]), b.exp(c), w]
    values = judge(b.graph)
    assert [values[node].label for node in made] == [
        "'w' and 'v'",
        "'c'",
        "the number 3",
        "an unregistered tensor in 'part'",
        "a constant",
        "'w'",
    ]


def test_signs_of_constants_are_those_of_their_numbers():
    b = Builder()
    nodes = {b.literal(n): sign for n, sign in ((2.0, Sign.NON_NEGATIVE), (0.0, Sign.ZERO), (-1.0, Sign.NON_POSITIVE))}
    nodes |= {b.parameter("w", [-1.0, 0.0]): Sign.NON_POSITIVE, b.parameter("v", [-1.0, 1.0]): Sign.ANY}
    nodes |= {b.literal(np.array([True, False])): Sign.NON_NEGATIVE, b.literal(np.zeros(0)): Sign.NON_NEGATIVE}
    values = judge(b.graph)
    assert {node: values[node].sign for node in nodes} == nodes
    assert all(values[node].is_constant for node in nodes)


def test_a_constant_without_numbers_is_of_any_sign():
    b = two_layers(np.abs(MIXED))
    weight = next(node for node in b.graph if node.params.get("name") == "second.weight")
    weight.constant = Constant(None, None, ("second.weight",))
    certificate = certificate_of(b.graph, judge(b.graph))
    assert "'second.weight' has no numbers that can be compared" in str(certificate)


# Assumptions


@pytest.mark.parametrize(
    "through",
    [
        lambda b, w: w,
        lambda b, w: b.transpose(w, axes=(1, 0)),
        lambda b, w: b.multiply(w, b.parameter("gain", [1.0, 2.0, 0.5, 0.1])),
        lambda b, w: b.divide(w, 4.0),
        lambda b, w: b.part(b.concatenate(w, w, axis=0), slice(2, 6)),
    ],
)
def test_an_assumption_follows_a_weight(through):
    b = two_layers(MIXED, through)
    assumed = judge(b.graph, assume_non_negative=["second.weight"])
    assert certificate_of(b.graph, assumed)
    assert not certificate_of(b.graph, judge(b.graph, assume_non_negative=["first.weight"]))


def test_an_assumption_ends_where_signs_may_change():
    b = two_layers(np.abs(MIXED) + 1.0, lambda b, w: b.subtract(w, 0.5))
    assert certificate_of(b.graph, judge(b.graph))  # by its numbers
    refused = certificate_of(b.graph, judge(b.graph, assume_non_negative=["second.weight"]))
    assert str(refused) == (
        "cannot tell: output: addmm in 'second' maps a convex value, but 'second.weight' takes both signs"
    )


def test_an_assumption_leaves_no_numbers():
    b = Builder()
    x, w = b.input("x", (3, 4)), b.parameter("w", np.eye(4))
    b.output(b.sum(b.multiply(x, b.linear(x, w)), axes=(1,)))
    assert certificate_of(b.graph, judge(b.graph, framework=NumpyFramework()))
    assert not certificate_of(b.graph, judge(b.graph, assume_non_negative=["w"], framework=NumpyFramework()))


def test_a_weight_of_two_parts_follows_an_assumption_about_one():
    b = Builder()
    x = b.input("x", (3, 4))
    weight = b.concatenate(b.parameter("w", MIXED), b.parameter("v", MIXED), axis=1)
    b.output(b.linear(b.concatenate(b.relu(x), x, axis=1), weight))
    assert not certificate_of(b.graph, judge(b.graph, framework=NumpyFramework()))
    assert certificate_of(b.graph, judge(b.graph, assume_non_negative=["w"], framework=NumpyFramework()))
    assert not certificate_of(b.graph, judge(b.graph, assume_non_negative=["v"], framework=NumpyFramework()))


# Inputs


def test_inputs_are_convex_or_context():
    b = Builder()
    x, y = b.input("x", (3, 4)), b.input("y", (3, 4))
    b.output(b.multiply(b.relu(x), b.exp(y)))
    assert certificate_of(b.graph, judge(b.graph, ["x"]))
    assert not certificate_of(b.graph, judge(b.graph, ["y", "x"]))
    assert not certificate_of(b.graph, judge(b.graph))
    values = judge(b.graph, "x")
    assert values[y].is_constant
    assert values[y].label == "input 'y'"
    with pytest.raises(ValueError, match=r"convex_inputs names 'z', which is no tensor among the inputs x, y"):
        judge(b.graph, ["z"])


def test_monotonicity_reaches_the_output():
    b = Builder()
    x, y = b.input("x", (3, 4)), b.input("y", (3, 4))
    out = b.output(b.add(b.softplus(x), b.multiply(b.exp(b.negate(y)), 2.0)))
    assert judge(b.graph)[out].monotone == {"x": Monotonicity.INCREASING, "y": Monotonicity.DECREASING}


def test_whole_numbers_and_complex_numbers_are_refused():
    b = Builder()
    x, y = b.input("x", (3, 4)), b.input("y", (3, 4))
    counted = b.cast(b.cast(b.compare(x, ">", 0.0), "int64"), "float64")
    waves = b.op("opaque", x, run=np.fft.fft, dtype="complex128")
    fixed = b.cast(b.cast(b.compare(y, ">", 0.0), "int64"), "float64")
    values = judge(b.graph, ["x"])
    assert values[counted].reason == "compare makes whole numbers or truth values from the input"
    assert values[waves].reason == "opaque has complex numbers, for which there is no rule"
    assert values[fixed].is_constant


# What single rules do not see


COMPOSITES = {
    "smoothed relu": (
        lambda b, s: b.add(b.power(b.minimum(b.maximum(s, 0.0), 0.5), 2.0), b.maximum(b.subtract(s, 0.5), 0.0)),
        True,
    ),
    "softplus from its parts": (
        lambda b, s: b.add(b.relu(s), b.log(b.add(1.0, b.exp(b.negate(b.abs(s)))))),
        True,
    ),
    "by a mask": (lambda b, s: b.multiply(b.cast(b.compare(b.multiply(2.0, s), ">", 0.0)), s), True),
    "smoothed step": (lambda b, s: b.minimum(b.maximum(s, 0.0), 1.0), False),
    "tanh": (lambda b, s: b.tanh(s), False),
    "by units": (lambda b, s: b.multiply(b.minimum(b.maximum(s, 0.0), 1.0), np.linspace(-1.0, 1.0, 4)), False),
    "units that meet": (lambda b, s: b.tanh(b.subtract(s, b.max(s, axes=(1,), keepdims=True))), False),
}


PROVED = ("softplus from its parts", "smoothed relu", "by a mask")


@pytest.mark.parametrize("name", COMPOSITES)
def test_the_grid_accepts_what_is_convex_on_it(name):
    function, is_convex = COMPOSITES[name]
    b = Builder()
    b.output(b.matmul(function(b, b.matmul(b.input("x", (3, 4)), b.literal(MIXED))), b.literal(np.abs(MIXED))))
    assert bool(certificate_of(b.graph, judge(b.graph))) == (name in PROVED)
    assert bool(certificate_of(b.graph, judge(b.graph, on_a_grid=True))) == is_convex


def test_the_grid_asks_for_monotonicity_behind_a_convex_value():
    b = Builder()
    x = b.input("x", (3, 4))
    folded = b.square(b.leaky_relu(b.matmul(b.elu(x), b.literal(np.abs(MIXED)))))  # behind x it would be convex
    b.output(folded)
    assert not certificate_of(b.graph, judge(b.graph, on_a_grid=True))
    assert judge(b.graph, on_a_grid=True)[folded].curvature is Curvature.UNKNOWN


# Forms


@pytest.mark.parametrize(
    ("dtype", "least", "curvature"),
    [
        ("float32", -1e-7, Curvature.UNKNOWN),  # what the matrix is counts, not what it may have been
        ("float32", -9e-7, Curvature.UNKNOWN),
        ("float64", -1e-7, Curvature.UNKNOWN),
        ("float64", -1e-16, Curvature.UNKNOWN),
        ("float64", 0.0, Curvature.CONVEX),
        ("float64", 1e-16, Curvature.CONVEX),
        ("bfloat16", -1e-3, Curvature.UNKNOWN),
        ("bfloat16", 0.0, Curvature.CONVEX),
    ],
)
def test_what_counts_as_a_negative_eigenvalue(dtype, least, curvature):
    b = Builder()
    x = b.input("x", (3, 4))
    matrix = b.parameter("Q", np.diag([1.0, 0.5, 0.25, least]), dtype)
    out = b.output(b.sum(b.multiply(x, b.linear(x, matrix)), axes=(1,)))
    assert judge(b.graph, framework=NumpyFramework())[out].curvature is curvature


def test_a_negative_form_is_concave():
    b = Builder()
    x = b.input("x", (3, 4))
    out = b.output(b.sum(b.multiply(x, b.linear(x, b.parameter("Q", -np.eye(4)))), axes=(1,)))
    assert judge(b.graph, framework=NumpyFramework())[out].curvature is Curvature.CONCAVE
    assert "the numbers of its matrix are not known" in judge(b.graph)[out].reason


# Certificates


def test_a_certificate_of_named_outputs():
    b = two_layers(np.abs(MIXED))
    b.output(b.negate(b.graph.outputs["output"]), "minus")
    b.output(b.compare(b.graph.outputs["output"], ">", 0.0), "mask")
    b.graph.notes.append("a note")
    values = judge(b.graph)
    assert set(certificate_of(b.graph, values).outputs) == {"output", "minus"}
    assert str(certificate_of(b.graph, values)) == "cannot tell: minus is concave\nnote: a note"
    assert str(certificate_of(b.graph, values, ["output"])) == "convex\nnote: a note"
    assert certificate_of(b.graph, values, "output")
    with pytest.raises(ValueError, match="outputs names 'nope', but the model returns output, minus, mask"):
        certificate_of(b.graph, values, ["nope"])
    b.graph.doubts.append("a doubt")
    assert not certificate_of(b.graph, values, ["output"])


def deep(layers: int) -> Builder:
    b = Builder()
    x = z = b.input("x", (2, 4))
    weight, free = b.parameter("w", np.abs(MIXED)), b.parameter("v", MIXED)
    for _ in range(layers):
        z = b.relu(b.add(b.linear(z, weight), b.linear(x, free)))
    b.output(z)
    return b


def test_the_cost_is_linear_in_depth():
    def seconds(b: Builder) -> float:
        found = []
        for _ in range(3):
            start = time.perf_counter()
            judge(b.graph, on_a_grid=True, framework=NumpyFramework())
            found.append(time.perf_counter() - start)
        return min(found)

    small, large = deep(100), deep(1600)
    assert certificate_of(large.graph, judge(large.graph))
    assert seconds(large) < 64.0 * seconds(small)  # 16 if linear, 256 if quadratic
