"""Search for a segment on which a function lies above its chord, from random segments that are made worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity.certificate import Violation
from convex_init_core.convexity.inputs.parts import Part

Point: TypeAlias = "Mapping[str, NDArray[Any]]"

Probe: TypeAlias = "Callable[[Point, Point], tuple[NDArray[np.float64], Point | None, Point | None]]"
"""From the ends of a segment to the outputs there and in the middle (three rows, flat), and the gradients with respect
to both ends of the largest excess over its scale; ``None`` if there are none."""

STARTS, STEPS = 12, 25
_CLEAR = 100.0  # times the tolerance: no need to look for a clearer counterexample
_SMALL = 1e-3  # added to the scale of the outputs


def search_violation(
    probe: Probe,
    at: Point,
    rng: np.random.Generator,
    epsilon: float,
    parts: Mapping[str, Part | None] | None = None,
) -> Violation | None:
    """Return the clearest violation found beyond rounding, or ``None``.

    Args:
        probe: the function on a segment.
        at: the declared inputs; half of the segments end near them.
        rng: source of the random segments.
        epsilon: of the numbers that the function computes with.
        parts: of some inputs, the elements that vary; the others keep the numbers that ``at`` has.
    """
    masks = {name: part.mask(name, at[name].shape) for name, part in (parts or {}).items() if part is not None}

    def held(end: Mapping[str, NDArray[Any]]) -> Point:
        return {name: np.where(masks[name], x, at[name]) if name in masks else x for name, x in end.items()}

    best: Violation | None = None
    for start in range(STARTS):
        size = 0.1 * 10.0 ** (2.0 * start / (STARTS - 1))  # from 0.1 to 10
        a, b = (
            held({name: base * x + size * rng.standard_normal(x.shape) for name, x in at.items()})
            for base in (0.0, 1.0)
        )
        found = _ascend(probe, a, b, size, epsilon, held)
        if found is not None and (best is None or found.clarity > best.clarity):
            best = found
        if best is not None and best.clarity > _CLEAR:
            break
    return best


def scale_of(values: Any, xp: Any) -> Any:
    """Return what the excess of each output is measured by: the size of the three values of it."""
    return xp.abs(values).max(0) + _SMALL


def _ascend(
    probe: Probe, a: Point, b: Point, size: float, epsilon: float, held: Callable[[Point], Point]
) -> Violation | None:
    best: Violation | None = None
    for _ in range(STEPS):
        values, *slopes = probe(a, b)
        excess = values[2] - 0.5 * (values[0] + values[1])
        if not np.isfinite(excess).all() or not excess.size:
            return best
        tolerance = 200.0 * epsilon * scale_of(values, np) * max(1.0, excess.size**0.25)
        clearest = int((excess / tolerance).argmax())
        level, allowed = float(excess[clearest]), float(tolerance[clearest])
        if level > allowed and (best is None or level / allowed > best.clarity):
            best = Violation(level, allowed, dict(a), dict(b), clearest)
        if best is not None and best.clarity > _CLEAR:
            return best
        ends = [None if g is None else _moved(end, g, 0.3 * size) for end, g in zip((a, b), slopes, strict=True)]
        if ends[0] is None or ends[1] is None:
            return best
        a, b = held(ends[0]), held(ends[1])
    return best


def _moved(end: Point, slope: Point, step: float) -> Point:
    moved = {}
    for name, array in end.items():
        gradient = np.asarray(slope[name], np.float64)
        size = float(np.sqrt(np.square(gradient).mean())) + 1e-12
        moved[name] = array + step * gradient / size if np.isfinite(gradient).all() else array
    return moved
