"""Which axes of a parameter are outputs, inputs and window: from the product, back through what moves them."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.reading.axes_of_weight import axes_of_weight, summed_axes
from tests.core.reading.drawn_graphs import Drawing

CONVOLVED = {
    "data_axes": (0, 1, 2, 3),
    "strides": (2, 1),
    "dilation": (1, 3),
    "groups": 1,
    "transposed": False,
}
CUT = {"starts": (0, 0), "stops": (5, 3), "steps": (1, 1)}


def dense(g, weight):
    """``x @ weight.T``"""
    return g.product(g.input(4, weight.shape[-1]), weight)


DENSE = {
    "as it is": (lambda g, w: w, (5, 3), (0,), (1,)),
    "behind a map": (lambda g, w: g.exp(w), (5, 3), (0,), (1,)),
    "behind a gain": (lambda g, w: g.multiply(w, g.parameter("gain", 5, 1)), (5, 3), (0,), (1,)),
    "transposed": (lambda g, w: g.transpose(w, shape=(5, 3), axes=(1, 0)), (3, 5), (1,), (0,)),
    "transposed behind a map": (lambda g, w: g.exp(g.transpose(w, shape=(5, 3), axes=(1, 0))), (3, 5), (1,), (0,)),
    "without its axis of length 1": (lambda g, w: g.moved("reshape", w, (5, 3)), (5, 1, 3), (0, 1), (2,)),
    "with one more axis of length 1": (lambda g, w: g.moved("reshape", w, (5, 3)), (1, 5, 3, 1), (0, 1, 3), (2,)),
    "reshaped to what it was": (lambda g, w: g.moved("reshape", w, (5, 3)), (5, 3), (0,), (1,)),
}


@pytest.mark.parametrize("name", DENSE)
def test_the_axes_of_a_dense_weight(name):
    through, shape, outputs, inputs = DENSE[name]
    g = Drawing()
    node = dense(g, through(g, g.parameter("w", *shape)))
    found = axes_of_weight(g.graph, "w")
    assert (found.shape, found.outputs, found.inputs, found.window) == (shape, outputs, inputs, ())
    assert summed_axes(node, "w") == inputs


@pytest.mark.parametrize("transposed", [False, True])
def test_the_axes_of_a_kernel(transposed):
    g = Drawing()
    weight = g.transpose(g.parameter("w", 3, 2, 6, 8), shape=(8, 6, 3, 2), axes=(3, 2, 0, 1))
    given = {**CONVOLVED, "transposed": transposed, "weight_axes": (0, 1, 3, 2)}
    g.node("convolve", g.input(2, 6, 9, 9), weight, shape=(2, 8, 9, 9), **given)
    found = axes_of_weight(g.graph, "w")
    assert (found.outputs, found.inputs, found.window) == ((3,), (2,), (1, 0))
    assert (found.stride, found.dilation, found.transposed) == ((2, 1), (1, 3), transposed)


def test_a_kernel_without_an_axis_of_its_window():
    """An axis of the window that the parameter does not have leaves the strides of the others."""
    g = Drawing()
    weight = g.moved("reshape", g.parameter("w", 8, 6, 5), (8, 6, 1, 5))
    g.node("convolve", g.input(2, 6, 9, 9), weight, shape=(2, 8, 9, 9), weight_axes=(0, 1, 2, 3), **CONVOLVED)
    found = axes_of_weight(g.graph, "w")
    assert (found.window, found.stride, found.dilation) == ((2,), (1,), (3,))


UNKNOWN = {
    "another shape": lambda g: dense(g, g.moved("reshape", g.parameter("w", 3, 5), (5, 3))),
    "a part of it": lambda g: dense(
        g, g.node("slice", g.parameter("w", 5, 4), array=np.zeros((5, 3)), shape=(5, 3), **CUT)
    ),
    "no product": lambda g: g.add(g.input(4, 3), g.parameter("w", 3)),
    "a batch of matrices": lambda g: g.node(
        "contract", g.input(7, 2, 3), g.parameter("w", 7, 3, 5), shape=(7, 2, 5), axes=((2,), (1,)), batch=((0,), (0,))
    ),
    "in the data of another": lambda g: g.product(g.add(g.input(4, 3), g.parameter("w", 3)), g.parameter("v", 5, 3)),
    "another parameter": lambda g: dense(g, g.parameter("v", 5, 3)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_product_shows_is_refused(name):
    g = Drawing()
    node = UNKNOWN[name](g)
    with pytest.raises(ValueError, match="no product shows which axes of 'w' are its outputs"):
        axes_of_weight(g.graph, "w")
    assert summed_axes(node, "w") is None
