"""Elements that are moved, or set side by side with others."""

from __future__ import annotations

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Sign, Value
from convex_init_core.convexity.patterns.cut import cut_out
from convex_init_core.convexity.patterns.ranks import extreme_of_ranked
from convex_init_core.convexity.rules.leaves import of_inputs, refused
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node


def moved(node: Node, values: Values) -> Value:
    """Return what is known of the one input, of which each element stays as it is."""
    if any(not values[part].is_constant for part in node.inputs[1:]):
        return refused(node, values, "depends on more than its first argument")
    return values[node.inputs[0]]


def sliced(node: Node, values: Values) -> Value:
    """Return what is known of a part: of a concatenation, or of sorted values, that may be more than of the whole."""
    whole = values[node.inputs[0]]
    part = cut_out(node, values) or whole
    if part.curvature is Curvature.UNKNOWN:
        return extreme_of_ranked(node, values) or part
    return part


def gathered(node: Node, values: Values) -> Value:
    """Return what is known of elements at constant places."""
    if any(not values[part].is_constant for part in node.inputs[1:]):
        return refused(node, values, "looks up places that depend on the input")
    return values[node.inputs[0]]


def scattered(node: Node, values: Values) -> Value:
    """Return what is known of elements that are put at constant places, with zeros elsewhere."""
    if any(not values[part].is_constant for part in node.inputs[1:]):
        return refused(node, values, "chooses places by a condition on the input")
    return calculus.side_by_side([values[node.inputs[0]], calculus.constant(Sign.ZERO)], node.at)


def side_by_side(node: Node, values: Values) -> Value:
    """Return what is known of all elements of several inputs."""
    return calculus.side_by_side(of_inputs(node, values), node.at)
