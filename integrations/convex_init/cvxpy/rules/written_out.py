"""Functions that are written out of several operations, known by their values: ``where(x > 0, x, 0.2 * x)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_init.cvxpy.parts.combination import Combination
from convex_init.cvxpy.parts.expressions import NotExpressibleError
from convex_init.cvxpy.rules.functions import elu, positive_part, softplus
from convex_init_core.graph.function_of_one import FunctionOfOne, bases_of, between
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.numpy_meaning import NUMPY

if TYPE_CHECKING:
    from convex_init.cvxpy.translation import Translation

_NEAR = 1e-9  # of values on the grid, relative to the largest


def written_out(into: Translation, node: Node) -> Combination | None:
    """Return a value as a function of one number, of an earlier value; ``None`` if it is none that is known."""
    if not node.op.element_wise or node.op.numpy is None:
        return None
    for base in bases_of(node, into.order):
        try:
            value = into.of(base)
            found = _as_known(into, value, between(base, node), node.at)
        except (NotExpressibleError, ValueError):
            continue
        if found is not None:
            return found
    return None


def _as_known(into: Translation, value: Combination, function: FunctionOfOne, at: str) -> Combination | None:
    grid, values = function.on_grid
    if not np.isfinite(values).all():
        return None
    return _of_lines(into, value, function, at) or _bent_once(into, value, grid, values, at)


def _of_lines(into: Translation, value: Combination, function: FunctionOfOne, at: str) -> Combination | None:
    """Piecewise linear, by its turns."""
    turns = np.array(function.turns)
    if turns.size > 8:
        return None
    ends = np.concatenate([[turns.min(initial=0.0) - 1.0], turns, [turns.max(initial=0.0) + 1.0]])
    grid, values = function.on_grid
    heights = function(ends)
    slopes = np.diff(heights) / np.diff(ends)
    bends = np.diff(slopes)
    found = heights[0] + slopes[0] * (grid - ends[0])
    for turn, bend in zip(turns, bends, strict=True):
        found = found + bend * np.maximum(grid - turn, 0.0)
    if not np.allclose(found, values, rtol=_NEAR, atol=_NEAR * max(1.0, float(np.abs(values).max()))):
        return None
    made = value.scaled(slopes[0]) + float(heights[0] - slopes[0] * ends[0])
    for turn, bend in zip(turns, bends, strict=True):
        if abs(bend) > 1e-12:
            made = made + positive_part(into, value + (-float(turn)), at).scaled(float(bend))
    return made


def _bent_once(into: Translation, value: Combination, grid: object, values: object, at: str) -> Combination | None:
    """A multiple of an ELU or CELU, or of a softplus."""
    s, f = np.asarray(grid), np.asarray(values)
    top = float((f[-1] - f[-2]) / (s[-1] - s[-2]))
    if top <= 0.0:
        return None
    middle = float(np.interp(0.0, s, f))
    lowest = float(f[0])
    near = {"rtol": _NEAR, "atol": _NEAR * max(1.0, float(np.abs(f).max()))}
    if abs(middle) < _NEAR and lowest < 0.0:
        alpha = -lowest / top
        for inner in (1.0, 1.0 / alpha):
            if np.allclose(NUMPY["elu"](s, alpha=alpha, scale=top, input_scale=inner), f, **near):  # type: ignore[arg-type]
                return elu(into, value, alpha, top, inner, at)
    if middle > 0.0:
        beta = top * float(np.log(2.0)) / middle
        if np.allclose(top * np.logaddexp(0.0, beta * s) / beta, f, **near):  # type: ignore[arg-type]
            return softplus(into, value, beta, at).scaled(top)
    return None
