"""Sums, products and extremes of values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from convex_init_core.convexity.calculus.properties import Curvature, Monotonicity, Sign, Under
from convex_init_core.convexity.calculus.value import Value, constant, of_constants, spoilt, unknown


def negate(value: Value) -> Value:
    """``−x``."""
    return replace(
        value,
        curvature=-value.curvature,
        sign=-value.sign,
        monotone={name: -how for name, how in value.monotone.items()},
        convex_under=Under.LOGARITHM if value.is_constant and value.sign.is_non_positive else Under.NOTHING,
    )


def add(values: Sequence[Value], at: str) -> Value:
    """Return the sum of values; also a mean, or values side by side (concatenation).

    Args:
        values: one or more.
        at: the operation and its place, for the reason.
    """
    return reduce(lambda a, b: _add(a, b, at), values)


def _add(a: Value, b: Value, at: str) -> Value:
    if (broken := spoilt((a, b), at)) is not None:
        return broken
    curvature = a.curvature | b.curvature
    monotone = _merge(a.monotone, b.monotone)
    if curvature is Curvature.UNKNOWN:
        mixed = unknown(f"{at} joins a convex and a concave value", a, b, sign=a.sign | b.sign)
        return replace(mixed, monotone=monotone)
    # Norms and log-sum-exp take sums of what stays convex under the root and under the logarithm.
    return Value(curvature, a.sign | b.sign, monotone, convex_under=min(a.convex_under, b.convex_under))


def _merge(a: Mapping[str, Monotonicity], b: Mapping[str, Monotonicity]) -> dict[str, Monotonicity]:
    return {name: a.get(name, b.get(name, Monotonicity.ANY)) | b.get(name, a.get(name, Monotonicity.ANY))
            for name in (*a, *(key for key in b if key not in a))}  # fmt: skip


def multiply(a: Value, b: Value, at: str) -> Value:
    """Return a product, element-wise or a linear map or a convolution: one factor must be constant.

    A constant of one sign keeps or turns the curvature of the other factor; one of mixed sign keeps only affine
    values.

    Args:
        a: a factor.
        b: the other.
        at: the operation and its place, for the reason.
    """
    if (broken := spoilt((a, b), at)) is not None:
        return broken
    if not a.is_constant:
        a, b = b, a
    sign = a.sign * b.sign
    if not a.is_constant:
        if a.convex_under is b.convex_under is Under.LOGARITHM:  # exp(f) · exp(g)
            return Value(Curvature.CONVEX, sign, _merge(a.monotone, b.monotone), convex_under=Under.LOGARITHM)
        return unknown(f"{at} multiplies two values that both depend on the input", a, b, sign=sign)
    if b.is_constant:
        return constant(sign, reason=a.reason or b.reason if sign is Sign.ANY else "")
    if a.sign is Sign.ZERO and b.curvature is not Curvature.UNKNOWN:
        return Value(Curvature.AFFINE, sign, b.monotone)  # it is 0
    if a.sign.is_non_negative:
        return replace(b, sign=sign, label="")
    if a.sign is Sign.NON_POSITIVE:
        return replace(negate(b), sign=sign, label="")
    monotone = dict.fromkeys(b.monotone, Monotonicity.ANY)
    if b.curvature is Curvature.AFFINE:
        return Value(Curvature.AFFINE, Sign.ANY, monotone)
    why = a.reason or f"{a.label or 'a constant'} takes both signs"
    return unknown(f"{at} maps a {b.curvature.value} value, but {why}", b)


def maximum(values: Sequence[Value], at: str) -> Value:
    """Return the largest of values, element-wise or over a window: convex if all of them are."""
    return _extreme(values, at, "maximum", Curvature.CONVEX, Sign.NON_NEGATIVE)


def minimum(values: Sequence[Value], at: str) -> Value:
    """Return the smallest of values, element-wise or over a window: concave if all of them are."""
    return _extreme(values, at, "minimum", Curvature.CONCAVE, Sign.NON_POSITIVE)


def _extreme(values: Sequence[Value], at: str, name: str, kept: Curvature, bounded_by_one: Sign) -> Value:
    sign = _sign_of_extreme([value.sign for value in values], bounded_by_one)
    if all(value.is_constant for value in values):
        return of_constants(values, sign)
    if (broken := spoilt(values, at)) is not None:
        return broken
    monotone = reduce(_merge, (value.monotone for value in values))
    fits = all(v.curvature.is_convex if kept is Curvature.CONVEX else v.curvature.is_concave for v in values)
    if not fits:
        return replace(
            unknown(f"{at} takes a {name} of values that are not all {kept.value}", *values),
            monotone=monotone,
            sign=sign,
        )
    under = min(value.convex_under for value in values) if kept is Curvature.CONVEX else Under.NOTHING
    return Value(kept, sign, monotone, convex_under=under)


def _sign_of_extreme(signs: list[Sign], bound: Sign) -> Sign:
    """The sign of a maximum (``bound`` non-negative) or minimum (non-positive): one value may be enough to bound it."""
    if bound in signs:
        return bound
    if Sign.ZERO in signs:
        return Sign.ZERO if all(sign in (Sign.ZERO, -bound) for sign in signs) else bound
    return reduce(Sign.__or__, signs)


def side_by_side(values: Iterable[Value], at: str) -> Value:
    """Return values joined into one tensor; its curvature holds for each element."""
    return add(list(values), at)
