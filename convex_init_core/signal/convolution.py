"""The forward map of a convolution, with covariances between channels and between positions: (29)–(32).

The signal is taken as stationary on a grid that wraps around, so that a covariance depends on the displacement of
two positions alone. Zero padding breaks this at the borders, where fewer features are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convex_init_core import checks
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.moments import feature_moments
from convex_init_core.theory.statistics import LayerStatistics, SignalStatistics


@dataclass(frozen=True)
class FieldStatistics:
    """Statistics of pre-activations that live on a grid of positions.

    Attributes:
        mean: E[s].
        same: covariance of one channel with itself, by displacement; shape of the grid, ``same[0, …]`` is σ².
        cross: covariance of two different channels, by displacement; shape of the grid.
    """

    mean: float
    same: NDArray[np.float64]
    cross: NDArray[np.float64]

    @property
    def signal(self) -> SignalStatistics:
        """Mean, variance and correlation of two channels at one position."""
        variance = float(self.same.flat[0])
        correlation = float(self.cross.flat[0]) / variance if variance > 0.0 else 0.0
        return SignalStatistics(self.mean, variance, correlation)


def forward_convolution(
    field: FieldStatistics,
    layer: LayerStatistics,
    activation: Activation,
    kernel_size: Sequence[int],
    dilation: int | Sequence[int] = 1,
) -> FieldStatistics:
    """Return the statistics of a convolution of φ(s⁻), stride 1, on a grid that wraps around: (29)–(32).

    Args:
        field: of the incoming pre-activations; the grid must be at least as large as the (dilated) kernel.
        layer: moments of the kernel and the bias; ``fan_in`` is channels per group × kernel volume.
        activation: φ, which feeds the layer.
        kernel_size: one length per dimension of the grid.
        dilation: spacing of the kernel's taps, one number or one per dimension.

    Raises:
        ValueError: if the kernel does not fit the grid or does not divide ``fan_in``.
    """
    grid = field.same.shape
    if len(kernel_size) != len(grid):
        raise ValueError(f"kernel_size {tuple(kernel_size)} needs one length for each of the {len(grid)} dimensions")
    steps = [dilation] * len(grid) if isinstance(dilation, int) else list(dilation)
    taps = np.zeros(grid)
    for axis, (length, size, step) in enumerate(zip(kernel_size, grid, steps, strict=True)):
        if (checks.whole("kernel_size", length) - 1) * checks.whole("dilation", step) >= size:
            raise ValueError(
                f"kernel_size {length} with dilation {step} is longer than the grid's {size} in axis {axis}"
            )
    taps[tuple(slice(0, (k - 1) * d + 1, d) for k, d in zip(kernel_size, steps, strict=True))] = 1.0
    volume = taps.sum()
    channels = layer.fan_in / volume
    if channels < 1.0 or not channels.is_integer():
        raise ValueError(f"fan_in {layer.fan_in:g} is not a multiple of the kernel's {volume:g} taps")

    mean, same, cross = _features(field, activation)
    # Σ_{k,k'} f(d + k' − k) is a correlation with the kernel's own autocorrelation.
    spectrum = np.abs(np.fft.fftn(taps)) ** 2

    def over_taps(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.fft.ifftn(spectrum * np.fft.fftn(covariance)).real

    shared = layer.weight_mean**2 * (channels * over_taps(same) + channels * (channels - 1.0) * over_taps(cross))
    own = layer.bias_variance + layer.skip_variance + layer.weight_variance * layer.fan_in * (same + mean**2)
    return FieldStatistics(layer.fan_in * layer.weight_mean * mean + layer.bias_mean, own + shared, shared)


def _features(field: FieldStatistics, activation: Activation) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Mean of φ, and its covariance within and between channels, by displacement."""
    variance = float(field.same.flat[0])

    def covariance(of: NDArray[np.float64]) -> NDArray[np.float64]:
        # Displacements d and −d, and often many more, share a correlation: integrate each only once.
        correlations = np.clip(of / variance, -1.0, 1.0) if variance > 0.0 else np.zeros_like(of)
        values, where = np.unique(correlations, return_inverse=True)
        found = [feature_moments(activation, float(rho), variance, field.mean).covariance for rho in values]
        return np.array(found)[where].reshape(of.shape)

    mean = feature_moments(activation, 0.0, variance, field.mean).mean
    return mean, covariance(field.same), covariance(field.cross)
