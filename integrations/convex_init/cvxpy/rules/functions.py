"""Functions of one number, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cvxpy as cp
import numpy as np

from convex_init.cvxpy.parts import cones
from convex_init.cvxpy.parts.combination import Combination, joined
from convex_init.cvxpy.parts.expressions import NotExpressibleError
from convex_init_core.convexity.calculus import Curvature
from convex_init_core.graph.nodes import Node

if TYPE_CHECKING:
    from convex_init.cvxpy.translation import Translation

Rule = Callable[["Translation", Node], Combination]


def positive_part(into: Translation, value: Combination, at: str) -> Combination:
    """``max(s, 0)``.

    Of an affine value, its sign is chosen such that ``max(s, 0)`` and ``max(−s, 0) = max(s, 0) − s`` are one vector:
    so a softplus that is written against overflow is found to be one.
    """
    fixed = value.fixed_rows
    if fixed.any():
        return into.by_rows(value, fixed, lambda part: positive_part(into, part, at), lambda x: np.maximum(x, 0.0))
    signs, sizes = _signs(value)
    if not value.is_affine:
        return into.made.apply("pos", value.scaled(1.0 / sizes).rounded(), at, cp.pos).scaled(sizes)
    turned = into.made.apply("pos", value.scaled(signs / sizes).rounded(), at, cp.pos)
    return turned.scaled(sizes) + value.scaled(np.where(signs < 0.0, 1.0, 0.0))


def _signs(value: Combination) -> tuple[Any, Any]:
    """The sign of the first coefficient of each row, and the largest size of one."""
    signs, sizes = np.zeros(value.size), np.zeros(value.size)
    for matrix in value.terms.values():
        starts, ends = matrix.indptr[:-1], matrix.indptr[1:]
        rows = np.flatnonzero((ends > starts) & (signs == 0.0))
        signs[rows] = np.sign(matrix.data[starts[rows]])
        sizes = np.maximum(sizes, abs(matrix).max(1).toarray().reshape(-1))
    return signs, sizes


def leaky(into: Translation, node: Node, value: Combination, slopes: Any) -> Combination:
    """``max(s, αs)``, one slope for all or for each; above 1 it is a minimum."""
    slopes, at = np.broadcast_to(np.asarray(slopes, np.float64), (value.size,)), node.at
    known = into.values[node.inputs[0]].sign
    if known.is_non_negative or known.is_non_positive:
        return value if known.is_non_negative else value.scaled(slopes)
    if (slopes > 1.0).any() and not (slopes >= 1.0).all():
        raise NotExpressibleError(f"{at} has slopes below and above 1")
    return value.scaled(slopes) + positive_part(into, value, at).scaled(1.0 - slopes)


def size_of(into: Translation, node: Node) -> Combination:
    """What may stand for a value under an even function: the value, or its size where that alone is convex."""
    value = into.of(node)
    if node.name in ("leaky_relu", "prelu") and not value.is_affine:
        inner = into.of(node.inputs[0])
        if inner.is_affine:  # |max(s, αs)| = max(s, −|α| s), which is not negative
            given = node.params["slope"] if node.name == "leaky_relu" else into.spread(node.inputs[1], node).offset
            slopes = np.abs(np.broadcast_to(np.asarray(given, np.float64), (inner.size,)))
            folded = positive_part(into, inner, node.at).scaled(1.0 + slopes) - inner.scaled(slopes)
            sizes: Combination = into.made.apply("pos", folded, node.at, cp.pos)
            return sizes
    if value.is_affine:
        return value
    found = signed(into, node, value)
    return -found if into.values[node].sign.is_non_positive else found


def signed(into: Translation, node: Node, value: Combination) -> Combination:
    """A value whose sign cvxpy knows, where the certificate knows it and cvxpy does not: ``max(s, 0)`` is s then."""
    known = into.values[node].sign
    expression = into.made.of(value, node.at)
    if known.is_non_negative and not expression.is_nonneg() and expression.is_convex():
        return into.made.of_known_sign(value, node.at)
    if known.is_non_positive and not expression.is_nonpos() and expression.is_concave():
        return -into.made.of_known_sign(-value, node.at)
    return value


def _relu(into: Translation, node: Node) -> Combination:
    value, known = into.of(node.inputs[0]), into.values[node.inputs[0]].sign
    if known.is_non_negative:
        return value
    return value.scaled(0.0) if known.is_non_positive else positive_part(into, value, node.at)


def _leaky_relu(into: Translation, node: Node) -> Combination:
    return leaky(into, node, into.of(node.inputs[0]), node.params["slope"])


def _prelu(into: Translation, node: Node) -> Combination:
    slopes = into.spread(node.inputs[1], node)
    if not slopes.is_fixed:
        raise NotExpressibleError(f"{node.at} has slopes that depend on the input")
    return leaky(into, node, into.spread(node.inputs[0], node), slopes.offset)


def _threshold(into: Translation, node: Node) -> Combination:
    at, value = float(node.params["at"]), float(node.params["value"])
    if at != value:
        raise NotExpressibleError(f"{node.at} jumps at {at:g} from {value:g}")
    return positive_part(into, into.of(node.inputs[0]) + (-at), node.at) + at


def _softplus(into: Translation, node: Node) -> Combination:
    return softplus(into, into.of(node.inputs[0]), node.params["beta"], node.at)


def softplus(into: Translation, value: Combination, beta: float, at: str) -> Combination:
    """``log(1 + exp(βs))/β``."""
    return into.made.apply("logistic", value.scaled(beta), at, cp.logistic).scaled(1.0 / beta)


def _elu(into: Translation, node: Node) -> Combination:
    return elu(into, into.of(node.inputs[0]), **node.params, at=node.at)


def elu(into: Translation, value: Combination, alpha: float, scale: float, input_scale: float, at: str) -> Combination:
    """ELU, by its cone."""
    if not (scale > 0.0 and input_scale > 0.0 and 0.0 <= alpha * input_scale <= 1.0 + 1e-9):
        raise NotExpressibleError(f"{at} has a slope that drops at 0")
    function = cones.elu(alpha, scale, input_scale)
    return into.made.apply(("elu", alpha, scale, input_scale), value, at, lambda s: cones.applied(function, s))


def _with_cone(make: Callable[..., cones.Function], *, even: bool = False) -> Rule:
    def rule(into: Translation, node: Node) -> Combination:
        value = size_of(into, node.inputs[0]) if even else into.of(node.inputs[0])
        function = make(**node.params)
        name = (node.name, *node.params.values())
        return into.made.apply(name, value, node.at, lambda s: cones.applied(function, s))

    return rule


def _atom(name: str, function: Callable[[Any], Any], *, even: bool = False, signs: bool = False) -> Rule:
    def rule(into: Translation, node: Node) -> Combination:
        value = size_of(into, node.inputs[0]) if even else into.of(node.inputs[0])
        if signs and not value.is_fixed and not value.is_affine:
            value = signed(into, node.inputs[0], value)
        return into.made.apply(name, value, node.at, function)

    return rule


def _huber(into: Translation, node: Node) -> Combination:
    delta = node.params["delta"]
    value = size_of(into, node.inputs[0])
    return into.made.apply(("huber", delta), value, node.at, lambda s: 0.5 * cp.huber(s, delta))


def _log_sigmoid(into: Translation, node: Node) -> Combination:
    return -into.made.apply("logistic", -into.of(node.inputs[0]), node.at, cp.logistic)


def _reciprocal(into: Translation, node: Node) -> Combination:
    return reciprocal(into, node.inputs[0], node.at)


def reciprocal(into: Translation, node: Node, at: str) -> Combination:
    """``1 / s``, for s of a known sign, or a logarithm that is known."""
    logarithm = into.logarithm(node)
    if logarithm is not None:
        return exponential(into, -logarithm, at)
    value = into.of(node)
    if into.values[node].sign.is_non_positive:
        return -into.made.apply("inv_pos", -value, at, cp.inv_pos)
    if not into.values[node].sign.is_non_negative:
        raise NotExpressibleError(f"{at} divides by a value that is not known to be positive")
    return into.made.apply("inv_pos", value, at, cp.inv_pos)


def exponential(into: Translation, value: Combination, at: str) -> Combination:
    """``exp s``."""
    return into.made.apply("exp", value, at, cp.exp)


def _exp(into: Translation, node: Node) -> Combination:
    return exponential(into, into.of(node.inputs[0]), node.at)


def _expm1(into: Translation, node: Node) -> Combination:
    return exponential(into, into.of(node.inputs[0]), node.at) + (-1.0)


def _abs(into: Translation, node: Node) -> Combination:
    value, known = size_of(into, node.inputs[0]), into.values[node.inputs[0]].sign
    if known.is_non_negative or known.is_non_positive:
        return value if known.is_non_negative else -value
    if not value.is_affine and into.values[node.inputs[0]].curvature is Curvature.CONCAVE:
        value = -value
    return positive_part(into, value, node.at).scaled(2.0) - value


def power(into: Translation, node: Node) -> Combination:
    """``sᵖ`` with numbers p, or ``bˢ`` with numbers b."""
    base, exponent = node.inputs
    if not into.is_varying(exponent):
        exponents = into.spread(exponent, node).offset
        found: dict[float, Any] = {}
        for number in np.unique(exponents):
            found[float(number)] = np.flatnonzero(exponents == number)
        parts = [
            _to_the(into, base, into.spread(base, node, power=number), number, node).take(rows)
            for number, rows in found.items()
        ]
        order = np.argsort(np.concatenate(list(found.values())))
        return joined(parts).take(order)
    bases = into.spread(base, node)
    if not bases.is_fixed or not (bases.offset > 0.0).all():
        raise NotExpressibleError(f"{node.at} has a base and an exponent that depend on the input")
    return exponential(into, into.spread(exponent, node).scaled(np.log(bases.offset)), node.at)


def _to_the(into: Translation, base: Node, value: Combination, number: float, node: Node) -> Combination:
    if number == 1.0:
        return value
    if number == 0.0:
        return value.scaled(0.0) + 1.0
    if number == 2.0:
        return into.made.apply("square", value, node.at, cp.square)
    return into.made.apply(("power", number), value, node.at, lambda s: cp.power(s, number))


def is_even(number: float) -> bool:
    """Whether a power looks at the size of its base only."""
    return math.isfinite(number) and number % 2.0 == 0.0


FUNCTIONS: dict[str, Rule] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "threshold": _threshold,
    "softplus": _softplus,
    "elu": _elu,
    "squareplus": _with_cone(cones.squareplus),
    "sparse_plus": _with_cone(cones.sparse_plus),
    "cosh": _with_cone(cones.cosh, even=True),
    "huber": _huber,
    "exp": _exp,
    "expm1": _expm1,
    "abs": _abs,
    "square": _atom("square", cp.square, even=True),
    "power": power,
    "sqrt": _atom("sqrt", cp.sqrt),
    "rsqrt": _atom("rsqrt", lambda s: cp.power(s, -0.5)),
    "log": _atom("log", cp.log),
    "log1p": _atom("log1p", cp.log1p),
    "entropy": _atom("entr", cp.entr),
    "log_sigmoid": _log_sigmoid,
    "reciprocal": _reciprocal,
}
"""By operation."""
