"""Comparisons and choices."""

from __future__ import annotations

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Value
from convex_init_core.convexity.patterns.undefined import may_be_nan
from convex_init_core.convexity.patterns.written_out import chosen
from convex_init_core.convexity.rules.leaves import refused
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node


def chosen_between(node: Node, values: Values) -> Value:
    """``where``: by a mask that does not depend on the input, or a function that is written out in two pieces."""
    condition, if_true, if_false = node.inputs
    if values[condition].is_constant:
        return calculus.side_by_side([values[if_true], values[if_false]], node.at)
    written_out = chosen(condition, if_true, if_false, values, node.dtype)
    if written_out is None:
        return refused(node, values, "chooses by a condition on the input")
    claim, argument = written_out
    hidden = may_be_nan(argument, values)
    # A comparison with NaN is false, and an expression of NaN is NaN.
    if hidden is not None and (values[if_false].is_constant or values.extremes_drop_nan):
        return calculus.unknown(f"{node.at} hides where {hidden.at} has no value", values[argument])
    return calculus.apply(claim, values[argument], node.at)
