"""Proximal maps by cutting planes, many at once, each with a duality gap that holds for every convex function.

A value and a subgradient at u make an affine function below f. The largest of a convex combination of such functions
plus ``|u − x|²/2t`` has its least value in closed form, which is a lower bound of the proximal problem; the weights of
the combination are chosen to make it large. Kinks do no harm: for a piecewise linear f the method ends.

Arrays are those of NumPy, torch or JAX.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

Evaluate: TypeAlias = "Callable[[Any], tuple[Any, Any]]"
"""From points (examples, size) to values (examples,) and subgradients (examples, size)."""

_CUTS = 24
_LEAST_GAIN = 50.0  # roundings of the slopes, that a move of weights is worth
_ROUNDINGS = 1e3  # of values, by which a gap may be below 0


@dataclass(frozen=True, eq=False)
class Bundle:
    """The solutions of ``min f(u) + |u − x|²/2t``, one for each x.

    Attributes:
        point: the best u that was found, (examples, size).
        value: f there, (examples,).
        gap: by how much ``f(u) + |u − x|²/2t`` lies above its minimum, at most.
        slope: g in an affine function below f, ``f(w) ≥ value − error + g·(w − point)``.
        error: of it.
        evaluations: of f, for each example.
    """

    point: Any
    value: Any
    gap: Any
    slope: Any
    error: Any
    evaluations: int


class Steps:
    """What is repeated, as functions of arrays alone; a library may compile them, once for all calls.

    Args:
        xp: the module with the functions of arrays.
        compiled: from such a function to a faster one.
    """

    def __init__(self, xp: Any, compiled: Callable[[Any], Any] = lambda function: function) -> None:
        """Compile nothing yet: libraries wait for the first call."""
        self.xp = xp
        self.bound = compiled(partial(_bound, xp))
        self.better = compiled(partial(_better, xp))
        self.renewed = compiled(partial(_renewed, xp))
        self.moved = compiled(partial(_moved, xp))


def proximal(evaluate: Evaluate, x: Any, t: float, steps: Steps, *, tolerance: float, limit: int) -> Bundle:
    """Solve the proximal problem of a convex function for each of many points.

    Args:
        evaluate: the function.
        x: (examples, size).
        t: step, > 0.
        steps: of the library of the arrays.
        tolerance: of the gap, relative to ``1 + |value|``.
        limit: of evaluations.

    Raises:
        ValueError: if values and subgradients cannot be those of a convex function.
    """
    xp = steps.xp
    f, g = evaluate(x)
    slopes = g[:, None, :] + 0.0 * xp.stack([g] * _CUTS, 1)  # all cuts are the first one at the start
    heights = (f - (g * x).sum(1))[:, None] + 0.0 * slopes[:, :, 0]
    slots = xp.cumsum(xp.ones_like(heights), 1) - 1.0
    weights = xp.where(slots == 0.0, 1.0 + 0.0 * heights, 0.0 * heights)
    best, at, value = f, x, f  # of the whole, with the distance, which is 0 here
    count = 1
    while True:
        offsets = heights + (slopes * x[:, None, :]).sum(2)
        products = xp.einsum("bin,bjn->bij", slopes, slopes)
        weights = _improved(offsets, products, t, weights, slots, steps)
        slope, height, gap, sizes = steps.bound(slopes, heights, weights, x, best, t)
        if bool((gap < -_ROUNDINGS * _rounding(x) * sizes).any()):
            raise ValueError(
                "the function is not convex: a value of it lies below what its other values and gradients allow"
            )
        if count >= limit or bool((gap <= tolerance * (1.0 + abs(best))).all()):
            break
        u = x - t * slope
        f, g = evaluate(u)
        count += 1
        best, value, at = steps.better(u, f, x, t, best, value, at)
        slopes, heights, weights = steps.renewed(slopes, heights, weights, slots, slope, height, u, f, g)
    error = value - height - (slope * at).sum(1)
    return Bundle(at, value, gap, slope, error, count)


def _bound(xp: Any, slopes: Any, heights: Any, weights: Any, x: Any, best: Any, t: Any) -> Any:
    """The combination of the cuts, how far the best value lies above its bound, and the size of its terms."""
    slope = (weights[:, :, None] * slopes).sum(1)
    height = (weights * heights).sum(1)
    square = t * (slope * slope).sum(1)
    gap = best - (height + (slope * x).sum(1) - 0.5 * square)
    return slope, height, gap, 1.0 + abs(best) + abs(height) + square + abs(slope * x).sum(1)


def _better(xp: Any, u: Any, f: Any, x: Any, t: Any, best: Any, value: Any, at: Any) -> Any:
    whole = f + ((u - x) ** 2).sum(1) / (2.0 * t)
    better = whole < best
    return xp.where(better, whole, best), xp.where(better, f, value), xp.where(better[:, None], u, at)


def _renewed(
    xp: Any, slopes: Any, heights: Any, weights: Any, slots: Any, slope: Any, height: Any, u: Any, f: Any, g: Any
) -> Any:
    """The combination takes the first place, so that the bound is kept; the new cut that of the least weight."""
    free = xp.where(slots == 0.0, 2.0 + 0.0 * weights, weights).argmin(1)
    is_free = slots == free[:, None]
    is_first = slots == 0.0
    slopes = xp.where(is_first[:, :, None], slope[:, None, :], xp.where(is_free[:, :, None], g[:, None, :], slopes))
    heights = xp.where(is_first, height[:, None], xp.where(is_free, (f - (g * u).sum(1))[:, None], heights))
    return slopes, heights, xp.where(is_first, 1.0 + 0.0 * weights, 0.0 * weights)


def _rounding(x: Any) -> float:
    return 2.0**-52 if str(x.dtype).endswith("64") else 2.0**-23


def _improved(offsets: Any, products: Any, t: float, weights: Any, slots: Any, steps: Steps) -> Any:
    """Weights with a larger ``offsets·w − t/2 w·products·w``: it moves from the worst that has weight to the best."""
    for _ in range(3 * _CUTS):
        weights, goes_on = steps.moved(offsets, products, t, weights, slots)
        if not bool(goes_on):
            break
    return weights / weights.sum(1)[:, None]


def _moved(xp: Any, offsets: Any, products: Any, t: Any, weights: Any, slots: Any) -> Any:
    """Weights after one move, and whether any gained by it."""
    slope = offsets - t * (products * weights[:, None, :]).sum(2)
    up = slots == slope.argmax(1)[:, None]
    down = slots == xp.where(weights > 0.0, slope, float("inf") + 0.0 * slope).argmin(1)[:, None]
    step = xp.where(up, 1.0 + 0.0 * slope, 0.0 * slope) - xp.where(down, 1.0 + 0.0 * slope, 0.0 * slope)
    bend = t * ((products * step[:, None, :]).sum(2) * step).sum(1)
    gain = (slope * step).sum(1)
    goes_on = (gain > _LEAST_GAIN * _rounding(slope) * (1.0 + abs(slope).sum(1))).any()
    most = xp.where(down, weights, 0.0 * weights).sum(1)
    wanted = gain / xp.where(bend > 0.0, bend, 1e-30 + 0.0 * bend)
    amount = xp.where(wanted < most, wanted, most)
    amount = xp.where(gain > 0.0, amount, 0.0 * amount)
    weights = weights + amount[:, None] * step
    return xp.where(weights > 0.0, weights, 0.0 * weights), goes_on
