"""``r + φ(s − r)``: what takes the place of an activation beside a carrier.

With φ convex and ``0 ≤ φ' ≤ 1`` it is convex in (s, r), and falls in neither, although s − r may be anything
(:mod:`convex_init_core.carrier.activations`).
"""

from __future__ import annotations

import math

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Value
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
    if node.name == "relu" or (node.name in _SLOPES and _SLOPES[node.name](node)):
        return node.inputs[0]
    return None


_ROUNDING = 1e-12  # of α and 1/α, as CELU has them


def _softplus(node: Node) -> bool:
    threshold = float(node.params["threshold"])  # above it the identity takes over, which is a drop
    return threshold > 0.0 and math.log1p(math.exp(-threshold)) <= threshold * rounding_of(node.dtype)


def _elu(node: Node) -> bool:
    scale, left = float(node.params["scale"]), float(node.params["alpha"]) * float(node.params["input_scale"])
    return 0.0 <= scale <= 1.0 and 0.0 <= left <= 1.0 + _ROUNDING and float(node.params["input_scale"]) >= 0.0


_SLOPES = {
    "leaky_relu": lambda node: 0.0 <= float(node.params["slope"]) <= 1.0,
    "elu": _elu,
    "softplus": _softplus,
}
