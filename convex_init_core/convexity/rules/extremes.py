"""Maxima and minima, and what picks by rank."""

from __future__ import annotations

import math

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Sign, Value
from convex_init_core.convexity.functions import FUNCTIONS
from convex_init_core.convexity.patterns.undefined import may_be_nan
from convex_init_core.convexity.rules.leaves import of_inputs, refused
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node


def largest_of(node: Node, values: Values) -> Value:
    """``max(a, b)``; ``max(x, −x)`` is a size."""
    if hiding := leaving_nan_out(node, values):
        return hiding
    turned = _turned(node, values)
    if turned is not None:
        return calculus.apply(FUNCTIONS["abs"], values[turned], node.at)
    bounded = _without_a_bound(node, -math.inf)
    return values[bounded] if bounded is not None else calculus.maximum(of_inputs(node, values), node.at)


def smallest_of(node: Node, values: Values) -> Value:
    """``min(a, b)``."""
    if hiding := leaving_nan_out(node, values):
        return hiding
    turned = _turned(node, values)
    if turned is not None:
        return calculus.negate(calculus.apply(FUNCTIONS["abs"], values[turned], node.at))
    bounded = _without_a_bound(node, math.inf)
    return values[bounded] if bounded is not None else calculus.minimum(of_inputs(node, values), node.at)


def _without_a_bound(node: Node, limit: float) -> Node | None:
    """The other value if one is −∞ under a maximum, or ∞ under a minimum, everywhere."""
    for bound, other in (node.inputs, node.inputs[::-1]):
        known = bound.constant.bounds if bound.constant is not None and not bound.parameters else None
        if known == (limit, limit) and other.shape == node.shape:
            return other
    return None


def _turned(node: Node, values: Values) -> Node | None:
    """The value x if the two inputs are x and −x."""
    a, b = node.inputs
    for x, other in ((a, b), (b, a)):
        if other.name == "negate" and values.are_same(other.inputs[0], x):
            return x
        if other.name == "multiply":
            for factor, part in (other.inputs, other.inputs[::-1]):
                if values.number(factor) == -1.0 and values.are_same(part, x):
                    return x
    return None


def largest_in(node: Node, values: Values) -> Value:
    """The largest element over axes or windows."""
    if hiding := leaving_nan_out(node, values):
        return hiding
    return calculus.maximum([values[node.inputs[0]]], node.at)


def smallest_in(node: Node, values: Values) -> Value:
    """The smallest element over axes or windows."""
    if hiding := leaving_nan_out(node, values):
        return hiding
    return calculus.minimum([values[node.inputs[0]]], node.at)


def by_rank(node: Node, values: Values) -> Value:
    """Sorted elements, or the k largest: each by itself is convex only for the very largest."""
    if node.name == "largest" and node.params["k"] == 1:
        if hiding := leaving_nan_out(node, values, always=node.params["smallest"]):  # NaN counts as the largest
            return hiding
        return smallest_in(node, values) if node.params["smallest"] else largest_in(node, values)
    sign = values[node.inputs[0]].sign
    sign = sign if sign is not Sign.ZERO else Sign.NON_NEGATIVE
    return refused(node, values, "picks by rank: only sums of the largest elements are convex", sign)


def leaving_nan_out(node: Node, values: Values, *, always: bool = False) -> Value | None:
    """Return nothing known where an extreme leaves out what has no value for some inputs; ``None`` if it does not.

    Args:
        node: an extreme.
        values: of the nodes before it.
        always: whether the operation does so in every framework.
    """
    if not (always or values.extremes_drop_nan):
        return None
    found = next((source for part in node.inputs if (source := may_be_nan(part, values, by_overflow=False))), None)
    return None if found is None else refused(node, values, f"hides where {found.at} has no value")
