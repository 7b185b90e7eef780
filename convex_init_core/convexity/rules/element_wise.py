"""Element-wise functions of one array, with their parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from convex_init_core.convexity import calculus
from convex_init_core.convexity import functions as convex_functions
from convex_init_core.convexity.calculus import ElementWise, Sign, Value
from convex_init_core.convexity.functions import FUNCTIONS
from convex_init_core.convexity.rules.extremes import leaving_nan_out
from convex_init_core.convexity.rules.leaves import refused
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import rounding_of

PARAMETRIC: dict[str, Callable[..., ElementWise]] = {
    "leaky_relu": lambda slope: convex_functions.leaky_relu(slope),
    "elu": lambda alpha, scale, input_scale: convex_functions.elu(alpha, scale, input_scale),
    "softplus": lambda beta, threshold: convex_functions.softplus(beta, threshold),
    "squareplus": lambda b: convex_functions.squareplus(b),
    "threshold": lambda at, value: convex_functions.threshold(at, value),
    "huber": lambda delta: convex_functions.huber(delta),
}
"""Functions whose shape depends on parameters, by operation; the arguments are the operation's parameters."""

_OWN_RULE = ("identity", "celu", "log", "reciprocal")  # or names of no operation
SINGLE = (*PARAMETRIC, *(name for name in FUNCTIONS if name not in PARAMETRIC and name not in _OWN_RULE))
"""Operations that follow the rule of composition with what :func:`claim_of` says of them."""


def claim_of(name: str, **params: float) -> ElementWise:
    """Return what is claimed of an element-wise function of one array.

    Args:
        name: of the operation.
        **params: of the operation.
    """
    return PARAMETRIC[name](**params) if name in PARAMETRIC else FUNCTIONS[name]


def relu(node: Node, values: Values) -> Value:
    """``max(s, 0)``, which may have been written as that."""
    return leaving_nan_out(node, values) or function(node, values)


def softplus(node: Node, values: Values) -> Value:
    """Softplus drops where it is replaced by the identity: by no more than its own rounding, or a note says so."""
    threshold = float(node.params["threshold"])
    drop = convex_functions.drop_of_softplus(threshold)
    if not values[node.inputs[0]].is_constant and drop > threshold * rounding_of(node.dtype):
        if threshold < SOFTPLUS_THRESHOLD:
            return refused(node, values, f"jumps down by {drop:.1g} where it becomes the identity")
        note = f"{node.at} drops by {drop:.1g}/β where it becomes the identity; the answer holds up to that"
        if note not in values.notes:
            values.notes.append(note)
    return function(node, values)


SOFTPLUS_THRESHOLD = 20.0
"""Of torch, by default."""


def function(node: Node, values: Values) -> Value:
    """Any of them, by the rule of composition."""
    claim = claim_of(node.name, **node.params)
    value = size_of(node.inputs[0], values) if claim.even else values[node.inputs[0]]
    return calculus.apply(claim, value, node.at)


def size_of(node: Node, values: Values) -> Value:
    """What is known of ``|x|``, for functions that look at no more: of a leaky ReLU of an affine value it is convex."""
    value = values[node]
    is_folded = node.name in ("leaky_relu", "prelu") and value.curvature.is_convex
    if is_folded and values[node.inputs[0]].curvature.is_affine:
        monotone = dict.fromkeys(value.monotone, calculus.Monotonicity.ANY)
        return replace(value, sign=Sign.NON_NEGATIVE, monotone=monotone)  # max(s, −αs) for a slope α in [0, 1]
    return value


def logarithm(node: Node, values: Values) -> Value:
    """``log``; of a sigmoid, and of a softmax, it is one concave function.

    ``1 − sigmoid(s)`` is left alone: its digits are lost where the logarithm looks for them.
    """
    inner = node.inputs[0]
    if inner.name == "sigmoid":
        return calculus.apply(FUNCTIONS["log_sigmoid"], values[inner.inputs[0]], node.at)
    if inner.name == "softmax":
        return calculus.apply(LOG_SOFTMAX, values[inner.inputs[0]], node.at)
    inverted = _inverted(inner, values)
    if inverted is not None and values[inverted].sign.is_non_negative:
        return calculus.negate(calculus.apply(FUNCTIONS["log"], values[inverted], node.at))
    return function(node, values)


def _inverted(node: Node, values: Values) -> Node | None:
    """What s is in ``1 / s``."""
    if node.name == "reciprocal":
        return node.inputs[0]
    if node.name == "divide" and values.number(node.inputs[0]) == 1.0 and node.inputs[1].shape == node.shape:
        return node.inputs[1]
    return None


LOG_SOFTMAX = ElementWise("log-softmax", concave=True, sign=Sign.NON_POSITIVE)
"""``x_i − log Σ exp x``: concave in x, but not monotone in it."""


def reciprocal(node: Node, values: Values) -> Value:
    """``1 / s``, convex on s > 0."""
    value = values[node.inputs[0]]
    claim = convex_functions.power(-1.0, value.sign) if value.sign.is_non_negative else FUNCTIONS["reciprocal"]
    return calculus.apply(claim, value, node.at)


def prelu(node: Node, values: Values) -> Value:
    """``max(s, αs)`` with a learnt slope for each channel."""
    slopes = node.inputs[1]
    bounds = values.bounds(slopes) or values.context_bounds.get(slopes)
    if bounds is None or not all(map(math.isfinite, bounds)):
        label = values[slopes].label
        return refused(node, values, f"has slopes {label + ' ' if label else ''}that are not known to lie in [0, 1]")
    return calculus.apply(convex_functions.leaky_relu(*bounds, "prelu"), values[node.inputs[0]], node.at)


def power(node: Node, values: Values) -> Value:
    """``sᵖ`` with a number p, or ``bˢ`` with a number b."""
    base, exponent = node.inputs
    number = values.number(exponent)
    if number is None:
        of_base = values.number(base)
        least, _ = values.bounds(exponent) or values.context_bounds.get(exponent, (0.0, 0.0))
        if values[base].sign.is_non_negative and least >= 1.0:
            return calculus.apply(convex_functions.power_of_at_least_one(), values[base], node.at)
        if of_base is None:
            return refused(node, values, "has a variable exponent")
        return calculus.apply(convex_functions.exponential(of_base), values[exponent], node.at)
    value = values[base]
    if number == 1.0:
        return value
    claim = convex_functions.power(number, value.sign)
    return calculus.apply(claim, size_of(base, values) if claim.even else value, node.at)
