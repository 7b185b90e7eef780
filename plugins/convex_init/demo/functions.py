"""The convex functions that the demo fits, and those that its settings were chosen on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
REACH = 2.0
"""Inputs are drawn evenly from −REACH to REACH, in every dimension."""

_POINTS = {1: 256, 2: 512}
_TEST_POINTS = 2048
_GRID = {1: 161, 2: 33}


@dataclass(frozen=True)
class Target:
    """A convex function.

    Attributes:
        formula: how it is written.
        dimensions: of its input, one or two.
        function: from inputs ``[points, dimensions]`` to values ``[points]``.
    """

    formula: str
    dimensions: int
    function: Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Points:
    """A target at points, its values with mean 0 and variance 1 over the training points.

    Attributes:
        train: inputs, float32 ``[points, dimensions]``.
        train_values: float32 ``[points, 1]``.
        test: as ``train``.
        test_values: as ``train_values``.
        grid: the inputs that are drawn, in the order of the last axis first.
        grid_values: as ``train_values``.
    """

    train: NDArray[np.float32]
    train_values: NDArray[np.float32]
    test: NDArray[np.float32]
    test_values: NDArray[np.float32]
    grid: NDArray[np.float32]
    grid_values: NDArray[np.float32]


def _maximum(slopes: list[list[float]], offsets: list[float]) -> Callable[[Array], Array]:
    return lambda x: np.asarray((x @ np.array(slopes).T + np.array(offsets)).max(axis=1))


SHOWN = {
    "curve": Target("max(−2x − 1.6, −x/2, x/4, 3x − 3)", 1, _maximum([[-2], [-0.5], [0.25], [3]], [-1.6, 0, 0, -3])),
    "surface": Target(
        "‖(x − 0.5, y + 0.3)‖ + max(0, x + y − 1)",
        2,
        lambda x: np.hypot(x[:, 0] - 0.5, x[:, 1] + 0.3) + np.maximum(x.sum(axis=1) - 1.0, 0.0),
    ),
}
"""What the demo fits, by task; no setting was chosen on these."""

CHOSEN_ON = {
    "curve": (
        Target("max(|x|/2, 2x − 1.6, −1.5x − 1.5)", 1, _maximum([[-0.5], [0.5], [2], [-1.5]], [0, 0, -1.6, -1.5])),
        Target("0.3|x|³ + max(0, −x − 0.5)", 1, lambda x: 0.3 * np.abs(x[:, 0]) ** 3 + np.maximum(-x[:, 0] - 0.5, 0.0)),
    ),
    "surface": (
        Target(
            "max(x + y/2 − 1, y − x, −3y/2 − 1, 0)", 2, _maximum([[1, 0.5], [-1, 1], [0, -1.5], [0, 0]], [-1, 0, -1, 0])
        ),
        Target("x² + xy/2 + y²/3 − x", 2, lambda x: x[:, 0] ** 2 + 0.5 * x.prod(axis=1) + x[:, 1] ** 2 / 3 - x[:, 0]),
    ),
}
"""What learning rates, widths, depths and numbers of steps were chosen on (``tools/demo_rates.py``)."""


def sample(target: Target, seed: int) -> Points:
    """Return points of a target, the same for every network."""
    generator = np.random.default_rng(seed)
    count = _POINTS[target.dimensions]
    train = generator.uniform(-REACH, REACH, (count, target.dimensions))
    test = generator.uniform(-REACH, REACH, (_TEST_POINTS, target.dimensions))
    axis = np.linspace(-REACH, REACH, _GRID[target.dimensions])
    grid = np.stack(np.meshgrid(*[axis] * target.dimensions, indexing="ij"), axis=-1).reshape(-1, target.dimensions)
    values = target.function(train)
    mean, std = values.mean(), values.std()

    def scaled(x: Array) -> NDArray[np.float32]:
        found: NDArray[np.float32] = ((target.function(x) - mean) / std).astype(np.float32)
        return found[:, None]

    made = [array for x in (train, test, grid) for array in (x.astype(np.float32), scaled(x))]
    return Points(*made)
