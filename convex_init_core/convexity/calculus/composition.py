"""Functions of one value: the composition rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convex_init_core.convexity.calculus.operations import negate
from convex_init_core.convexity.calculus.properties import Curvature, Monotonicity, Sign, Under
from convex_init_core.convexity.calculus.value import Value, of_constants, unknown


@dataclass(frozen=True)
class ElementWise:
    """What the calculus needs to know of an element-wise function.

    Attributes:
        name: for messages.
        convex: on the whole line.
        concave: on the whole line.
        increasing: non-decreasing on the whole line.
        decreasing: non-increasing on the whole line.
        increasing_from_zero: non-decreasing on s ≥ 0.
        even: ``f(−s) = f(s)``, so that a value ≤ 0 may be turned round first.
        sign: of its values.
        keeps_sign: whether f(s) has the sign of s.
        refusal: why it is neither convex nor concave, for messages.
        convex_under: what leaves f(s) convex, for an s for which f(s) is.
        tames: f of a value that is convex under this is convex, although f is concave.
        keeps_logarithm: whether f(s) is convex under the logarithm if s is.
    """

    name: str
    convex: bool = False
    concave: bool = False
    increasing: bool = False
    decreasing: bool = False
    increasing_from_zero: bool = False
    even: bool = False
    sign: Sign = Sign.ANY
    keeps_sign: bool = False
    refusal: str = ""
    convex_under: Under = Under.NOTHING
    tames: Under = Under.NOTHING
    keeps_logarithm: bool = False


def apply(function: ElementWise, value: Value, at: str) -> Value:
    """Return ``f(x)`` by the composition rule.

    Convex f of an affine x is convex; of a convex x if f is non-decreasing where x lives; of a concave x if f is
    non-increasing. The same for concave f with convex and concave exchanged.

    Args:
        function: f.
        value: x.
        at: the operation and its place, for the reason.
    """
    sign = value.sign if function.keeps_sign and function.sign is Sign.ANY else function.sign
    if value.is_constant:
        return of_constants([value], sign)
    if function.even and value.sign.is_non_positive:
        value = negate(value)
    increasing = function.increasing or (function.increasing_from_zero and value.sign.is_non_negative)
    decreasing = function.decreasing
    if increasing:
        monotone = dict(value.monotone)
    elif decreasing:
        monotone = {name: -how for name, how in value.monotone.items()}
    else:
        monotone = dict.fromkeys(value.monotone, Monotonicity.ANY)
    x = value.curvature
    up = x.is_affine or (increasing and x.is_convex) or (decreasing and x.is_concave)
    down = x.is_affine or (increasing and x.is_concave) or (decreasing and x.is_convex)
    logarithm = function.keeps_logarithm and value.convex_under is Under.LOGARITHM
    if function.tames and value.convex_under >= function.tames:
        return Value(Curvature.CONVEX, sign, monotone, convex_under=Under.LOGARITHM if logarithm else Under.NOTHING)
    if function.convex and function.concave and up and down:
        return Value(Curvature.AFFINE, sign, monotone)
    if function.convex and up:
        under = Under.LOGARITHM if logarithm else function.convex_under
        return Value(Curvature.CONVEX, sign, monotone, convex_under=under)
    if function.concave and down:
        return Value(Curvature.CONCAVE, sign, monotone)
    if function.convex and function.concave:  # an affine f of a convex or concave x
        turned = x if increasing else -x
        return Value(turned, sign, monotone, value.reason)
    if not (function.convex or function.concave):
        why = f"{function.name} is neither convex nor concave" + (f": {function.refusal}" if function.refusal else "")
    else:
        shape, same = ("convex", Curvature.CONVEX) if function.convex else ("concave", Curvature.CONCAVE)
        how = "non-decreasing" if x is same else "non-increasing"
        why = f"{function.name} is {shape}, but not {how} where its {x.value} argument lives"
    return replace(unknown(f"{at}: {why}", value), monotone=monotone, sign=sign)


def norm(value: Value, at: str) -> Value:
    """Return a p-norm, p ≥ 1: convex, and non-decreasing in the size of each element."""
    return apply(
        ElementWise("a norm", convex=True, increasing_from_zero=True, even=True, sign=Sign.NON_NEGATIVE), value, at
    )


def spread(value: Value, at: str, *, root: bool) -> Value:
    """Return the variance, or with ``root`` the standard deviation, of the elements: a (squared) norm of deviations."""
    function = ElementWise(
        "a standard deviation" if root else "a variance",
        convex=True,
        sign=Sign.NON_NEGATIVE,
        convex_under=Under.NOTHING if root else Under.ROOT,
    )
    return apply(function, value, at)
