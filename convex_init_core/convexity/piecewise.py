"""Functions written out by a choice, ``where(s > c, p(s), q(s))``: convex if the pieces meet and bend upwards."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convex_init_core.convexity.calculus import ElementWise, Sign

FLOAT64 = float(np.finfo(np.float64).eps)
_STEPS = 4.0  # rounding of a term: that of the few operations that made it


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
        size: largest magnitude of a term on the way to the value at c, of which rounding is a part.
        steepness: the same for the slope.
    """

    value: float
    slope: float
    convex: bool = True
    concave: bool = True
    increasing: bool = True
    identity: bool = False
    size: float = 0.0
    steepness: float = 0.0

    def __post_init__(self) -> None:
        """Count the piece itself among its terms."""
        object.__setattr__(self, "size", max(self.size, abs(self.value)))
        object.__setattr__(self, "steepness", max(self.steepness, abs(self.slope)))

    def __add__(self, other: Piece) -> Piece:
        """Return the sum of two pieces on the same side."""
        return Piece(
            self.value + other.value,
            self.slope + other.slope,
            self.convex and other.convex,
            self.concave and other.concave,
            self.increasing and other.increasing,
            size=max(self.size, other.size),
            steepness=max(self.steepness, other.steepness),
        )

    def times(self, factor: float) -> Piece:
        """Return the piece times a number."""
        convex, concave = (self.convex, self.concave) if factor >= 0.0 else (self.concave, self.convex)
        flat = self.convex and self.concave and self.slope * factor >= 0.0
        rises = flat or (self.increasing and factor >= 0.0)
        size, steepness = self.size * abs(factor), self.steepness * abs(factor)
        return Piece(self.value * factor, self.slope * factor, convex, concave, rises, False, size, steepness)

    def exp(self, minus: float = 0.0) -> Piece:
        """Return ``exp(piece) − minus``."""
        top = math.exp(min(self.value, 700.0))
        size = max(top * max(self.size, 1.0), abs(minus))
        slope, steepness = top * self.slope, size * self.steepness
        return Piece(top - minus, slope, self.convex, False, self.increasing, False, size, steepness)

    def square(self, above: bool) -> Piece:
        """Return the square of an affine piece (of any other, a piece of which nothing is known)."""
        affine = self.convex and self.concave
        rises = self.value * self.slope >= 0.0 if above else self.slope == 0.0
        size, steepness = self.size**2, 2.0 * self.size * self.steepness
        slope = 2.0 * self.value * self.slope
        return Piece(self.value**2, slope, affine, False, affine and rises, False, size, steepness)


def here(place: float) -> Piece:
    """Return s itself."""
    return Piece(place, 1.0, identity=True)


def flat(number: float) -> Piece:
    """Return a constant."""
    return Piece(number, 0.0)


def meeting(below: Piece, above: Piece, rounding: float = FLOAT64) -> ElementWise:
    """Return the function that is ``below`` on one side of c and ``above`` on the other, for the calculus.

    Args:
        below: for s ≤ c.
        above: for s ≥ c.
        rounding: relative distance of two numbers of the type that the function is computed in; what the terms of the
            pieces lose at c is the only gap that counts as none.
    """
    name, slack = "the choice", _STEPS * rounding
    increasing = below.increasing and above.increasing
    if abs(below.value - above.value) > slack * (below.size + above.size):
        refusal = f"it jumps from {below.value:.3g} to {above.value:.3g}"
    elif below.slope > above.slope + slack * (below.steepness + above.steepness):
        refusal = f"its slope drops from {below.slope:.3g} to {above.slope:.3g}"
    elif not (below.convex and above.convex):
        refusal = "one of its pieces is not convex"
    else:
        # The lowest point is at c if it falls below and rises above; rising everywhere, it is bounded by a flat piece.
        flat_below = below.convex and below.concave and below.slope == 0.0
        sign = Sign.NON_NEGATIVE if flat_below and increasing and below.value >= 0.0 else Sign.ANY
        return ElementWise(name, convex=True, increasing=increasing, sign=sign)
    return ElementWise(name, refusal=refusal)
