"""What the calculus tells of a value: how it bends, its sign, how it follows each input."""

from __future__ import annotations

import enum


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
