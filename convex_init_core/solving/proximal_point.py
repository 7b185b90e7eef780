"""Minima by the accelerated proximal point method with restarts, many at once, kinks or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convex_init_core.solving.bundle import Evaluate, Steps, proximal

_LONGEST = 1e6  # step
_FAR = 1e8  # from the start, where a function is taken to have no minimum


@dataclass(frozen=True, eq=False)
class Minima:
    """Where many convex functions are small, and how far from their minimum at most.

    Attributes:
        point: (examples, size).
        value: of the function there, (examples,).
        slope: length of g, and
        error: e ≥ 0, in a bound that holds for all w: ``f(w) ≥ value − e − |g| |w − point|``.
        converged: whether both are below the tolerance.
        diverged: whether the point has run so far that there seems to be no minimum.
        evaluations: of the function, for each example.
    """

    point: Any
    value: Any
    slope: Any
    error: Any
    converged: Any
    diverged: Any
    evaluations: int


def minimised(
    evaluate: Evaluate, start: Any, steps: Steps, *, step: float, tolerance: float, limit: int, inner: int = 60
) -> Minima:
    """Minimise a convex function from many starts.

    Args:
        evaluate: the function.
        start: (examples, size).
        steps: of the library of the arrays.
        step: of the first proximal map; it is doubled while the maps are found in few evaluations, else divided by 4.
        tolerance: of the slope, and of the error relative to ``1 + |value|``.
        limit: of evaluations.
        inner: of evaluations in one proximal map.
    """
    xp = steps.xp
    point, ahead, momentum, count = start, start, 1.0, 0
    value, _ = evaluate(start)
    while True:
        made = proximal(evaluate, ahead, step, steps, tolerance=0.1 * tolerance, limit=inner)
        count += made.evaluations
        slope = (made.slope**2).sum(1) ** 0.5
        error = xp.where(made.error > 0.0, made.error, 0.0 * made.error)
        converged = (slope <= tolerance) & (error <= tolerance * (1.0 + abs(made.value)))
        diverged = ((made.point - start) ** 2).sum(1) ** 0.5 > _FAR
        if bool((converged | diverged).all()) or count >= limit:
            return Minima(made.point, made.value, slope, error, converged, diverged, count)
        rose = bool((made.value > value + tolerance * (1.0 + abs(value))).any())
        after = 1.0 if rose else 0.5 * (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5)
        ahead = made.point + (0.0 if rose else (momentum - 1.0) / after) * (made.point - point)
        point, value, momentum = made.point, made.value, after
        step = min(2.0 * step, _LONGEST) if made.evaluations < inner else 0.25 * step
