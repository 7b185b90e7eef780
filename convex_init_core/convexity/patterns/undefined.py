"""Which values may be NaN for some inputs: a comparison is false there, and what it chooses hides the NaN.

``where(z > 0, z, 0)`` of z = −log(x) is 0 for x < 0, although z is convex where it has values; likewise where a value
has overflown and is multiplied by 0.
"""

from __future__ import annotations

from enum import IntEnum

from convex_init_core.convexity.calculus import Sign
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node


class Doubt(IntEnum):
    """What an element of a value may be for some finite input."""

    NONE = 0
    INFINITE = 1
    NAN_BEYOND_THE_LARGEST = 2
    """By ∞ · 0 or ∞ − ∞, once something has grown beyond its type."""
    NAN = 3


_GROWS = ("exp", "expm1", "cosh", "sinh")  # beyond float32 for numbers as small as 89
_NEEDS_NON_NEGATIVE = ("log", "log1p", "sqrt", "rsqrt", "entropy")
_SUMS = ("sum", "mean", "cumulative_sum", "average")
_KEEPS = (
    *("reshape", "transpose", "broadcast", "slice", "rearrange", "cast", "gather", "concatenate", "stack", "join"),
    *("pad", "negate", "maximum", "minimum", "max", "min", "window_max", "window_min", "largest", "sort", "where"),
    *("relu", "leaky_relu", "elu", "softplus", "threshold", "square", "abs", "power", "prelu", "log_add_exp"),
)


def may_be_nan(node: Node, values: Values, *, by_overflow: bool = True) -> Node | None:
    """Return the node that makes NaN of a value for some finite inputs; ``None`` if there is none.

    Args:
        node: of which nothing is asked but its inputs.
        values: of the nodes up to it.
        by_overflow: whether ∞ that comes of large numbers counts.
    """
    known = values.doubts
    waiting = [node]
    while waiting:
        last = waiting[-1]
        missing = [] if values[last].is_constant else [part for part in last.inputs if part not in known]
        if last in known or not missing:
            known.setdefault(waiting.pop(), _doubt(last, values))
        else:
            waiting += missing
    doubt, source = known[node]
    least = Doubt.NAN_BEYOND_THE_LARGEST if by_overflow else Doubt.NAN
    return source if doubt >= least else None


def _doubt(node: Node, values: Values) -> tuple[int, Node]:
    if values[node].is_constant:
        return Doubt.NONE, node
    before, source = max((values.doubts[part] for part in node.inputs), key=lambda pair: pair[0], default=(0, node))
    own = _of_its_own(node, values)
    if before is Doubt.INFINITE and own < Doubt.NAN:
        own = max(own, Doubt.INFINITE if _keeps_infinity(node, values) else Doubt.NAN_BEYOND_THE_LARGEST)
    return (own, node) if own > before else (before, source)


def _of_its_own(node: Node, values: Values) -> Doubt:
    """What a node makes of finite numbers."""
    name, inputs = node.name, node.inputs
    if name in _GROWS:
        return Doubt.NONE if values[inputs[0]].sign.is_non_positive and name.startswith("exp") else Doubt.INFINITE
    if name in _NEEDS_NON_NEGATIVE:
        is_defined = values[inputs[0]].sign.is_non_negative
        return Doubt.NAN if not is_defined else Doubt.NONE if name == "sqrt" else Doubt.INFINITE
    if name == "power":
        exponent, base = values.number(inputs[1]), values[inputs[0]]
        if exponent is not None and (exponent.is_integer() or base.sign.is_non_negative):
            return Doubt.NONE if exponent >= 0.0 else Doubt.INFINITE
        return Doubt.INFINITE if base.sign.is_non_negative else Doubt.NAN
    if name == "reciprocal" or (name == "divide" and not values[inputs[1]].is_constant):
        numerator = values.number(inputs[0]) if name == "divide" else 1.0
        return Doubt.INFINITE if numerator else Doubt.NAN
    return Doubt.NONE


def _keeps_infinity(node: Node, values: Values) -> bool:
    """Whether a node makes no NaN where one of its inputs is infinite."""
    inputs = node.inputs
    if node.name in ("multiply", "divide", "contract", "convolve"):
        constants = [part for part in inputs if values[part].is_constant]
        bounds = values.bounds(constants[0]) if constants else None
        return bounds is not None and (bounds[0] > 0.0 or (node.name in ("multiply", "divide") and bounds[1] < 0.0))
    if node.name in ("add", "subtract"):
        large = [part for part in inputs if values.doubts[part][0] >= Doubt.INFINITE]
        signs = {values[part].sign for part in inputs}
        return len(large) < 2 or (node.name == "add" and signs <= {Sign.NON_NEGATIVE, Sign.ZERO})
    if node.name in _SUMS:
        return values[inputs[0]].sign.is_non_negative
    return node.name in _KEEPS or node.name in _GROWS or node.name in _NEEDS_NON_NEGATIVE
