"""``r + φ(s − r)``: what takes the place of an activation beside a carrier.

With φ convex and ``0 ≤ φ' ≤ 1`` it is convex in (s, r), and falls in neither, although s − r may be anything
(:mod:`convex_init_core.carrier.activations`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Value
from convex_init_core.convexity.functions import drop_of_softplus
from convex_init_core.convexity.rules.element_wise import claim_of
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import rounding_of


def carried(node: Node, values: Values) -> Value | None:
    """Return the value of such a sum; ``None`` if it is none.

    Args:
        node: a sum of two arrays.
        values: of the nodes before it.
    """
    if node.name != "add":
        return None
    for bend, carrier in (node.inputs, node.inputs[::-1]):
        difference = _argument(bend, values)
        if difference is None or difference.name != "subtract":
            continue
        s, r = difference.inputs
        if not values.are_same(r, carrier) or not bend.shape == difference.shape == node.shape:
            continue
        both = values[s], values[r]
        if all(value.finite and value.curvature.is_convex for value in both):
            side_by_side = calculus.maximum(both, node.at)
            return Value(Curvature.CONVEX, monotone=side_by_side.monotone)
    return None


def _argument(node: Node, values: Values) -> Node | None:
    """What φ is taken of, if φ is convex with a slope between 0 and 1."""
    if node.name == "maximum":
        for part, other in (node.inputs, node.inputs[::-1]):
            if values.number(other) is not None and part.shape == node.shape:
                return part
        return None
    if node.name not in _STEEPEST:
        return None
    claim = claim_of(node.name, **node.params)
    return node.inputs[0] if claim.convex and claim.increasing and _STEEPEST[node.name](node) <= 1.0 else None


def _of_softplus(node: Node) -> float:
    threshold = float(node.params["threshold"])  # above it the identity takes over, which is a drop
    return 1.0 if drop_of_softplus(threshold) <= threshold * rounding_of(node.dtype) else math.inf


_STEEPEST: dict[str, Callable[[Node], float]] = {
    "relu": lambda node: 1.0,
    "leaky_relu": lambda node: 1.0,
    "elu": lambda node: float(node.params["scale"]),
    "softplus": _of_softplus,
}
"""The largest slope of a convex function that rises: that at the far end. Whether it is one, its claim says."""
