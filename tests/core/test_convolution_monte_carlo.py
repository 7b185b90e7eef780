"""Convolutions (29)–(32) against real random kernels on circular grids: covariance between channels and positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import convex_init_core as core
from tests.core.monte_carlo import assert_agrees

BATCHES, ROWS, CHANNELS, OUT_CHANNELS = 32, 600, 3, 2


@dataclass
class Field:
    """Stationary Gaussian channels on a circle: one smoothed noise that all share, and one of each channel's own."""

    mean: float
    shared: np.ndarray
    own: np.ndarray

    @property
    def statistics(self) -> core.FieldStatistics:
        cross, own = autocorrelation(self.shared), autocorrelation(self.own)
        return core.FieldStatistics(self.mean, cross + own, cross)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        shape = self.shared.shape
        common = smooth(rng.standard_normal((ROWS, 1, *shape)), self.shared)
        return self.mean + common + smooth(rng.standard_normal((ROWS, CHANNELS, *shape)), self.own)


def shifts(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(np.ndindex(*shape))


def moved(field: np.ndarray, shift: tuple[int, ...]) -> np.ndarray:
    """``field`` at a + shift, for every position a (the last axes)."""
    return np.roll(field, tuple(-s for s in shift), axis=tuple(range(-len(shift), 0)))


def smooth(noise: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return sum((kernel[d] * moved(noise, d) for d in shifts(kernel.shape) if kernel[d]), np.zeros_like(noise))


def autocorrelation(kernel: np.ndarray) -> np.ndarray:
    return np.array([np.sum(kernel * moved(kernel, d)) for d in shifts(kernel.shape)]).reshape(kernel.shape)


def line(values: tuple[float, ...], size: int) -> np.ndarray:
    kernel = np.zeros(size)
    kernel[: len(values)] = values
    return kernel


def plane(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    kernel = np.zeros(shape)
    kernel[: values.shape[0], : values.shape[1]] = values
    return kernel


LINE = Field(-0.3, shared=line((0.5, 0.4, -0.1), 9), own=line((0.6, 0.0, 0.5), 9))
PLANE = Field(
    0.4,
    shared=plane(np.array([[0.4, 0.2], [-0.1, 0.3]]), (4, 5)),
    own=plane(np.array([[0.5, 0.3, 0.3], [0.2, 0.0, 0.0]]), (4, 5)),
)


@pytest.mark.parametrize(
    ("field", "kernel_size", "dilation", "activation", "distribution"),
    [
        (LINE, (3,), 1, core.relu(), "log_normal"),
        (LINE, (3,), 4, core.relu(), "gamma"),
        (LINE, (2,), (3,), core.softplus(), "normal"),
        (PLANE, (2, 3), 1, core.relu(), "log_normal"),
        (PLANE, (3, 2), (1, 2), core.leaky_relu(0.2), "two_point"),
    ],
)
def test_covariances(
    field: Field, kernel_size: tuple[int, ...], dilation: int, activation: core.Activation, distribution: str
) -> None:
    rng = np.random.default_rng(29)
    steps = np.broadcast_to(dilation, len(kernel_size))
    taps = [tuple(int(k * step) for k, step in zip(tap, steps, strict=True)) for tap in shifts(kernel_size)]
    fan_in = CHANNELS * len(taps)
    law: core.Law
    if distribution == "normal":
        law, layer = core.Normal(-0.1, 0.25), core.LayerStatistics(fan_in, -0.1, 0.0625, 0.3, 0.1)
    else:
        layer = core.solve(fan_in, activation, 0.5, 1.0, bias_noise=0.2)
        law = core.non_negative_law(distribution, layer.weight_mean, layer.weight_variance)
    bias = core.Normal(layer.bias_mean, layer.bias_std)

    grid = field.shared.shape
    means, same, cross = np.empty(BATCHES), np.empty((BATCHES, *grid)), np.empty((BATCHES, *grid))
    for batch in range(BATCHES):
        features = activation(field.draw(rng))
        weights = law.sample(core.NumpyDraw(rng, (ROWS, OUT_CHANNELS, CHANNELS, len(taps))))
        biases = bias.sample(core.NumpyDraw(rng, (ROWS, OUT_CHANNELS)))
        seen = np.stack([moved(features, tap) for tap in taps], axis=2)
        out = np.einsum("rock,rck...->ro...", weights, seen) + biases.reshape(ROWS, OUT_CHANNELS, *[1] * len(grid))
        means[batch] = out.mean()
        for d in shifts(grid):
            there = moved(out, d)
            same[batch][d] = np.mean(out * there)
            cross[batch][d] = np.mean(out[:, 0] * there[:, 1])

    predicted = core.forward_convolution(field.statistics, layer, activation, kernel_size, dilation)
    scale = float(predicted.same.flat[0]) + predicted.mean**2
    assert_agrees(means, predicted.mean, scale**0.5, resolution=0.2)
    assert_agrees(same, predicted.same + predicted.mean**2, scale, resolution=0.2)
    assert_agrees(cross, predicted.cross + predicted.mean**2, scale, resolution=0.2)
