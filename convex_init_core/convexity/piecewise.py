"""Functions written out by a choice, ``where(s > c, p(s), q(s))``: convex if the pieces meet and bend upwards."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convex_init_core.convexity.calculus import ElementWise, Sign

_ROUNDING = 1e-9  # relative


@dataclass(frozen=True)
class Piece:
    """A function of one number on one side of a place c.

    Attributes:
        value: at c.
        slope: at c, towards that side.
        convex: on that side.
        concave: on that side.
        increasing: on that side.
        identity: whether it is s itself.
    """

    value: float
    slope: float
    convex: bool = True
    concave: bool = True
    increasing: bool = True
    identity: bool = False

    def __add__(self, other: Piece) -> Piece:
        """Return the sum of two pieces on the same side."""
        return Piece(
            self.value + other.value,
            self.slope + other.slope,
            self.convex and other.convex,
            self.concave and other.concave,
            self.increasing and other.increasing,
        )

    def times(self, factor: float) -> Piece:
        """Return the piece times a number."""
        convex, concave = (self.convex, self.concave) if factor >= 0.0 else (self.concave, self.convex)
        flat = self.convex and self.concave and self.slope * factor >= 0.0
        rises = flat or (self.increasing and factor >= 0.0)
        return Piece(self.value * factor, self.slope * factor, convex, concave, rises)

    def exp(self, minus: float = 0.0) -> Piece:
        """Return ``exp(piece) − minus``."""
        top = math.exp(min(self.value, 700.0))
        return Piece(top - minus, top * self.slope, self.convex, False, self.increasing)

    def square(self, above: bool) -> Piece:
        """Return the square of an affine piece (of any other, a piece of which nothing is known)."""
        affine = self.convex and self.concave
        rises = self.value * self.slope >= 0.0 if above else self.slope == 0.0
        return Piece(self.value**2, 2.0 * self.value * self.slope, affine, False, affine and rises)


def here(place: float) -> Piece:
    """Return s itself."""
    return Piece(place, 1.0, identity=True)


def flat(number: float) -> Piece:
    """Return a constant."""
    return Piece(number, 0.0)


def meeting(below: Piece, above: Piece) -> ElementWise:
    """Return the function that is ``below`` on one side of c and ``above`` on the other, for the calculus."""
    name, size = "the choice", _ROUNDING * (1.0 + abs(below.value) + abs(above.value))
    increasing = below.increasing and above.increasing
    if abs(below.value - above.value) > size:
        refusal = f"it jumps from {below.value:.3g} to {above.value:.3g}"
    elif below.slope > above.slope + _ROUNDING * (1.0 + abs(above.slope)):
        refusal = f"its slope drops from {below.slope:.3g} to {above.slope:.3g}"
    elif not (below.convex and above.convex):
        refusal = "one of its pieces is not convex"
    else:
        # The lowest point is at c if it falls below and rises above; rising everywhere, it is bounded by a flat piece.
        flat_below = below.convex and below.concave and below.slope == 0.0
        sign = Sign.NON_NEGATIVE if flat_below and increasing and below.value >= 0.0 else Sign.ANY
        return ElementWise(name, convex=True, increasing=increasing, sign=sign)
    return ElementWise(name, refusal=refusal)
