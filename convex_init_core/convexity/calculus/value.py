"""A value of a computation as the calculus knows it, and the values that it starts from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from convex_init_core.convexity.calculus.properties import Curvature, Monotonicity, Sign, Under


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
        return of_constants(values, sign)
    inputs: dict[str, Monotonicity] = {name: Monotonicity.ANY for value in values for name in value.monotone}
    earlier = next((value.reason for value in values if value.curvature is Curvature.UNKNOWN), "")
    return Value(Curvature.UNKNOWN, sign, inputs, earlier or reason)


def of_constants(values: Iterable[Value], sign: Sign) -> Value:
    """Return a function of constants: a constant, and broken if one of them is."""
    broken = next((value for value in values if not value.finite), None)
    return constant(sign) if broken is None else constant(Sign.ANY, broken.label, broken.reason, finite=False)


def spoilt(values: Sequence[Value], at: str) -> Value | None:
    """Return the result of an operation with a constant that holds NaN or infinite numbers, if there is one."""
    broken = next((value for value in values if not value.finite), None)
    if broken is None:
        return None
    why = broken.reason or f"{broken.label or 'a constant'} holds NaN or infinite values"
    return unknown(f"{at}: {why}", *values)
