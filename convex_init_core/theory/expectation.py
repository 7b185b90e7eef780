"""Gaussian expectations by panel-wise Gauss–Legendre quadrature, split where the integrand bends.

Gauss–Hermite quadrature is blind to kinks and loses them to an error of about 1e-3. Here the line is cut at every
kink, and panels shrink geometrically towards every sharp but smooth turn, so that each panel sees a smooth function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convex_init_core.theory.activation import ArrayFunction, Bend

_REACH = 12.0  # standard deviations; the Gaussian's weight beyond is below 1e-31
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


def _offsets(width: float) -> NDArray[np.float64]:
    """Distances from a turn of this width at which panels end: 0, then doubling up to the ordinary panel."""
    if width <= 0.0:
        return np.zeros(1)
    first = max(width / 4.0, 1e-8)
    count = max(0, math.ceil(math.log2(2.0 / first)))
    steps = first * 2.0 ** np.arange(count + 1)
    return np.concatenate([-steps[::-1], [0.0], steps])


def _grid(turns: Sequence[Bend]) -> NDArray[np.float64]:
    """Panel edges, two to a standard deviation, long enough to hold every turn that matters."""
    # A turn out in the tail (ReLU of a strongly negative mean) is where all the mass is: go well past it.
    far = max((abs(turn.location) for turn in turns if abs(turn.location) <= _REACH), default=0.0)
    reach = _REACH + (far if far > 3.0 else 0.0)
    count = math.ceil(reach) * 2
    return np.linspace(-reach, reach, count + 1)


def _panels(edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights for the standard Gaussian on panels with these edges (last axis, sorted)."""
    middle = 0.5 * (edges[..., 1:] + edges[..., :-1])
    half = 0.5 * (edges[..., 1:] - edges[..., :-1])
    z = middle[..., None] + half[..., None] * _NODES
    w = half[..., None] * _WEIGHTS * _DENSITY * np.exp(-0.5 * z * z)
    flat = (*edges.shape[:-1], -1)
    return z.reshape(flat), w.reshape(flat)


def _standardised(bends: Sequence[Bend], mean: float, std: float) -> list[Bend]:
    turns = [Bend((bend.location - mean) / std, bend.width / std) for bend in bends]
    return [turn for turn in turns if abs(turn.location) <= 2.0 * _REACH]


def _edges_with(turns: Sequence[Bend]) -> NDArray[np.float64]:
    grid = _grid(turns)
    extra = [turn.location + _offsets(turn.width) for turn in turns]
    edges = np.unique(np.clip(np.concatenate([grid, *extra]), grid[0], grid[-1]))
    return edges


def gaussian_expectation(function: ArrayFunction, bends: Sequence[Bend], mean: float, variance: float) -> float:
    """Return E[function(s)] for s ~ N(mean, variance).

    Args:
        function: element-wise on float64 arrays.
        bends: kinks and sharp turns of ``function``, in units of s.
        mean: of s.
        variance: of s, above 0.
    """
    std = math.sqrt(variance)
    z, w = _panels(_edges_with(_standardised(bends, mean, std)))
    return float(np.sum(w * function(mean + std * z)))


def gaussian_product_expectation(
    function: ArrayFunction, bends: Sequence[Bend], mean: float, variance: float, correlation: float
) -> float:
    """Return E[function(s₁) function(s₂)] for s₁, s₂ ~ N(mean, variance) with the given correlation in [−1, 1].

    The inner integral is split, row by row, where s₂ bends; the outer one where s₁ bends and where the inner
    integral turns, which for a correlation near ±1 happens over a length of √(1 − ρ²).
    """
    std = math.sqrt(variance)
    turns = _standardised(bends, mean, std)
    residual = math.sqrt(max((1.0 - correlation) * (1.0 + correlation), 0.0))
    if residual < 1e-7:  # s₂ is s₁ or its mirror image: the error of saying so is of the order of the residual squared
        sign = math.copysign(1.0, correlation)
        mirrored = [Bend(sign * turn.location, turn.width) for turn in turns]
        z, w = _panels(_edges_with([*turns, *mirrored]))
        return float(np.sum(w * function(mean + std * z) * function(mean + std * sign * z)))
    outer_turns = list(turns)
    if abs(correlation) > 1e-3:
        outer_turns += [
            Bend(turn.location / correlation, math.hypot(turn.width, residual) / abs(correlation)) for turn in turns
        ]
    z1, w1 = _panels(_edges_with(outer_turns))
    grid = _grid(outer_turns)
    rows = [np.broadcast_to(grid, (z1.size, grid.size))]
    for turn in turns:
        centre = (turn.location - correlation * z1) / residual
        rows.append(np.clip(centre[:, None] + _offsets(turn.width / residual), grid[0], grid[-1]))
    z2, w2 = _panels(np.sort(np.concatenate(rows, axis=1), axis=1))
    inner = np.sum(w2 * function(mean + std * (correlation * z1[:, None] + residual * z2)), axis=1)
    return float(np.sum(w1 * function(mean + std * z1) * inner))
