"""Bounds of context: what does not depend on the convex inputs, and may still be known to have a sign.

``1 − sigmoid(y)`` of any context y lies between 0 and 1, and ``y − min(y)`` is not below 0. So they may multiply convex
values. The same holds for parameters of which an interval is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from convex_init_core.convexity.calculus import Sign, Under, Value
from convex_init_core.convexity.rules.element_wise import SINGLE, claim_of
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import keeps_numbers

Interval: TypeAlias = "tuple[float, float]"
_ALL = (-math.inf, math.inf)
_BOUNDED: dict[str, Interval] = {"sin": (-1.0, 1.0), "cos": (-1.0, 1.0), "softmax": (0.0, 1.0)}
_BOUNDED["softsign"] = (-1.0, 1.0)  # its ends are no numbers
_HULL = frozenset(("reshape", "transpose", "broadcast", "slice", "rearrange", "cast", "concatenate", "stack", "join"))
_WITHIN = frozenset(("mean", "average", "max", "min", "window_max", "window_min", "largest", "sort", "pad"))


def with_sign(node: Node, value: Value, values: Values) -> Value:
    """Return what is known of a node, with the sign that its bounds give it if it is context.

    Args:
        node: any.
        value: by the rule of its operation.
        values: of the nodes before it; keeps the bounds.
    """
    if not value.is_constant or not value.finite or (node.is_fixed and not values.is_assumed(node)):
        return value
    low, high = _clean(_within(node, [_of(part, values) for part in node.inputs], values))
    values.context_bounds[node] = low, high
    if value.sign is not Sign.ANY or (low < 0.0 < high):
        return value
    sign = Sign.NON_NEGATIVE if low >= 0.0 else Sign.NON_POSITIVE if high <= 0.0 else Sign.ANY
    under = Under.LOGARITHM if sign is Sign.NON_NEGATIVE else value.convex_under
    return value if sign is Sign.ANY else replace(value, sign=sign, convex_under=under)


def _of(node: Node, values: Values) -> Interval:
    low, high = values.bounds(node) or values.context_bounds.get(node, _ALL)
    sign = values[node].sign
    return max(low, 0.0) if sign.is_non_negative else low, min(high, 0.0) if sign.is_non_positive else high


def _clean(found: Interval) -> Interval:
    return _ALL if any(map(math.isnan, found)) else found


def _within(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    name = node.name
    if name == "parameter":
        return values.assumed.get(str(node.params["name"]), _ALL)
    if not parts or name in _BOUNDED:
        return _BOUNDED.get(name, _ALL)
    if name in _HULL or name in _WITHIN:
        data = parts if name in (*_HULL, "pad") else parts[:1]
        return min(low for low, _ in data), max(high for _, high in data)
    if name == "sum":
        terms = node.inputs[0].size / max(node.size, 1)
        return terms * parts[0][0], terms * parts[0][1]
    if name in ("square", "abs") or (name == "power" and values.number(node.inputs[1]) == 2.0):
        return _of_size(parts[0], 1.0 if name == "abs" else 2.0)
    if name in _PAIRS:
        return _PAIRS[name](node, parts, values)
    return _monotone(node, parts[0]) if name in (*SINGLE, "log") else _ALL


def _of_size(part: Interval, power: float) -> Interval:
    """A power of the size of a value."""
    sizes = sorted(abs(end) ** power for end in part)
    return (0.0 if part[0] < 0.0 < part[1] else sizes[0]), sizes[1]


def _monotone(node: Node, part: Interval) -> Interval:
    """A function of one array that rises or falls everywhere."""
    claim = claim_of(node.name, **node.params)
    if not (claim.increasing or claim.decreasing) or node.op.numpy is None:
        return _ALL
    with np.errstate(all="ignore"):
        ends = [float(node.op.numpy(np.asarray(end), **node.params)) for end in part]
    return (ends[0], ends[1]) if claim.increasing else (ends[1], ends[0])


def _added(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]


def _subtracted(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    a, b = node.inputs
    if _is_extreme("min", b, a, values):
        return 0.0, math.inf
    if _is_extreme("max", a, b, values) or _is_range(a, b, values):
        return 0.0, math.inf
    return parts[0][0] - parts[1][1], parts[0][1] - parts[1][0]


def _is_extreme(name: str, node: Node, data: Node, values: Values) -> bool:
    """Whether a node holds the smallest (or largest) elements of rows of ``data``, which it meets again."""
    while (
        node.name == "broadcast"
        or (node.name == "cast" and keeps_numbers(node))
        or (node.name == "reshape" and node.shape == node.inputs[0].shape)
    ):
        node = node.inputs[0]
    if node.name != name or not values.are_same(node.inputs[0], data):
        return False
    every = len(node.params["axes"]) == len(data.shape)
    return every or bool(node.params["keepdims"])  # else it may meet other rows than its own


def _is_range(a: Node, b: Node, values: Values) -> bool:
    """Whether two nodes hold the largest and the smallest elements of the same rows."""
    a, b = _behind_moves(a), _behind_moves(b)
    same = (a.name, b.name) == ("max", "min") and a.params == b.params
    return same and values.are_same(a.inputs[0], b.inputs[0]) and a.shape == b.shape


def _behind_moves(node: Node) -> Node:
    while (node.name == "cast" and keeps_numbers(node)) or (
        node.name in ("reshape", "broadcast") and node.shape == node.inputs[0].shape
    ):
        node = node.inputs[0]
    return node


def _multiplied(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    if len(node.inputs) == 2 and values.are_same(*node.inputs) and node.name == "multiply":
        return _of_size(parts[0], 2.0)
    products = [0.0 if 0.0 in (a, b) else a * b for a in parts[0] for b in parts[1]]
    return min(products), max(products)


def _divided(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    low, high = parts[1]
    if not low > 0.0:
        return _ALL
    return _multiplied(node, [parts[0], (1.0 / high, 1.0 / low)], values)  # 1/∞ is 0


def _largest(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    return max(parts[0][0], parts[1][0]), max(parts[0][1], parts[1][1])


def _smallest(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    return min(parts[0][0], parts[1][0]), min(parts[0][1], parts[1][1])


def _negated(node: Node, parts: Sequence[Interval], values: Values) -> Interval:
    return -parts[0][1], -parts[0][0]


_PAIRS = {
    "add": _added,
    "subtract": _subtracted,
    "multiply": _multiplied,
    "divide": _divided,
    "maximum": _largest,
    "minimum": _smallest,
    "negate": _negated,
}
