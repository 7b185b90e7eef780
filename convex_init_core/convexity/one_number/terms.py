"""Functions of one number as sums of polynomials times a few transcendental functions, which can be differentiated.

Differentiated twice, what is convex only together becomes plain: of ``s Φ(s) + φ(s)`` the density φ is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from convex_init_core.convexity.one_number.polynomial import STEPS, Polynomial

_WIDEST = 300.0  # exponent: e³⁰⁰ and its square are finite, and so are their inverses

ONE, EXP, ERF, ATAN, RATIO, LOG, SOFTPLUS, SIGMOID, BELL = (
    *("one", "exp", "erf", "atan", "ratio", "log", "softplus", "sigmoid", "bell"),
)


@dataclass(frozen=True)
class Factor:
    """What a polynomial is multiplied by, with u = c + k s (for ``exp``: the whole exponent).

    ``one``; ``exp(u)``, of which u has no constant, so that equal ones are seen; ``erf(u)``; ``atan(u)``; ``ratio``:
    1/(1 + u²)ⁿ; ``log``: log(1 + u²); ``softplus(u)``; ``sigmoid(u)``, its derivative; ``bell``: that of the sigmoid.

    Attributes:
        name: as above.
        inner: coefficients of u, the constant first.
        power: n.
    """

    name: str = ONE
    inner: tuple[float, ...] = ()
    power: int = 0

    @property
    def is_positive(self) -> bool:
        """Whether no value of it is below 0."""
        return self.name not in (ERF, ATAN)

    def at(self, s: float) -> float:
        """Return the value at a place."""
        u = Polynomial.of(*self.inner).at(s)
        return _VALUES[self.name](u) if self.name != RATIO else (1.0 + u * u) ** -self.power

    def matches(self, other: Factor, rounding: float) -> bool:
        """Whether it is the same factor but for rounding of what is inside."""
        if self.name != other.name or self.power != other.power or len(self.inner) != len(other.inner):
            return False
        return all(
            abs(a - b) <= STEPS * rounding * max(abs(a), abs(b)) for a, b in zip(self.inner, other.inner, strict=True)
        )


def _sigmoid(u: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * u))


_VALUES: dict[str, Callable[[float], float]] = {
    ONE: lambda u: 1.0,
    EXP: lambda u: math.exp(min(u, 700.0)),
    ERF: math.erf,
    ATAN: math.atan,
    LOG: lambda u: math.log1p(u * u),
    SOFTPLUS: lambda u: max(u, 0.0) + math.log1p(math.exp(-abs(u))),
    SIGMOID: _sigmoid,
    BELL: lambda u: _sigmoid(u) * _sigmoid(-u),
}


class NotKnown(ValueError):
    """A function, or what is asked of it, is beyond these sums."""


@dataclass(frozen=True)
class Terms:
    """A sum of polynomials times factors.

    Attributes:
        parts: the polynomial of each factor.
        rounding: relative distance of two numbers of the type that it is computed in.
    """

    parts: dict[Factor, Polynomial] = field(default_factory=dict)
    rounding: float = 2.0**-52

    def _with(self, parts: dict[Factor, Polynomial]) -> Terms:
        return Terms(parts, self.rounding)

    def plain(self, *numbers: float) -> Terms:
        """Return a polynomial as such a sum."""
        return self._with({Factor(): Polynomial.of(*numbers)})

    @property
    def polynomial(self) -> Polynomial:
        """The sum as a polynomial.

        Raises:
            NotKnown: if it is none.
        """
        kept = self.kept
        if set(kept) - {Factor()}:
            raise NotKnown
        return kept.get(Factor(), Polynomial())

    @property
    def kept(self) -> dict[Factor, Polynomial]:
        """The parts that are more than rounding."""
        found = {factor: part.without_rounding(self.rounding) for factor, part in self.parts.items()}
        return {factor: part for factor, part in found.items() if part.numbers}

    @property
    def cancelled(self) -> dict[tuple[Factor, int], float]:
        """The sizes of what came to 0 but for rounding, by factor and power of s."""
        kept = self.kept
        return {
            (factor, degree): size
            for factor, part in self.parts.items()
            for degree, size in enumerate(part.sizes)
            if size and not (factor in kept and kept[factor].numbers[degree : degree + 1] not in ((), (0.0,)))
        }

    def __add__(self, other: Terms) -> Terms:
        """Return the sum."""
        parts = dict(self.parts)
        for factor, part in other.parts.items():
            known = next((one for one in parts if one.matches(factor, self.rounding)), factor)
            parts[known] = parts[known] + part if known in parts else part
        return self._with(parts)

    def times(self, factor: float) -> Terms:
        """Return the product with a number."""
        return self if factor == 1.0 else self._with({one: part.times(factor) for one, part in self.parts.items()})

    def __mul__(self, other: Terms) -> Terms:
        """Return the product.

        Raises:
            NotKnown: if it has factors that are not followed.
        """
        found = self._with({})
        for a, p in self.parts.items():
            for b, q in other.parts.items():
                found = found + self._with({_together(a, b): p * q})
        return found

    @property
    def slope(self) -> Terms:
        """The derivative.

        Raises:
            NotKnown: if that has factors that are not followed.
        """
        found = self._with({})
        for factor, part in self.kept.items():
            found = found + self._with({factor: part.slope})
            if factor.name != ONE:
                inner = Polynomial.of(*factor.inner).slope
                outer, other = _derived(factor)
                found = found + self._with({outer: part * inner * other})
        return found

    def at(self, s: float) -> float:
        """Return the value at a place."""
        return sum(part.at(s) * factor.at(s) for factor, part in self.parts.items())

    def size_at(self, s: float) -> float:
        """Return the sum of the magnitudes of all terms at a place."""
        return sum(part.size_at(s) * abs(factor.at(s)) for factor, part in self.parts.items())

    def is_non_negative(self, low: float, high: float) -> bool:
        """Whether each part is at least 0 between two places, which may be infinite; a sufficient condition."""
        ratios: dict[tuple[float, ...], list[Factor]] = {}
        parts = self.kept
        for factor in parts:
            if factor.name == RATIO:
                ratios.setdefault(factor.inner, []).append(factor)
        for inner, factors in ratios.items():  # over one denominator
            power = max(factor.power for factor in factors)
            base = Polynomial.of(1.0) + Polynomial.of(*inner) * Polynomial.of(*inner)
            whole = Polynomial()
            for factor in factors:
                part = parts.pop(factor)
                for _ in range(power - factor.power):
                    part = part * base
                whole = whole + part
            parts[Factor(RATIO, inner, power)] = whole
        return all(
            (factor.is_positive or not part.without_rounding(self.rounding).numbers)
            and part.is_non_negative(low, high, self.rounding)
            for factor, part in parts.items()
        )

    def limit(self, side: float) -> float:
        """Return the limit for s → ±∞, ``side`` being −1 or 1; of what only rounding separates from 0 it is 0.

        Raises:
            NotKnown: if it is not seen.
        """
        plain = Polynomial()
        for factor, part in self.kept.items():
            plain = plain + _far_out(factor, part, side)
        kept = plain.without_rounding(self.rounding).numbers
        if len(kept) <= 1:
            return kept[0] if kept else 0.0
        return math.copysign(math.inf, kept[-1] * side ** (len(kept) - 1))


def exponential(inner: tuple[float, ...]) -> tuple[Factor, Polynomial]:
    """Return ``exp(u)`` as a factor and the number that the constant of u makes.

    Raises:
        NotKnown: if that number, or a product of two of them, leaves the range of floating-point numbers.
    """
    if abs(inner[0]) > _WIDEST:
        raise NotKnown
    return Factor(EXP, (0.0, *inner[1:])), Polynomial.of(math.exp(inner[0]))


def _together(a: Factor, b: Factor) -> Factor:
    if ONE in (a.name, b.name):
        return b if a.name == ONE else a
    if a.name == b.name == EXP:
        return Factor(EXP, (Polynomial.of(*a.inner) + Polynomial.of(*b.inner)).numbers)
    raise NotKnown


def _derived(factor: Factor) -> tuple[Factor, Polynomial]:
    """The derivative with respect to u: a factor, and what it is multiplied by."""
    inner = Polynomial.of(*factor.inner)
    if factor.name == EXP:
        return factor, Polynomial.of(1.0)
    if factor.name == ERF:
        square = inner * inner
        outer, constant = exponential(square.times(-1.0).numbers)
        return outer, constant.times(2.0 / math.sqrt(math.pi))
    if factor.name == ATAN:
        return Factor(RATIO, factor.inner, 1), Polynomial.of(1.0)
    if factor.name == LOG:
        return Factor(RATIO, factor.inner, 1), inner.times(2.0)
    if factor.name == RATIO:
        return Factor(RATIO, factor.inner, factor.power + 1), inner.times(-2.0 * factor.power)
    if factor.name in (SOFTPLUS, SIGMOID):
        return Factor(SIGMOID if factor.name == SOFTPLUS else BELL, factor.inner), Polynomial.of(1.0)
    raise NotKnown


def _far_out(factor: Factor, part: Polynomial, side: float) -> Polynomial:
    """The polynomial that a part becomes for s → ±∞; what vanishes there is left out."""
    inner = Polynomial.of(*factor.inner)
    last = len(factor.inner) - 1
    rises = bool(factor.inner) and factor.inner[-1] * side**last > 0.0
    if factor.name == ONE:
        return part
    if last < 1:
        raise NotKnown
    if factor.name == ERF:
        return part.times(1.0 if rises else -1.0)
    if factor.name == SIGMOID:
        return part if rises else Polynomial()
    if factor.name == SOFTPLUS:
        return part * inner if rises else Polynomial()
    if factor.name == BELL or (factor.name == EXP and not rises):
        return Polynomial()
    if factor.name == RATIO and len(part.numbers) <= 2 * factor.power:
        return Polynomial()
    if factor.name == ATAN and len(part.numbers) == 1:
        return part.times(math.copysign(0.5 * math.pi, 1.0 if rises else -1.0))
    raise NotKnown
