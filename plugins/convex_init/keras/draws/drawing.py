"""Keras' random numbers as the core's primitives, and the seeds behind them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import keras
from keras import ops

from convex_init_core.weights.sampling import block_seed

KERNEL, BIAS, FREE = range(3)
"""Roles: kernels, biases and free layers drawn with one user's seed must not share their numbers."""


def fresh_seed() -> int:
    """Return a seed from where Keras takes its own, so that ``keras.utils.set_random_seed`` reproduces it."""
    return random.randint(1, 2**31 - 1)


def seed_stream(seed: int, *path: int) -> Iterator[int]:
    """Yield 32-bit seeds for one array, each from ``seed`` and the place in ``path``.

    Hashed at each step, because a backend may add the words of a seed: neighbouring user seeds must not meet.
    """
    for step in path:
        seed = block_seed(block_seed(seed, 0), step)
    base = block_seed(seed, 0)
    return (block_seed(base, index) for index in count())


def wide(dtype: Any) -> str:
    """Return the dtype to draw in: float64 if asked for, else float32."""
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(dtype)):
        raise ValueError(f"dtype must be floating point, such as 'float32', got {dtype!r}")
    return "float64" if keras.backend.standardize_dtype(dtype) == "float64" else "float32"


class KerasDraw:
    """:class:`convex_init_core.Draw` for Keras tensors of one shape, on the active backend."""

    def __init__(self, shape: tuple[int, ...], dtype: str, next_seed: Callable[[], Any]) -> None:
        """Draw arrays of ``shape`` and ``dtype``, each from a seed (int or ``SeedGenerator``) of its own."""
        self.shape, self.dtype, self._next_seed = shape, dtype, next_seed

    def normal(self, mean: float, std: float) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return keras.random.normal(self.shape, mean, std, self.dtype, self._next_seed())

    def log_normal(self, log_mean: float, log_std: float) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return ops.exp(self.normal(log_mean, log_std))

    def log_gamma(self, concentration: float) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return ops.log(keras.random.gamma(self.shape, concentration, self.dtype, self._next_seed()))

    def log_uniform(self) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return ops.log1p(-self._uniform())

    def bernoulli(self, probability: float) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return ops.cast(self._uniform() < probability, self.dtype)

    def exp(self, value: Any) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return ops.exp(value)

    def add(self, value: Any, other: Any) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return value + other

    def multiply(self, value: Any, other: Any) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return value * other

    def absolute(self, value: Any) -> Any:
        """See :class:`convex_init_core.Draw`."""
        return ops.abs(value)

    def _uniform(self) -> Any:
        return keras.random.uniform(self.shape, 0.0, 1.0, self.dtype, self._next_seed())
