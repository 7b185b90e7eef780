"""What a value is by construction, independently of the calculus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Truth:
    """The shape of a value, and its sign (1, −1, or 0 for either)."""

    shape: str  # "affine" (or constant), "convex", "concave" or "?"
    sign: int = 0

    def scaled(self, sign: int) -> Truth:
        """Times a constant of one sign, or (0) of both."""
        if sign > 0:
            return self
        turned = {"convex": "concave", "concave": "convex"}.get(self.shape, self.shape)
        if sign < 0:
            return Truth(turned, -self.sign)
        return Truth("affine" if self.shape == "affine" else "?")

    def rising(self, sign: int = 0) -> Truth:
        """Through a convex non-decreasing function."""
        return Truth("convex" if self.shape in ("affine", "convex") else "?", sign)

    def even(self) -> Truth:
        """Through a convex function with f(−s) = f(s) ≥ 0, such as a norm."""
        signed = (self.shape, self.sign) in (("convex", 1), ("concave", -1))
        return Truth("convex" if self.shape == "affine" or signed else "?", 1)

    def of_affine(self, sign: int = 0) -> Truth:
        """Through a convex function that neither rises nor falls."""
        return Truth("convex" if self.shape == "affine" else "?", sign)

    def unsigned(self) -> Truth:
        """Plus something of any sign that is affine."""
        return Truth(self.shape)


UNKNOWN = Truth("?")


def joined(*truths: Truth) -> Truth:
    """Sums, and values side by side."""
    shapes = {truth.shape for truth in truths} - {"affine"}
    signs = {truth.sign for truth in truths}
    shape = "affine" if not shapes else shapes.pop() if len(shapes) == 1 else "?"
    return Truth(shape, signs.pop() if len(signs) == 1 else 0)


def largest(*truths: Truth) -> Truth:
    """The maximum."""
    sign = 1 if any(truth.sign == 1 for truth in truths) else -1 if all(t.sign == -1 for t in truths) else 0
    return Truth("convex" if all(truth.shape in ("affine", "convex") for truth in truths) else "?", sign)


def smallest(*truths: Truth) -> Truth:
    """The minimum."""
    return largest(*(truth.scaled(-1) for truth in truths)).scaled(-1)
