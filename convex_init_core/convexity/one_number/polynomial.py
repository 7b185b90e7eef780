"""Polynomials whose coefficients remember how large the terms were that made them, for what rounding leaves of a 0."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

STEPS = 4.0
"""Rounding of a term: that of the few operations that made it."""


@dataclass(frozen=True)
class Polynomial:
    """``Σ aᵢ sⁱ``.

    Attributes:
        numbers: aᵢ.
        sizes: of each the sum of the magnitudes of all terms that were added up to it.
    """

    numbers: tuple[float, ...] = ()
    sizes: tuple[float, ...] = ()

    @classmethod
    def of(cls, *numbers: float) -> Polynomial:
        """Return the polynomial with these coefficients, the constant first."""
        return cls(numbers, tuple(map(abs, numbers)))

    def __add__(self, other: Polynomial) -> Polynomial:
        """Return the sum."""
        return Polynomial(
            tuple(a + b for a, b in zip_longest(self.numbers, other.numbers, fillvalue=0.0)),
            tuple(a + b for a, b in zip_longest(self.sizes, other.sizes, fillvalue=0.0)),
        )

    def __mul__(self, other: Polynomial) -> Polynomial:
        """Return the product.

        Raises:
            OverflowError: if a coefficient underflows to 0.
        """
        if not self.numbers or not other.numbers:
            return Polynomial()
        numbers, sizes = np.convolve(self.numbers, other.numbers), np.convolve(self.sizes, other.sizes)
        if np.any((sizes == 0.0) & (np.convolve(np.sign(self.sizes), np.sign(other.sizes)) > 0.0)):
            raise OverflowError("a coefficient underflows")
        return Polynomial(tuple(map(float, numbers)), tuple(map(float, sizes)))

    def times(self, factor: float) -> Polynomial:
        """Return the product with a number."""
        return self * Polynomial.of(factor)

    @property
    def slope(self) -> Polynomial:
        """Its derivative."""
        return Polynomial(
            tuple(i * a for i, a in enumerate(self.numbers) if i),
            tuple(i * a for i, a in enumerate(self.sizes) if i),
        )

    def at(self, s: float) -> float:
        """Return the value at a place."""
        return _at(self.numbers, s)

    def size_at(self, s: float) -> float:
        """Return the sum of the magnitudes of all terms at a place."""
        return _at(self.sizes, abs(s))

    def without_rounding(self, rounding: float) -> Polynomial:
        """Return the polynomial without coefficients that are nothing but rounding.

        Args:
            rounding: relative distance of two numbers of the type that is computed in.
        """
        slack = STEPS * rounding
        kept = [0.0 if abs(a) <= slack * size else a for a, size in zip(self.numbers, self.sizes, strict=True)]
        while kept and kept[-1] == 0.0:
            kept.pop()
        return Polynomial(tuple(kept), self.sizes[: len(kept)])

    def is_non_negative(self, low: float, high: float, rounding: float) -> bool:
        """Whether it is at least 0, but for rounding, everywhere between two places, which may be infinite."""
        kept = self.without_rounding(rounding)
        if not kept.numbers:
            return True
        if not all(map(math.isfinite, kept.numbers)):
            return False
        last, degree = kept.numbers[-1], len(kept.numbers) - 1
        if high == math.inf and last < 0.0:
            return False
        if low == -math.inf and last * (-1.0) ** degree < 0.0:
            return False
        places = [place for place in (low, high, *_roots(kept.slope)) if low <= place <= high and math.isfinite(place)]
        slack = STEPS * rounding
        return all(kept.at(place) >= -slack * kept.size_at(place) for place in places or [0.0])

    def zeros(self, low: float, high: float, rounding: float) -> list[float] | None:
        """Return where it is 0 between two places; ``None`` if that is not known exactly enough.

        Where it only touches 0 its sign is the same on both sides, and another one in between.
        """
        kept = self.without_rounding(rounding).numbers
        if len(kept) <= 1:
            return []
        if len(kept) == 2:
            places = [-kept[0] / kept[1]]
        elif len(kept) == 3:
            c, b, a = kept
            inside, slack = b * b - 4.0 * a * c, STEPS * rounding * (b * b + abs(4.0 * a * c))
            if inside < -slack:
                return []
            if inside <= slack:
                places = [-0.5 * b / a]
            else:
                far = -0.5 * (b + math.copysign(math.sqrt(inside), b))
                places = [far / a, c / far]
        else:
            return None
        return sorted(place for place in places if low < place < high)


def _at(numbers: tuple[float, ...], s: float) -> float:
    found = 0.0
    for number in reversed(numbers):
        found = found * s + number
    return found


def _roots(polynomial: Polynomial) -> Iterator[float]:
    """Real parts of all roots, those that are not real among them: a few places too many do no harm."""
    numbers = list(polynomial.numbers)
    while numbers and numbers[-1] == 0.0:
        numbers.pop()
    if len(numbers) > 1:
        yield from map(float, np.roots(numbers[::-1]).real)
