"""Products and quotients: element by element, and those that sum over axes."""

from __future__ import annotations

from convex_init_core.convexity import calculus
from convex_init_core.convexity import functions as convex_functions
from convex_init_core.convexity.calculus import Curvature, Sign, Value
from convex_init_core.convexity.functions import FUNCTIONS
from convex_init_core.convexity.patterns.concatenation import gated_by_blocks, product_by_blocks
from convex_init_core.convexity.patterns.quadratic_form import as_squares
from convex_init_core.convexity.patterns.written_out import chosen
from convex_init_core.convexity.rules.element_wise import size_of
from convex_init_core.convexity.rules.leaves import refused
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node


def multiplied(node: Node, values: Values) -> Value:
    """``a · b``, element by element."""
    a, b = node.inputs
    if values.are_same(a, b):
        return calculus.apply(FUNCTIONS["square"], size_of(a, values), node.at)
    product = calculus.multiply(values[a], values[b], node.at)
    if product.curvature is not Curvature.UNKNOWN:
        return product
    for mask, value in ((a, b), (b, a)):  # x * (x > 0)
        written_out = chosen(mask, value, 0.0, values, node.dtype)
        if written_out is not None:
            return calculus.apply(written_out[0], values[written_out[1]], node.at)
    if values[a].is_constant or values[b].is_constant:
        return gated_by_blocks(node, values) or product
    return as_squares(node, values) or product


def divided(node: Node, values: Values) -> Value:
    """``a / b``."""
    a, b = node.inputs
    above, below = values[a], values[b]
    if not below.is_constant:
        if above.is_constant:
            return calculus.multiply(above, calculus.apply(inverse(below), below, node.at), node.at)
        return refused(node, values, "divides by a value that depends on the input")
    if below.sign is Sign.ZERO or 0.0 in (values.bounds(b) or ()):
        return refused(node, values, "divides by zero")
    return calculus.multiply(below, above, node.at)  # a number has the sign of its inverse


def inverse(value: Value) -> calculus.ElementWise:
    """Return ``1 / s`` for values of a sign, as the calculus sees it."""
    return convex_functions.power(-1.0, value.sign) if value.sign.is_non_negative else FUNCTIONS["reciprocal"]


def contracted(node: Node, values: Values) -> Value:
    """A product that sums over axes: linear maps, inner products, and forms."""
    a, b = node.inputs
    (of_a, of_b), (batch_a, batch_b) = node.params["axes"], node.params["batch"]
    has_no_free_axis = len(of_a) + len(batch_a) == len(a.shape) and len(of_b) + len(batch_b) == len(b.shape)
    if values.are_same(a, b) and has_no_free_axis and of_a == of_b and batch_a == batch_b:
        return calculus.apply(FUNCTIONS["square"], size_of(a, values), node.at)
    product = calculus.multiply(values[a], values[b], node.at)
    if product.curvature is not Curvature.UNKNOWN:
        return product
    if not (values[a].is_constant or values[b].is_constant):
        return as_squares(node, values) or product
    for axis_a, axis_b in zip(of_a, of_b, strict=True):
        by_blocks = product_by_blocks(a, b, (axis_a, axis_b), values, node.at)
        if by_blocks is not None:
            return by_blocks
    return product


def convolved(node: Node, values: Values) -> Value:
    """A convolution of data with a weight."""
    data, weight = node.inputs
    product = calculus.multiply(values[data], values[weight], node.at)
    if product.curvature is not Curvature.UNKNOWN:
        return product
    channels = node.params["data_axes"][1], node.params["weight_axes"][1]
    return product_by_blocks(data, weight, channels, values, node.at) or product


def dropped(node: Node, values: Values) -> Value:
    """Dropout: for each draw of the mask, a product with non-negative numbers."""
    mask = calculus.constant(Sign.NON_NEGATIVE, "a dropout mask")
    return calculus.multiply(mask, values[node.inputs[0]], node.at)


def normalised(node: Node, values: Values) -> Value:
    """Batch normalisation by fixed statistics: ``scale · (x − mean) / √(variance + ε) + shift``."""
    x, scale, shift, mean, variance = (values[part] for part in node.inputs)
    bounds, epsilon = values.bounds(node.inputs[4]), float(node.params["epsilon"])
    least = bounds[0] if bounds is not None else 0.0 if variance.sign.is_non_negative else -epsilon
    if not variance.is_constant or not least + epsilon > 0.0:
        return refused(node, values, "divides by the root of a variance that is not known to be positive")
    centred = calculus.add([x, calculus.negate(mean)], node.at)
    return calculus.add([calculus.multiply(scale, centred, node.at), shift], node.at)
