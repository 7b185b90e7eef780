"""A gradient on whichever backend is active: the one thing that Keras leaves to the backends."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras
from keras import ops


def gradient(function: Callable[[list[Any]], Any], at: list[Any]) -> list[Any]:
    """Return the derivatives of a scalar function of a list of tensors, as NumPy arrays.

    Args:
        function: must not change any variable.
        at: NumPy arrays, the point.
    """
    return [ops.convert_to_numpy(part) for part in _BACKENDS[keras.backend.backend()](function, at)]


def _tensorflow(function: Callable[[list[Any]], Any], at: list[Any]) -> Any:
    tf = import_module("tensorflow")
    point = [tf.convert_to_tensor(part) for part in at]
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    return tape.gradient(value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _torch(function: Callable[[list[Any]], Any], at: list[Any]) -> Any:
    torch = import_module("torch")
    point = [ops.convert_to_tensor(part).requires_grad_() for part in at]
    with torch.enable_grad():
        found = torch.autograd.grad(function(point), point, allow_unused=True)
    return [ops.zeros_like(p) if part is None else part for p, part in zip(point, found, strict=True)]


def _jax(function: Callable[[list[Any]], Any], at: list[Any]) -> Any:
    return import_module("jax").grad(function)([ops.convert_to_tensor(part) for part in at])


_BACKENDS: dict[str, Callable[[Callable[[list[Any]], Any], list[Any]], Any]] = {
    "tensorflow": _tensorflow,
    "torch": _torch,
    "jax": _jax,
}
