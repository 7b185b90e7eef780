"""How many elements one result of a product sums, from the operation itself."""

from __future__ import annotations

import pytest

from tests.core.reading.drawn_graphs import Drawing

PLAIN = {"data_axes": (0, 1, 2, 3), "weight_axes": (0, 1, 2, 3), "strides": (1, 1), "dilation": (1, 1), "groups": 1}
TORCH_TRANSPOSED = (1, 0, 2, 3)


def convolved(g, data, weight, out, **given):
    return g.node("convolve", data, weight, shape=(2, out, 5, 5), **{**PLAIN, "transposed": False, **given})


@pytest.mark.parametrize(
    ("shape", "given", "fan_in"),
    [
        ((8, 6, 3, 3), {}, 54),
        ((8, 2, 3, 3), {"groups": 3}, 18),
        ((3, 3, 6, 8), {"weight_axes": (3, 2, 0, 1), "data_axes": (0, 3, 1, 2)}, 54),
        ((6, 8, 4, 4), {"weight_axes": TORCH_TRANSPOSED, "strides": (2, 2), "transposed": True}, 24),
        ((6, 8, 3, 3), {"weight_axes": TORCH_TRANSPOSED, "strides": (2, 2), "transposed": True}, 13.5),
        ((6, 4, 2, 2), {"weight_axes": TORCH_TRANSPOSED, "strides": (2, 2), "groups": 2, "transposed": True}, 3),
    ],
)
def test_convolutions(shape, given, fan_in):
    g = Drawing()
    convolved(g, g.input(2, 6, 5, 5), g.parameter("w", *shape), 8, **given)
    (product,) = g.read().products
    assert product.fan_in == fan_in


def test_a_transposed_convolution_that_leaves_gaps_is_a_problem():
    g = Drawing()
    given = {"weight_axes": TORCH_TRANSPOSED, "strides": (3, 3), "transposed": True}
    convolved(g, g.input(2, 6, 5, 5), g.parameter("w", 6, 8, 2, 2), 8, **given)
    ((name, why),) = g.read().problems
    assert name == "w"
    assert "choose kernel_size >= stride" in why


def test_a_contraction_of_several_axes_with_the_weight_first():
    g = Drawing()
    weight, data = g.parameter("w", 5, 3, 4), g.input(2, 3, 4)
    g.node("contract", weight, data, shape=(5, 2), axes=((1, 2), (1, 2)), batch=((), ()))
    assert g.read().products[0].fan_in == 12


def test_batched_axes_are_not_summed():
    g = Drawing()
    data, weight = g.input(7, 2, 3), g.parameter("w", 7, 3, 5)
    g.node("contract", data, weight, shape=(7, 2, 5), axes=((2,), (1,)), batch=((0,), (0,)))
    assert g.read().products[0].fan_in == 3


@pytest.mark.parametrize("width", [2, 3, 8])
def test_a_number_for_each_feature_sums_as_many(width):
    g = Drawing()
    z = g.relu(g.linear(g.input(4, 6), "0", width))
    g.reduce("sum", g.multiply(g.exp(g.parameter("w", width)), z), 1)
    last = g.read().products[-1]
    assert (last.source, last.fan_in) == ("w", width)


@pytest.mark.parametrize("kernel", [2, 5])
def test_a_number_for_each_place_of_a_map_sums_as_many(kernel):
    g = Drawing()
    z = g.relu(g.linear(g.input(4, 3, 2, 6), "0", kernel))
    g.reduce("sum", g.multiply(g.exp(g.parameter("w", 2, kernel)), z), 2, 3)
    last = g.read().products[-1]
    assert (last.source, last.fan_in) == ("w", 2 * kernel)
