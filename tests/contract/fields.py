"""Gaussian pre-activations with a known mean, variance and correlation, flat or on a grid that wraps around."""

from __future__ import annotations

from itertools import product

import numpy as np

from convex_init_core import FieldStatistics, SignalStatistics


def correlated_field(
    rng: np.random.Generator,
    signal: SignalStatistics,
    samples: int,
    channels: int,
    grid: tuple[int, ...] = (),
    *,
    smooth: bool = False,
) -> np.ndarray:
    """Return pre-activations of shape (samples, channels, *grid) with equally correlated channels.

    Different positions are independent, or, if ``smooth``, neighbours have half of the variance in common.
    """
    rho = signal.correlation
    shared = np.sqrt(rho) * rng.standard_normal((samples, 1, *grid))
    field = shared + np.sqrt(1.0 - rho) * rng.standard_normal((samples, channels, *grid))
    for axis in range(2, field.ndim) if smooth else ():
        field = (field + np.roll(field, 1, axis)) / np.sqrt(2.0)
    return signal.mean + np.sqrt(signal.variance) * field


def field_statistics(signal: SignalStatistics, grid: tuple[int, ...], *, smooth: bool = False) -> FieldStatistics:
    """Return the exact statistics of :func:`correlated_field`."""
    same = np.zeros(grid)
    for step in product((-1, 0, 1) if smooth else (0,), repeat=len(grid)):
        same[step] = signal.variance * 0.5 ** np.count_nonzero(step)
    return FieldStatistics(signal.mean, same, signal.correlation * same)


def unit_statistics(s: np.ndarray, mean: float) -> tuple[float, float, float]:
    """Mean, variance and covariance of different units about a *given* mean, of (rows, units)."""
    centred = s - mean
    units = s.shape[1]
    pairs = (centred.sum(1) ** 2 - (centred**2).sum(1)).mean() / (units * (units - 1))
    return float(s.mean()), float((centred**2).mean()), float(pairs)
