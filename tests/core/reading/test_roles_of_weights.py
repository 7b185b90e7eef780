"""Which weights a graph multiplies with, and whether each is positive or free."""

from __future__ import annotations

import pytest

from convex_init_core.planning.measurement.sizes import samples
from tests.core.reading.drawn_graphs import Drawing, roles


def chain(g, depth=3):
    x = g.input(4, 6)
    z = g.relu(g.linear(x, "0", 8))
    for i in range(1, depth):
        z = g.relu(g.linear(z, str(i), 8))
    return z


def test_a_weight_is_positive_behind_a_non_linearity():
    g = Drawing()
    chain(g)
    reading = g.read()
    assert roles(reading) == {"0.weight": "free", "1.weight": "positive", "2.weight": "positive"}
    assert [p.source for p in reading.products] == ["0.weight", "1.weight", "2.weight"]
    assert [p.fan_in for p in reading.products] == [6, 8, 8]
    assert not reading.problems


def test_the_users_word_counts_more():
    g = Drawing()
    chain(g)
    reading = g.read(positive={"0.weight"}, free={"2.weight"})
    assert roles(reading) == {"0.weight": "positive", "1.weight": "positive", "2.weight": "free"}


def test_layers_of_context_are_no_products():
    g = Drawing()
    x, c = g.input(4, 6), g.input(4, 3, name="c")
    gate = g.sigmoid(g.linear(c, "gate", 6))
    g.linear(g.multiply(x, gate), "seen", 8)
    assert roles(g.read(["x"])) == {"seen.weight": "free"}


def test_a_gate_of_context_leaves_a_weight_positive():
    g = Drawing()
    z = chain(g, 1)
    gate = g.relu(g.linear(g.input(4, 3, name="c"), "gate", 8))
    g.linear(g.multiply(z, gate), "next", 8)
    reading = g.read(["x"])
    assert roles(reading) == {"0.weight": "free", "next.weight": "positive"}


@pytest.mark.parametrize("through", [None, "exp"])
def test_a_tied_weight_is_a_product_at_each_use(through):
    g = Drawing()
    z = chain(g, 1)
    weight = g.parameter("again", 8, 8)
    weight = weight if through is None else g.exp(weight)
    for _ in range(3):
        z = g.relu(g.product(z, weight))
    reading = g.read()
    assert [p.source for p in reading.products] == ["0.weight", "again", "again", "again"]
    assert {str(p.positivity) for p in reading.products[1:]} == {str(through)}


NOT_OF_SINGLE_NUMBERS = {
    "zero mean": lambda g, w: g.subtract(w, g.reduce("mean", w)),
    "orthogonal": lambda g, w: g.opaque(w, shape=w.shape, why="", non_negative=False),
    "spectral norm": lambda g, w: g.divide(w, g.reduce("max", w)),
}


@pytest.mark.parametrize("name", NOT_OF_SINGLE_NUMBERS)
def test_a_free_weight_that_is_no_map_of_single_numbers_stays_as_it_is(name):
    g = Drawing()
    x = g.input(4, 6)
    z = g.relu(g.linear(x, "0", 8, through=lambda w: NOT_OF_SINGLE_NUMBERS[name](g, w)))
    g.linear(z, "1", 8)
    reading = g.read()
    assert roles(reading) == {"1.weight": "positive"}
    assert [source for source, _ in reading.left] == ["0.weight"]
    assert not reading.problems


@pytest.mark.parametrize("name", NOT_OF_SINGLE_NUMBERS)
def test_a_positive_one_is_a_problem(name):
    g = Drawing()
    g.linear(chain(g, 1), "1", 8, through=lambda w: NOT_OF_SINGLE_NUMBERS[name](g, w))
    reading = g.read()
    assert [source for source, _ in reading.problems] == ["1.weight"]
    assert not reading.left


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_positive_weight_element_by_element_is_a_product_of_the_sum(reduction):
    g = Drawing()
    z = chain(g, 1)
    weight = g.softplus(g.parameter("w", 8), beta=1.0, threshold=20.0)
    out = g.reduce(reduction, g.multiply(weight, z), 1)
    reading = g.read()
    product = reading.products[-1]
    assert (product.source, product.positive, product.fan_in) == ("w", True, 8)
    found = reading.sums[-1]
    assert found.root is out
    assert found.terms[0].factor.literal == (1.0 if reduction == "sum" else 0.125)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_weight_of_each_channel_that_all_positions_share(reduction):
    g = Drawing()
    z = g.relu(g.input(4, 3, 5, 5))
    g.reduce(reduction, g.multiply(g.exp(g.parameter("w", 3, 1, 1)), z), 1, 2, 3)
    reading = g.read()
    (product,) = reading.products
    assert (product.source, product.positive, product.fan_in) == ("w", True, 3)
    (found,) = reading.sums
    assert found.terms[0].factor.literal == (25.0 if reduction == "sum" else 1 / 3)
    assert found.mixed  # positions are no independent features: measured
    assert samples(found) == 4


def test_a_factor_of_each_channel_is_a_gain_where_channels_are_not_summed():
    g = Drawing()
    z = g.relu(g.input(4, 3, 5, 5))
    g.reduce("sum", g.multiply(g.exp(g.parameter("gain", 3, 1, 1)), z), 2, 3)
    g.multiply(g.exp(g.parameter("another", 5)), z)
    assert not g.read().products


def test_a_weight_put_together_of_parts_is_a_product_for_each():
    g = Drawing()
    x = g.input(4, 6)
    z = g.relu(g.linear(x, "0", 8))
    onward, direct = g.softplus(g.parameter("L", 5, 8), beta=1.0, threshold=20.0), g.parameter("K", 5, 6)
    g.product(g.join(z, x), g.join(onward, direct))
    reading = g.read()
    by = {p.source: p for p in reading.products[1:]}
    assert {name: (p.positive, p.fan_in, p.data, p.columns) for name, p in by.items()} == {
        "L": (True, 8, z, None),
        "K": (False, 6, x, None),
    }
    assert [[t.product.source for t in found.terms] for found in reading.sums][-1] == ["L", "K"]


def test_one_parameter_over_features_and_input_has_a_role_for_each_part():
    g = Drawing()
    x = g.input(4, 6)
    z = g.relu(g.linear(x, "0", 8))
    g.product(g.join(z, x), g.parameter("W", 5, 14))
    found = [(p.columns, p.positive, p.fan_in, p.data) for p in g.read().products[1:]]
    assert found == [((0, 8), True, 8, z), ((8, 14), False, 6, x)]


@pytest.mark.parametrize("how", ["map", "word", "all convex"])
def test_one_role_for_all_parts_is_one_product(how):
    g = Drawing()
    x = g.input(4, 6)
    z = g.relu(g.linear(x, "0", 8))
    weight = g.parameter("W", 5, 14)
    other = g.relu(x) if how == "all convex" else x
    g.product(g.join(z, other), g.exp(weight) if how == "map" else weight)
    words = {"positive": {"W"}} if how == "word" else {}
    (product,) = g.read(**words).products[1:]
    assert (product.columns, product.positive, product.fan_in) == (None, True, 14)
