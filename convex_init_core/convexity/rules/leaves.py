"""Leaves: what is the same for every input, context, random numbers, and what there is no rule for."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Sign, Value
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Kind, Node

# A mask of −∞ before a maximum, or what is like it: a limit of numbers for each of which the rules hold, so that they
# hold where the result is finite. In a weight, it is an error.
_CLIPPED = {math.inf: sys.float_info.max, -math.inf: -sys.float_info.max}


def of_inputs(node: Node, values: Values) -> list[Value]:
    """List what is known of the inputs of a node."""
    return [values[part] for part in node.inputs]


def refused(node: Node, values: Values, why: str, sign: Sign = Sign.ANY) -> Value:
    """Return a value of which nothing but a sign is known, because the operation ``why``."""
    return calculus.unknown(f"{node.at} {why}", *of_inputs(node, values), sign=sign)


def label_of(node: Node) -> str:
    """Return what a constant is called in messages."""
    if node.name == "literal" and node.shape == ():
        number = node.number
        return "a number" if number is None else f"the number {number:g}"
    if node.parameters:
        return " and ".join(map(repr, node.parameters))
    if node.name == "buffer":
        return repr(node.params["name"])
    if node.name != "literal":
        return "a constant"
    return f"an unregistered tensor {node.place.where(node.source) or 'in its code'}"


def fixed(node: Node, values: Values) -> Value:
    """Return what the numbers of a constant say, or what they would say if the assumptions held."""
    label = label_of(node)
    if values.is_assumed(node):
        found = _assumed(node, values)
        if found is not None:
            return replace(found, label=label)
    if node.size == 0 or node.kind is Kind.BOOLEAN:
        return calculus.constant(Sign.NON_NEGATIVE, label)
    bounds = None if node.constant is None else node.constant.bounds
    if bounds is None or values.is_assumed(node):
        return calculus.constant(Sign.ANY, label, f"{label} has no numbers that can be compared")
    if not node.parameters and math.inf in map(abs, bounds) and not any(map(math.isnan, bounds)):
        low, high = (_CLIPPED.get(end, end) for end in bounds)
        return replace(calculus.numbers(low, high, label), reason="")
    if node.name == "literal" and node.shape == () and not all(map(math.isfinite, bounds)):
        label = f"the number {bounds[0]:g}"
        return calculus.constant(Sign.ANY, label, f"{label} is not finite", finite=False)
    found = calculus.numbers(bounds[0], bounds[1], label)
    if not found.finite and not values.overwritten.isdisjoint(node.parameters):  # say, exp of memory that nobody set
        return replace(_by_rule(node, values) or calculus.constant(), label=label)
    return found


def _assumed(node: Node, values: Values) -> Value | None:
    if node.name != "parameter":
        return _by_rule(node, values)
    low, high = values.assumed[str(node.params["name"])]
    sign = Sign.NON_NEGATIVE if low >= 0.0 else Sign.NON_POSITIVE if high <= 0.0 else Sign.ANY
    return calculus.constant(sign, reason=f"{label_of(node)} may be of either sign" if sign is Sign.ANY else "")


def _by_rule(node: Node, values: Values) -> Value | None:
    """What the rule of its operation says of a constant."""
    if not node.inputs or node.op.convexity is None:
        return None
    found = node.op.convexity(node, values)
    return found if found.is_constant else None


def context(node: Node, values: Values) -> Value:
    """Return what is known of an input that the model need not be convex in."""
    sign = Sign.NON_NEGATIVE if node.kind is Kind.BOOLEAN else Sign.ANY
    return calculus.constant(sign, label=f"input {node.params['name']!r}")


def noise(node: Node, values: Values) -> Value:
    """Return what is known of random numbers: one draw of them is a constant."""
    if any(not value.is_constant for value in of_inputs(node, values)):
        return refused(node, values, "draws from a law that depends on the input")
    sign = Sign.NON_NEGATIVE if node.params["non_negative"] else Sign.ANY
    return calculus.constant(sign, reason=f"{node.at} is random")


def unset(node: Node, values: Values) -> Value:
    """Return nothing: memory that looks empty may have been filled by a kernel that was not seen."""
    return calculus.unknown(f"{node.at} makes a tensor that is used before a recorded operation has written to it")


def opaque(node: Node, values: Values) -> Value:
    """Return the reason why there is no rule."""
    sign = Sign.NON_NEGATIVE if node.params["non_negative"] else Sign.ANY
    return refused(node, values, node.params["why"], sign)


def whole_numbers(node: Node, values: Values) -> Value:
    """Return what is known of indices, masks and counts, which are piecewise constant: a sign."""
    sign = Sign.NON_NEGATIVE if node.kind is Kind.BOOLEAN else Sign.ANY
    return refused(node, values, "makes whole numbers or truth values from the input", sign)
