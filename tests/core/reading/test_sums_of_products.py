"""What is added up to one pre-activation: products, biases, identities, squares, numbers and factors."""

from __future__ import annotations

import math

import pytest

from tests.core.reading.drawn_graphs import Drawing, close, terms


def stem(g, width=8):
    x = g.input(4, 6)
    return x, g.relu(g.linear(x, "0", width))


def test_a_skip_is_summed_with_its_positive_layer():
    g = Drawing()
    x, z = stem(g)
    root = g.add(g.linear(z, "along", 8, bias=False), g.linear(x, "across", 8))
    g.relu(root)
    first, second = g.read().sums
    assert terms(first) == ["0.weight"]
    assert first.biases == [("0.bias", 1.0)]
    assert second.root is root
    assert ([t.product.source for t in second.positive], [t.product.source for t in second.free]) == (
        ["along.weight"],
        ["across.weight"],
    )
    assert second.biases == [("across.bias", 1.0)]


def test_several_positive_layers_and_a_subtracted_bias():
    g = Drawing()
    _, z = stem(g)
    w = g.relu(g.linear(z, "1", 8))
    g.subtract(g.add(g.linear(w, "near", 8, bias=False), g.linear(z, "far", 8, bias=False)), g.parameter("b", 8))
    last = g.read().sums[-1]
    assert [t.product.source for t in last.positive] == ["near.weight", "far.weight"]
    assert last.biases == [("b", -1.0)]


def test_an_identity_with_a_positive_factor_is_present():
    g = Drawing()
    _, z = stem(g)
    gain = g.exp(g.parameter("gain", 8))
    g.add(g.multiply(gain, z), g.multiply(0.5, g.linear(z, "1", 8)))
    last = g.read().sums[-1]
    ((node, factor),) = last.present
    assert node is z
    assert close(factor.mean, gain.constant.handle.mean())
    assert factor.literal == 1.0  # learnt
    assert last.terms[0].factor.literal == 0.5
    assert last.biases == [("1.bias", 0.5)]


@pytest.mark.parametrize("way", ["square", "power", "product"])
def test_a_square_of_a_product_is_a_quadratic_term_whose_bias_cannot_shift(way):
    g = Drawing()
    x, z = stem(g)
    inner = g.linear(x, "q", 8)
    squared = {
        "square": lambda: g.square(inner),
        "power": lambda: g.power(inner, 2.0),
        "product": lambda: g.multiply(inner, inner),
    }
    g.add(g.linear(z, "1", 8), squared[way]())
    last = g.read().sums[-1]
    assert {t.product.source: t.squares for t in last.terms} == {"1.weight": 0.0, "q.weight": 1.0}
    assert sorted(last.biases) == [("1.bias", 1.0), ("q.bias", 0.0)]


def test_a_sum_of_squares_counts_them():
    g = Drawing()
    x, z = stem(g)
    inner = g.moved("reshape", g.linear(x, "q", 24, bias=False), (4, 3, 8))
    g.add(g.reduce("sum", g.square(inner), 1), g.linear(z, "1", 8))
    assert {t.product.source: t.squares for t in g.read().sums[-1].terms} == {"q.weight": 3.0, "1.weight": 0.0}


@pytest.mark.parametrize(
    ("way", "squares", "factor"),
    [
        ("a number inside", 3.0, 0.5),
        ("a number inside and outside", 3.0, 2.0),
        ("a quotient inside", 3.0, 0.25),
        ("a mean", 3.0, 1 / 3),
        ("a mean of scaled ones", 3.0, 1 / 6),
        ("moved behind a number", 3.0, 0.5),
        ("a learnt gain inside", 3.0, math.e),
    ],
)
def test_a_factor_between_squares_and_their_sum_is_one_of_the_term(way, squares, factor):
    g = Drawing()
    x, z = stem(g)
    squared = g.square(g.moved("reshape", g.linear(x, "q", 24, bias=False), (4, 3, 8)))
    gain = g.exp(g.node("parameter", shape=(), array=1.0, name="gain"))
    made = {
        "a number inside": lambda: g.reduce("sum", g.multiply(0.5, squared), 1),
        "a number inside and outside": lambda: g.multiply(4.0, g.reduce("sum", g.multiply(0.5, squared), 1)),
        "a quotient inside": lambda: g.reduce("sum", g.divide(squared, 4.0), 1),
        "a mean": lambda: g.reduce("mean", squared, 1),
        "a mean of scaled ones": lambda: g.reduce("mean", g.multiply(0.5, squared), 1),
        "moved behind a number": lambda: g.reduce(
            "sum", g.moved("transpose", g.multiply(0.5, squared), (4, 8, 3), axes=(0, 2, 1)), 2
        ),
        "a learnt gain inside": lambda: g.reduce("sum", g.multiply(gain, squared), 1),
    }[way]()
    g.add(made, g.linear(z, "1", 8))
    last = g.read().sums[-1]
    assert {t.product.source: t.squares for t in last.terms} == {"q.weight": squares, "1.weight": 0.0}
    found = next(t.factor.mean for t in last.terms if t.squares)
    assert close(found, factor)
    assert not last.present


def test_numbers_in_the_code_are_an_offset():
    g = Drawing()
    _, z = stem(g)
    g.multiply(2.0, g.subtract(g.add(g.linear(z, "1", 8), 3.0), 1.0))
    last = g.read().sums[-1]
    assert last.offset == 4.0
    assert last.biases == [("1.bias", 2.0)]


def test_a_bias_that_is_added_twice_counts_twice():
    g = Drawing()
    _, z = stem(g)
    made = g.linear(z, "1", 8)
    g.add(made, made)
    assert g.read().sums[-1].biases == [("1.bias", 2.0)]


def test_a_bias_that_is_also_in_the_value_at_zero_is_cancelled():
    g = Drawing()
    x, _ = stem(g)
    weight, bias = g.parameter("w", 8, 6), g.parameter("b", 8)
    at_zero = g.add(g.product(g.buffer("zero", [[0.0] * 6]), weight), bias)
    g.subtract(g.add(g.product(x, weight), bias), at_zero)
    last = g.read().sums[-1]
    assert not last.biases
    assert last.cancelled >= {"b"}


def test_a_bias_that_is_subtracted_again_is_cancelled():
    g = Drawing()
    _, z = stem(g)
    s = g.linear(z, "1", 8)
    g.subtract(s, g.node("broadcast", g.node("mean", s, shape=(4, 1), axes=(1,), keepdims=True), shape=(4, 8)))
    last = g.read().sums[-1]
    assert not last.biases
    assert last.cancelled == {"1.bias"}


def test_a_bias_in_front_of_a_softmax_centres_what_it_takes():
    g = Drawing()
    _, z = stem(g)
    g.softmax(g.linear(z, "1", 8), axis=1)
    assert g.read().sums[-1].biases == [("1.bias", 1.0)]


def test_a_value_of_context_brings_its_own_bias():
    g = Drawing()
    _, z = stem(g)
    side = g.linear(g.tanh(g.linear(g.input(4, 3, name="c"), "embed", 5)), "side", 8)
    g.add(g.linear(z, "1", 8, bias=False), side)
    last = g.read(["x"]).sums[-1]
    assert last.fallback_bias == "side.bias"
    assert [node for node, _ in last.present] == [side]


def test_a_free_layer_that_two_sums_share_is_a_term_of_both():
    g = Drawing()
    x, z = stem(g)
    shared = g.linear(x, "shared", 8)
    w = g.relu(g.add(g.linear(z, "1", 8, bias=False), shared))
    g.add(g.linear(w, "2", 8, bias=False), shared)
    found = {tuple(terms(each)): each.biases for each in g.read().sums}
    assert found == {
        ("0.weight",): [("0.bias", 1.0)],
        ("1.weight", "shared.weight"): [("shared.bias", 1.0)],
        ("2.weight", "shared.weight"): [("shared.bias", 1.0)],
    }


def test_a_layer_that_is_also_used_elsewhere_is_a_sum_of_its_own():
    g = Drawing()
    _, z = stem(g)
    s = g.linear(z, "1", 8)
    g.add(g.relu(s), g.add(s, g.linear(z, "2", 8)))
    assert [terms(each) for each in g.read().sums] == [["0.weight"], ["1.weight"], ["2.weight"]]


def test_a_batch_normalisation_takes_its_sum():
    g = Drawing()
    _, z = stem(g)
    statistics = [g.buffer(name, [1.0] * 8) for name in ("scale", "shift", "mean", "variance")]
    out = g.batch_norm(g.linear(z, "1", 8, bias=False), *statistics, epsilon=1e-5, axis=1)
    last = g.read().sums[-1]
    assert last.normalised is last.root is out
    assert terms(last) == ["1.weight"]


def test_a_batch_normalisation_written_out_is_affine_with_constant_factors():
    g = Drawing()
    _, z = stem(g)
    mean, variance = g.buffer("mean", [0.5] * 4 + [1.5] * 4), g.buffer("variance", [4.0] * 8)
    gamma, beta = g.parameter("gamma", 8, low=0.5, high=1.5), g.parameter("beta", 8)
    scale = g.multiply(g.rsqrt(variance), gamma)
    g.add(g.multiply(g.subtract(g.linear(z, "1", 8, bias=False), mean), scale), beta)
    reading = g.read()
    last = reading.sums[-1]
    assert terms(last) == ["1.weight"]
    assert close(last.terms[0].factor.mean, scale.constant.handle.mean())
    assert [node for node, _ in last.present] == [mean]
    assert last.biases == [("beta", 1.0)]
    assert not reading.problems


FACTORS = {
    "as it is": (lambda g, s: s, (1.0, 1.0, 1.0)),
    "turned over": (lambda g, s: g.negate(s), (-1.0, 1.0, -1.0)),
    "turned over twice": (lambda g, s: g.negate(g.negate(s)), (1.0, 1.0, 1.0)),
    "times a number": (lambda g, s: g.multiply(-0.5, s), (-0.5, 0.25, -0.5)),
    "over a number": (lambda g, s: g.divide(s, -4.0), (-0.25, 0.0625, -0.25)),
    "turned over and scaled": (lambda g, s: g.negate(g.multiply(3.0, s)), (-3.0, 9.0, -3.0)),
    "twice": (lambda g, s: g.add(s, s), (2.0, 4.0, 2.0)),
}


@pytest.mark.parametrize("name", FACTORS)
def test_the_moments_of_a_factor(name):
    make, wanted = FACTORS[name]
    g = Drawing()
    x, z = stem(g)
    g.add(g.linear(z, "1", 8), make(g, g.linear(x, "free", 8, bias=False)))
    (factor,) = (term.factor for term in g.read().sums[-1].terms if term.product.source == "free.weight")
    assert (factor.mean, factor.second, factor.literal) == wanted
