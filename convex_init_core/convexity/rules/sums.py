"""Sums, differences, and other maps with non-negative constant weights."""

from __future__ import annotations

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Sign, Value
from convex_init_core.convexity.patterns.carried import carried
from convex_init_core.convexity.patterns.quadratic_form import as_squares
from convex_init_core.convexity.patterns.ranks import cumulated_ranked, sum_of_ranked
from convex_init_core.convexity.patterns.stabilised import stabilised
from convex_init_core.convexity.rules.leaves import of_inputs
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node


def added(node: Node, values: Values) -> Value:
    """``a + b``."""
    return _or_stabilised(node, calculus.add(of_inputs(node, values), node.at), values)


def subtracted(node: Node, values: Values) -> Value:
    """``a − b``; nothing is left of a value minus itself, whatever it is."""
    a, b = node.inputs
    if values.are_same(a, b):
        return calculus.constant(Sign.ZERO)
    return _or_stabilised(node, calculus.add([values[a], calculus.negate(values[b])], node.at), values)


def _or_stabilised(node: Node, value: Value, values: Values) -> Value:
    if value.curvature is not Curvature.UNKNOWN:
        return value
    return carried(node, values) or stabilised(node, values) or value


def negated(node: Node, values: Values) -> Value:
    """``−x``."""
    return calculus.negate(values[node.inputs[0]])


def summed(node: Node, values: Values) -> Value:
    """Sums and means over axes; of the largest elements, and of a quadratic form, more is known than of its parts."""
    data = node.inputs[0]
    if values[data].curvature is not Curvature.UNKNOWN:
        return values[data]
    axes = node.params["axes"]
    return sum_of_ranked(data, axes, values) or as_squares(node, values) or values[data]


def cumulated(node: Node, values: Values) -> Value:
    """Running sums along an axis."""
    data = node.inputs[0]
    if values[data].curvature is not Curvature.UNKNOWN:
        return values[data]
    return cumulated_ranked(data, node.params["axis"], values) or values[data]


def averaged(node: Node, values: Values) -> Value:
    """Return what is known of the one input: the weights are non-negative, and do not depend on it."""
    return values[node.inputs[0]]
