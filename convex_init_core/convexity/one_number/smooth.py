"""Smooth functions of sums of terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from convex_init_core.convexity.functions import drop_of_softplus
from convex_init_core.convexity.one_number import terms as factors
from convex_init_core.convexity.one_number.polynomial import Polynomial
from convex_init_core.convexity.one_number.terms import Factor, NotKnown, Terms


def _made(name: str, of: Terms, degree: int = 1) -> Terms:
    """A factor of a polynomial of at most this degree; a number if that is one."""
    numbers = of.polynomial.numbers
    if len(numbers) > degree + 1:
        raise NotKnown
    if len(numbers) < 2:
        return of.plain(Factor(name, numbers).at(0.0))
    if name == factors.EXP:
        factor, constant = factors.exponential(numbers)
        return Terms({factor: constant}, of.rounding)
    return Terms({Factor(name, numbers): Polynomial.of(1.0)}, of.rounding)


def exponential_of(parts: list[Terms], params: Mapping[str, object]) -> Terms:
    """``exp`` of a polynomial of at most degree 2."""
    return _made(factors.EXP, parts[0], 2)


def _logarithm(parts: list[Terms], params: Mapping[str, object]) -> Terms:
    """``log`` of a + exp(u), and of a parabola above 0."""
    kept = parts[0].kept
    others = [factor for factor in kept if factor != Factor()]
    if len(others) == 1 and others[0].name == factors.EXP and len(others[0].inner) == 2 and len(kept) == 2:
        above, beside = kept[others[0]].numbers, kept[Factor()].numbers
        if len(above) > 1 or len(beside) > 1 or above[0] <= 0.0 or beside[0] <= 0.0:
            raise NotKnown
        factor = Factor(factors.SOFTPLUS, (math.log(above[0] / beside[0]), others[0].inner[1]))
        return Terms({factor: Polynomial.of(1.0)}, parts[0].rounding) + parts[0].plain(math.log(beside[0]))
    numbers = parts[0].polynomial.numbers
    if len(numbers) != 3:
        raise NotKnown
    c, b, a = numbers
    least = c - 0.25 * b * b / a
    if not (a > 0.0 and least > 0.0):
        raise NotKnown
    steepness = math.sqrt(a / least)
    factor = Factor(factors.LOG, (0.5 * b / a * steepness, steepness))
    return Terms({factor: Polynomial.of(1.0)}, parts[0].rounding) + parts[0].plain(math.log(least))


def _softplus(parts: list[Terms], params: Mapping[str, object]) -> Terms:
    beta, threshold = float(str(params["beta"])), float(str(params["threshold"]))
    if beta == 0.0 or drop_of_softplus(threshold) > threshold * parts[0].rounding:
        raise NotKnown  # it drops where it becomes the identity
    return _made(factors.SOFTPLUS, parts[0].times(beta)).times(1.0 / beta)


def _quotient(parts: list[Terms], params: Mapping[str, object]) -> Terms:
    numbers = parts[1].polynomial.numbers
    if len(numbers) != 1:
        raise NotKnown
    return parts[0].times(1.0 / numbers[0])


def _power(parts: list[Terms], params: Mapping[str, object]) -> Terms:
    exponent = parts[1].polynomial.numbers
    if len(exponent) != 1 or exponent[0] not in (1.0, 2.0, 3.0, 4.0):
        raise NotKnown
    found = parts[0]
    for _ in range(int(exponent[0]) - 1):
        found = found * parts[0]
    return found


def _gelu(parts: list[Terms], params: Mapping[str, object]) -> Terms:
    half = _made(factors.ERF, parts[0].times(math.sqrt(0.5))).times(0.5) + parts[0].plain(0.5)
    return parts[0] * half


SMOOTH: dict[str, Callable[[list[Terms], Mapping[str, object]], Terms]] = {
    "add": lambda parts, _: parts[0] + parts[1],
    "subtract": lambda parts, _: parts[0] + parts[1].times(-1.0),
    "negate": lambda parts, _: parts[0].times(-1.0),
    "square": lambda parts, _: parts[0] * parts[0],
    "divide": _quotient,
    "power": _power,
    "exp": exponential_of,
    "expm1": lambda parts, params: exponential_of(parts, params) + parts[0].plain(-1.0),
    "erf": lambda parts, _: _made(factors.ERF, parts[0]),
    "atan": lambda parts, _: _made(factors.ATAN, parts[0]),
    "log": _logarithm,
    "log1p": lambda parts, params: _logarithm([parts[0] + parts[0].plain(1.0)], params),
    "softplus": _softplus,
    "gelu": _gelu,
}
