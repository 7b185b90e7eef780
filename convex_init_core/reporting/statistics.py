"""Statistics of measured pre-activations: NumPy arrays with samples and positions as rows and units as columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convex_init_core.theory.statistics import GradientStatistics, SignalStatistics

_SHOWN = 100  # features in a correlation matrix
_SAMPLE = 10_000  # values that are kept for a histogram

Array = NDArray[np.float64]


def rows_of(values: Array, unit_axis: int) -> Array:
    """Return samples and positions as rows, units as columns."""
    if values.ndim < 2:
        return values.reshape(-1, 1)
    moved = np.moveaxis(values, unit_axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def statistics_of(rows: Array) -> SignalStatistics:
    """Return mean, variance, and correlation of different units: pairs share what their sum over units varies by."""
    mean = float(rows.mean())
    centred = rows - mean
    variance, units = float(np.square(centred).mean()), rows.shape[1]
    if units < 2 or variance == 0.0:
        return SignalStatistics(mean, variance, 0.0)
    pairs = float((np.square(centred.sum(1)) - np.square(centred).sum(1)).mean()) / (units * (units - 1))
    return SignalStatistics(mean, variance, max(-1.0, min(1.0, pairs / variance)))


def gradient_statistics_of(rows: Array) -> GradientStatistics:
    """Return the statistics of a gradient, as the backward equations (24)–(27) take them."""
    square, units = np.square(rows), rows.shape[1]
    pairs = float((np.square(rows.sum(1)) - square.sum(1)).mean()) / max(units * (units - 1), 1)
    return GradientStatistics(float(rows.mean()), float(square.mean()), pairs)


def correlations_of(rows: Array) -> Array:
    """Return the correlations over the rows of up to 100 units; a constant unit correlates with nothing."""
    chosen = np.linspace(0, rows.shape[1] - 1, min(rows.shape[1], _SHOWN)).astype(int)
    centred = rows[:, chosen] - rows[:, chosen].mean(0)
    scaled = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-30)
    matrix: Array = scaled.T @ scaled
    return matrix


def sample_of(values: Array) -> Array:
    """Return up to 10,000 of the values, evenly taken."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLE)].copy()
