"""Derivative of a function known only by its values, for activations that come without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POINTS = 7
_STEP = 4e-3


def _stencils() -> NDArray[np.float64]:
    """Row r holds the weights that differentiate the interpolating polynomial at its point r (unit spacing)."""
    nodes = np.arange(_POINTS, dtype=np.float64)
    rows = []
    for r in range(_POINTS):
        # Exact on monomials around the point: solve V^T w = e_1.
        vandermonde = np.vander(nodes - r, increasing=True).T
        target = np.zeros(_POINTS)
        target[1] = 1.0
        rows.append(np.linalg.solve(vandermonde, target))
    return np.array(rows)


_WEIGHTS = _stencils()


def numerical_derivative(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    s: NDArray[np.float64],
    *,
    kinks: Sequence[float] = (),
) -> NDArray[np.float64]:
    """Differentiate ``function`` at ``s`` by a seven-point difference that never reaches across a kink.

    Args:
        function: element-wise, smooth between the kinks.
        s: float64 array of any shape.
        kinks: where the slope jumps; the stencil is shifted to one side there.

    Returns:
        An array of the shape of ``s``; at a kink, the slope to its right.
    """
    edges = np.concatenate([[-np.inf], np.sort(np.asarray(kinks, dtype=np.float64)), [np.inf]])
    piece = np.searchsorted(edges, s, side="right") - 1
    left = np.floor((s - edges[piece]) / _STEP)  # whole steps that fit on either side
    right = np.floor((edges[piece + 1] - s) / _STEP)
    below = np.clip(_POINTS // 2, _POINTS - 1 - right, left).astype(int)
    below = np.clip(below, 0, _POINTS - 1)
    result = np.zeros_like(s)
    for j in range(_POINTS):
        result += _WEIGHTS[below, j] * function(s + (j - below) * _STEP)
    return result / _STEP
