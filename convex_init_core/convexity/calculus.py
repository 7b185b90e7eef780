"""A calculus of convexity: which operations keep a value convex in declared inputs (disciplined convex programming).

Every value of a computation carries its curvature, jointly in all *declared convex inputs*, its monotonicity in each
of them, and its sign. Everything else (weights, biases, context) is constant in them. Each rule is sound: it says
``CONVEX`` only of what is convex, and otherwise keeps the reason why it could not. Rules are those of Grant, Boyd & Ye
(2006), *Disciplined Convex Programming*, stated for the operations that networks are made of.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce


class Curvature(enum.Enum):
    """How a value bends, jointly in the declared inputs."""

    CONSTANT = "constant"
    AFFINE = "affine"
    CONVEX = "convex"
    CONCAVE = "concave"
    UNKNOWN = "unknown"

    def __neg__(self) -> Curvature:
        """Return the curvature of the negated value."""
        return {Curvature.CONVEX: Curvature.CONCAVE, Curvature.CONCAVE: Curvature.CONVEX}.get(self, self)

    def __or__(self, other: Curvature) -> Curvature:
        """Return the curvature of a sum, or of two values side by side."""
        if self is other or other is Curvature.CONSTANT:
            return self
        if self is Curvature.CONSTANT:
            return other
        if Curvature.UNKNOWN in (self, other) or {self, other} == {Curvature.CONVEX, Curvature.CONCAVE}:
            return Curvature.UNKNOWN
        return other if self is Curvature.AFFINE else self

    @property
    def is_convex(self) -> bool:
        """Whether convexity is certain."""
        return self in (Curvature.CONSTANT, Curvature.AFFINE, Curvature.CONVEX)

    @property
    def is_concave(self) -> bool:
        """Whether concavity is certain."""
        return self in (Curvature.CONSTANT, Curvature.AFFINE, Curvature.CONCAVE)

    @property
    def is_affine(self) -> bool:
        """Whether the value is constant or affine."""
        return self in (Curvature.CONSTANT, Curvature.AFFINE)


class Sign(enum.Enum):
    """Whether the elements of a value are bounded by 0."""

    NON_NEGATIVE = "non-negative"
    NON_POSITIVE = "non-positive"
    ZERO = "zero"
    ANY = "of any sign"

    def __neg__(self) -> Sign:
        """Return the sign of the negated value."""
        return {Sign.NON_NEGATIVE: Sign.NON_POSITIVE, Sign.NON_POSITIVE: Sign.NON_NEGATIVE}.get(self, self)

    def __mul__(self, other: Sign) -> Sign:
        """Return the sign of a product."""
        if Sign.ZERO in (self, other):
            return Sign.ZERO
        if Sign.ANY in (self, other):
            return Sign.ANY
        return Sign.NON_NEGATIVE if self is other else Sign.NON_POSITIVE

    def __or__(self, other: Sign) -> Sign:
        """Return the sign of a sum, or of two values side by side."""
        if Sign.ZERO in (self, other):
            return other if self is Sign.ZERO else self
        return self if self is other else Sign.ANY

    @property
    def is_non_negative(self) -> bool:
        """Whether nothing is below 0."""
        return self in (Sign.NON_NEGATIVE, Sign.ZERO)

    @property
    def is_non_positive(self) -> bool:
        """Whether nothing is above 0."""
        return self in (Sign.NON_POSITIVE, Sign.ZERO)


class Monotonicity(enum.Enum):
    """How a value follows one input; an input that is not listed does not matter to it."""

    INCREASING = "non-decreasing"
    DECREASING = "non-increasing"
    ANY = "of no known monotonicity"

    def __neg__(self) -> Monotonicity:
        """Return the monotonicity of the negated value."""
        swap = {Monotonicity.INCREASING: Monotonicity.DECREASING, Monotonicity.DECREASING: Monotonicity.INCREASING}
        return swap.get(self, self)

    def __or__(self, other: Monotonicity) -> Monotonicity:
        """Return the monotonicity of a sum, or of two values side by side."""
        return self if self is other else Monotonicity.ANY


class Under(enum.IntEnum):
    """Which concave function leaves a non-negative convex value convex; each implies those before it.

    A sum of squares of affine values stays convex under the square root (it is a squared norm), a sum of exponentials
    under the logarithm (log-sum-exp, and so the softplus that is written out).
    """

    NOTHING = 0
    ROOT = 1
    LOGARITHM = 2


@dataclass(frozen=True)
class Value:
    """What is known of one value of a computation.

    Attributes:
        curvature: jointly in all declared inputs.
        sign: of all its elements.
        monotone: monotonicity in each declared input that it depends on.
        reason: where ``UNKNOWN`` came from: the operation, its place and why.
        label: what a constant is called in messages, such as the path of a weight.
        convex_under: the strongest concave function that leaves the value convex; the value is then non-negative.
        finite: ``False`` for a constant that holds NaN or infinite numbers.
    """

    curvature: Curvature
    sign: Sign = Sign.ANY
    monotone: Mapping[str, Monotonicity] = field(default_factory=dict)
    reason: str = ""
    label: str = ""
    convex_under: Under = Under.NOTHING
    finite: bool = True

    @property
    def is_constant(self) -> bool:
        """Whether the value does not depend on the declared inputs."""
        return self.curvature is Curvature.CONSTANT


def constant(sign: Sign = Sign.ANY, label: str = "", reason: str = "", finite: bool = True) -> Value:
    """Return a value that does not depend on the declared inputs: a weight, or context."""
    under = Under.LOGARITHM if sign.is_non_negative else Under.NOTHING
    return Value(Curvature.CONSTANT, sign, {}, reason, label, under, finite)


def numbers(low: float, high: float, label: str) -> Value:
    """Return a constant whose numbers lie between ``low`` and ``high``, both of which are among them.

    Args:
        low: smallest number; NaN if there is any.
        high: largest number; likewise.
        label: what it is called in messages, such as the path of a weight in quotes.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return constant(Sign.ANY, label, f"{label} holds NaN or infinite values", finite=False)
    if low >= 0.0:
        return constant(Sign.ZERO if high == 0.0 else Sign.NON_NEGATIVE, label)
    return constant(Sign.NON_POSITIVE if high <= 0.0 else Sign.ANY, label, f"{label} goes down to {low:.3g}")


def variable(name: str) -> Value:
    """Return a declared convex input."""
    return Value(Curvature.AFFINE, Sign.ANY, {name: Monotonicity.INCREASING}, label=name)


def unknown(reason: str, *values: Value, sign: Sign = Sign.ANY) -> Value:
    """Return a value of which no more than its sign is known, for this reason.

    An earlier reason in ``values``, from which it was made, takes precedence. A function of constants is a constant,
    whatever the function.
    """
    if values and all(value.is_constant for value in values):
        return _of_constants(values, sign)
    inputs: dict[str, Monotonicity] = {name: Monotonicity.ANY for value in values for name in value.monotone}
    earlier = next((value.reason for value in values if value.curvature is Curvature.UNKNOWN), "")
    return Value(Curvature.UNKNOWN, sign, inputs, earlier or reason)


def _of_constants(values: Iterable[Value], sign: Sign) -> Value:
    broken = next((value for value in values if not value.finite), None)
    return constant(sign) if broken is None else constant(Sign.ANY, broken.label, broken.reason, finite=False)


def _spoilt(values: Sequence[Value], at: str) -> Value | None:
    """The result of an operation with a constant that holds NaN or infinite numbers, if there is one."""
    broken = next((value for value in values if not value.finite), None)
    if broken is None:
        return None
    why = broken.reason or f"{broken.label or 'a constant'} holds NaN or infinite values"
    return unknown(f"{at}: {why}", *values)


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
    if (spoilt := _spoilt((a, b), at)) is not None:
        return spoilt
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
    if (spoilt := _spoilt((a, b), at)) is not None:
        return spoilt
    if not a.is_constant:
        a, b = b, a
    sign = a.sign * b.sign
    if not a.is_constant:
        if a.convex_under is b.convex_under is Under.LOGARITHM:  # exp(f) · exp(g)
            return Value(Curvature.CONVEX, sign, _merge(a.monotone, b.monotone), convex_under=Under.LOGARITHM)
        return unknown(f"{at} multiplies two values that both depend on the input", a, b, sign=sign)
    if b.is_constant:
        return constant(sign, reason=a.reason or b.reason if sign is Sign.ANY else "")
    if a.sign.is_non_negative:
        return replace(b, sign=sign, label="")
    if a.sign is Sign.NON_POSITIVE:
        return replace(negate(b), sign=sign, label="")
    monotone = dict.fromkeys(b.monotone, Monotonicity.ANY)
    if b.curvature is Curvature.AFFINE:
        return Value(Curvature.AFFINE, Sign.ANY, monotone)
    why = a.reason or f"{a.label or 'a constant'} takes both signs"
    return unknown(f"{at} maps a {b.curvature.value} value, but {why}", b)


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
        return _of_constants([value], sign)
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


def maximum(values: Sequence[Value], at: str) -> Value:
    """Return the largest of values, element-wise or over a window: convex if all of them are."""
    return _extreme(values, at, "maximum", Curvature.CONVEX, Sign.NON_NEGATIVE)


def minimum(values: Sequence[Value], at: str) -> Value:
    """Return the smallest of values, element-wise or over a window: concave if all of them are."""
    return _extreme(values, at, "minimum", Curvature.CONCAVE, Sign.NON_POSITIVE)


def _extreme(values: Sequence[Value], at: str, name: str, kept: Curvature, bounded_by_one: Sign) -> Value:
    sign = _sign_of_extreme([value.sign for value in values], bounded_by_one)
    if all(value.is_constant for value in values):
        return _of_constants(values, sign)
    if (spoilt := _spoilt(values, at)) is not None:
        return spoilt
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


def side_by_side(values: Iterable[Value], at: str) -> Value:
    """Return values joined into one tensor; its curvature holds for each element."""
    return add(list(values), at)
