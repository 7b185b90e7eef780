"""Moments of what flows between the layers of a network, and how the usual operations combine them.

A value (features, or a pre-activation) is described by :class:`~convex_init_core.theory.moments.FeatureMoments`: mean,
second moment, variance, and covariance of two different units. In a wide layer the covariance comes from what all units
share, so shared parts of two values add up in amplitude and the rest in variance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from convex_init_core import checks
from convex_init_core.theory.activation import Activation, ArrayFunction
from convex_init_core.theory.activations import as_activation
from convex_init_core.theory.moments import FeatureMoments, feature_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pre_activation(mean: float = 0.0, variance: float = 1.0, correlation: float = 0.5) -> FeatureMoments:
    """Return the moments of a pre-activation with the given statistics.

    Raises:
        ValueError: if an argument is out of its range.
    """
    rho = checks.signal_correlation(correlation)
    var, mu = checks.non_negative("variance", variance), checks.real("mean", mean)
    return FeatureMoments(mu, var + mu**2, var, rho * var)


def activated(activation: str | Activation | ArrayFunction, signal: FeatureMoments) -> FeatureMoments:
    """Return the moments of φ(s) for a Gaussian s with the given moments: (7), (21)–(23), (28)."""
    rho = signal.covariance / signal.variance if signal.variance > 0.0 else 0.0
    return feature_moments(as_activation(activation), max(-1.0, min(1.0, rho)), signal.variance, signal.mean)


def added(parts: Sequence[FeatureMoments]) -> FeatureMoments:
    """Return the moments of a sum: shared amplitudes ``√Cov`` add up, and so do the variances that remain."""
    mean = sum(part.mean for part in parts)
    covariance = sum(shared_amplitude(part) for part in parts) ** 2
    variance = covariance + sum(unshared_variance(part) for part in parts)
    return FeatureMoments(mean, variance + mean**2, variance, covariance)


def scaled(signal: FeatureMoments, mean: float, second: float | None = None) -> FeatureMoments:
    """Return the moments of a product with an independent factor.

    Args:
        signal: moments of what is multiplied.
        mean: of the factor.
        second: moment of the factor; that of a constant, ``mean²``, by default.
    """
    square = mean**2 if second is None else second
    first, full = signal.mean * mean, signal.second * square
    return FeatureMoments(first, full, max(full - first**2, 0.0), signal.covariance * mean**2)


def concatenated(parts: Sequence[tuple[float, FeatureMoments]]) -> FeatureMoments:
    """Return the moments of a unit taken at random from several values.

    Args:
        parts: number of units and moments of each value.

    Raises:
        ValueError: if there are no units.
    """
    total = sum(count for count, _ in parts)
    if total <= 0.0:
        raise ValueError("parts must hold at least one unit")
    mean = sum(count * part.mean for count, part in parts) / total
    second = sum(count * part.second for count, part in parts) / total
    amplitude = sum(count * shared_amplitude(part) for count, part in parts) / total
    # The covariance is about each unit's own mean: differences between means are no fluctuation of the signal.
    return FeatureMoments(mean, second, max(second - mean**2, 0.0), amplitude**2)


def measured(values: NDArray[np.float64], units: int = -1) -> FeatureMoments:
    """Return the moments of a sample of a value; those of a centred one of variance 1 if there are no numbers.

    Args:
        values: samples, and their positions, of several units.
        units: the axis that counts units, such as that of the channels of an image.
    """
    if values.size == 0:
        return pre_activation()
    mean, second = float(values.mean()), float(np.square(values).mean())
    variance = max(second - mean**2, 0.0)
    rows = np.moveaxis(np.atleast_2d(values), units, -1)
    rows = rows.reshape(-1, rows.shape[-1])
    samples, count = rows.shape
    if count < 2 or samples < 2:
        return FeatureMoments(mean, second, variance, 0.0)
    centred = rows - mean
    pairs = float((np.square(centred.sum(1)) - np.square(centred).sum(1)).mean()) / (count * (count - 1))
    return FeatureMoments(mean, second, variance, max(-variance, min(pairs, variance)))


def are_close(a: FeatureMoments, b: FeatureMoments) -> bool:
    """Whether two values have the same moments but for rounding."""
    pairs = ((a.mean, b.mean), (a.second, b.second), (a.covariance, b.covariance))
    return all(math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12) for x, y in pairs)


def shared_amplitude(signal: FeatureMoments) -> float:
    """``√Cov``: the standard deviation of what all units of a wide layer have in common."""
    return math.sqrt(max(signal.covariance, 0.0))


def unshared_variance(signal: FeatureMoments) -> float:
    """``Var − Cov``: the variance that each unit has for itself."""
    return max(signal.variance - max(signal.covariance, 0.0), 0.0)
