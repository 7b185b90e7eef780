"""Comparing a prediction with independent batches of a simulation."""

from __future__ import annotations

import numpy as np

SIGMAS = 5.0
"""Width of the bound in standard errors. With 32 batches, Student's t exceeds it with probability 2e-5."""


def assert_agrees(batches: np.ndarray, expected: np.ndarray | float, scale: float, resolution: float = 0.05) -> None:
    """Assert that the mean over independent batches (axis 0) is ``expected`` within :data:`SIGMAS` standard errors.

    The bound itself must be narrower than ``resolution · scale``, else the test could not fail: take more samples.
    """
    batches = np.asarray(batches, dtype=np.float64)
    error = batches.std(axis=0, ddof=1) / np.sqrt(batches.shape[0])
    assert np.all(SIGMAS * error < resolution * scale), f"too few samples: standard error {error} at scale {scale}"
    off = np.abs(batches.mean(axis=0) - expected)
    assert np.all(off <= SIGMAS * error), f"off by {off / error} standard errors: {batches.mean(axis=0)} vs {expected}"


def correlated_normals(
    rng: np.random.Generator, mean: float, variance: float, correlation: float, rows: int, count: int
) -> np.ndarray:
    """``rows`` draws of ``count`` equally correlated Gaussians (correlation ≥ 0): one part shared, one part own."""
    shared = np.sqrt(correlation * variance) * rng.standard_normal((rows, 1))
    own = np.sqrt((1.0 - correlation) * variance) * rng.standard_normal((rows, count))
    return mean + shared + own


def off_diagonal_mean(values: np.ndarray) -> float:
    """Mean of ``values[r, i] · values[r, j]`` over rows and all i ≠ j."""
    count = values.shape[1]
    return float(np.mean(values.sum(axis=1) ** 2 - np.square(values).sum(axis=1)) / (count * (count - 1)))
