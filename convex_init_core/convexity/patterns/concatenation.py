"""Products over a concatenation: a weight may be free for one part of it and non-negative for another."""

from __future__ import annotations

import math

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Value
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import keeps_numbers

_DEPTH = 64  # of the moves and concatenations that are looked through


def product_by_blocks(data: Node, weight: Node, axes: tuple[int, int], values: Values, at: str) -> Value | None:
    """Return a product that sums over axes, as a sum over the parts that one factor was concatenated from.

    ``None`` if neither is fixed with the other a concatenation.

    Args:
        data: a factor.
        weight: the other.
        axes: the axis of each that is summed, of ``data`` first.
        values: of the nodes before it.
        at: the operation and its place, for messages.
    """
    for fixed, other, over, along in ((weight, data, axes[1], axes[0]), (data, weight, axes[0], axes[1])):
        if fixed.is_fixed and (terms := _terms(fixed, other, over, along, values, at)) is not None:
            return calculus.add(terms, at)
    return None


def gated_by_blocks(node: Node, values: Values) -> Value | None:
    """Return an element-wise product with constants, part by part of the concatenation that they meet."""
    for fixed, other in (node.inputs, node.inputs[::-1]):
        if fixed.is_fixed and other.shape == node.shape:
            missing = len(node.shape) - len(fixed.shape)
            for axis, size in enumerate(fixed.shape):
                terms = _terms(fixed, other, axis, axis + missing, values, node.at) if size > 1 else None
                if terms is not None:
                    return calculus.side_by_side(terms, node.at)
    return None


def _terms(fixed: Node, other: Node, over: int, along: int, values: Values, at: str) -> list[Value] | None:
    parts = _blocks(other, along)
    if len(parts) < 2 or sum(size for _, size in parts) != fixed.shape[over]:
        return None
    terms = []
    for part, start, stop in _placed(parts):
        constant = _part_of_constant(fixed, over, start, stop, values)
        if constant is None:
            return None
        terms.append(calculus.multiply(constant, values[part], at))
    return terms


def _part_of_constant(fixed: Node, axis: int, start: int, stop: int, values: Values) -> Value | None:
    """What is known of a part of a constant: from its numbers, or from the parts that it was made of."""
    label = f"{values[fixed].label or 'a constant'} for inputs {start} to {stop - 1}"
    bounds = values.bounds_along(fixed, axis, start, stop)
    if bounds is not None:
        return calculus.numbers(*bounds, label)
    met = [values[part] for part, at, end in _placed(_blocks(fixed, axis)) if at < stop and end > start]
    return calculus.side_by_side(met, label) if met and all(value.is_constant for value in met) else None


def _placed(parts: list[tuple[Node, int]]) -> list[tuple[Node, int, int]]:
    placed, start = [], 0
    for part, size in parts:
        placed.append((part, start, start + size))
        start += size
    return placed


def _blocks(node: Node, axis: int, depth: int = _DEPTH) -> list[tuple[Node, int]]:
    """Split a node into the parts that were concatenated along an axis, each with its size along it."""
    source = node.inputs[0] if node.inputs else None
    if source is None or depth == 0:
        pass
    elif node.name == "concatenate":
        if node.params["axis"] == axis:
            return [block for part in node.inputs for block in _blocks(part, _axis_of(part, axis), depth - 1)]
    elif node.name == "cast":
        return _blocks(source, axis, depth - 1) if keeps_numbers(node) else [(node, node.shape[axis])]
    elif node.name == "transpose":
        return _blocks(source, node.params["axes"][axis], depth - 1)
    elif node.name == "reshape":
        for place, size in enumerate(source.shape):  # as many rows before it, and as many elements
            if size == node.shape[axis] and math.prod(source.shape[:place]) == math.prod(node.shape[:axis]):
                return _blocks(source, place, depth - 1)
    elif node.name == "broadcast":
        place = axis - len(node.shape) + len(source.shape)
        if place >= 0 and source.shape[place] == node.shape[axis]:
            return _blocks(source, place, depth - 1)
    return [(node, node.shape[axis])]


def _axis_of(part: Node, axis: int) -> int:
    return min(axis, len(part.shape) - 1)  # torch lets empty arrays of shape (0,) join in
