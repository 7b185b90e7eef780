"""What operations that are not element-wise compute, with NumPy; the parameters are those of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def contract(a: Array, b: Array, axes: Any, batch: Any) -> Array:
    """Results in the order batch, free axes of a, free axes of b."""
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    of_a, of_b = [""] * a.ndim, [""] * b.ndim
    shared = ""
    for pairs, is_batch in ((batch, True), (axes, False)):
        for i, j in zip(*pairs, strict=True):
            of_a[i] = of_b[j] = letter = next(letters)
            shared += letter if is_batch else ""
    free = ""
    for names in (of_a, of_b):
        for i, name in enumerate(names):
            if not name:
                names[i] = next(letters)
                free += names[i]
    return np.einsum(f"{''.join(of_a)},{''.join(of_b)}->{shared}{free}", a, b)


def convolve(data: Array, weight: Array, **params: Any) -> Array:
    """One window axis, stride 1, no dilation, layouts of torch: enough for tests."""
    assert params["data_axes"] == params["weight_axes"] == (0, 1, 2)
    assert params["strides"] == params["dilation"] == (1,)
    assert not params["transposed"]
    groups, width = params["groups"], weight.shape[2]
    windows = np.stack([data[:, :, i : data.shape[2] - width + 1 + i] for i in range(width)], -1)
    parts = zip(np.split(windows, groups, 1), np.split(weight, groups, 0), strict=True)
    return np.concatenate([np.einsum("bcpk,ock->bop", part, kernel) for part, kernel in parts], 1)


def extreme(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, axes, keepdims: function(x, axis=axes, keepdims=keepdims)


def largest(x: Array, k: int, axis: int, sorted: bool, smallest: bool) -> Array:
    return np.take(sort(x, axis, not smallest), range(k), axis)


def sort(x: Array, axis: int, descending: bool) -> Array:
    ordered = np.sort(x, axis)  # NaN is the largest, as in torch and JAX
    return np.flip(ordered, axis) if descending else ordered


def norm(x: Array, order: float, axes: tuple[int, ...], keepdims: bool) -> Array:
    size = np.abs(x)
    if np.isinf(order):
        return size.max(axis=axes, keepdims=keepdims)
    return (size**order).sum(axis=axes, keepdims=keepdims) ** (1.0 / order)


def distance(a: Array, b: Array, order: float) -> Array:
    return norm(a[..., :, None, :] - b[..., None, :, :], order, (-1,), False)


def log_sum_exp(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    top = x.max(axis=axes, keepdims=True)
    found = top + np.log(np.exp(x - top).sum(axis=axes, keepdims=True))
    return found if keepdims else np.squeeze(found, axes)


def log_softmax(x: Array, axis: int) -> Array:
    return x - log_sum_exp(x, (axis,), True)


def batch_norm(x: Array, scale: Array, shift: Array, mean: Array, variance: Array, epsilon: float, axis: int) -> Array:
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    scale, shift, mean, variance = (
        part.reshape(shape) if part.ndim == 1 else part for part in (scale, shift, mean, variance)
    )
    return scale * (x - mean) / np.sqrt(variance + epsilon) + shift


MEANING: dict[str, Callable[..., Array]] = {
    "transpose": lambda x, axes: np.transpose(x, axes),
    "slice": lambda x, starts, stops, steps: x[tuple(map(slice, starts, stops, steps))],
    "cast": lambda x: x.astype(np.float64),
    "concatenate": lambda *parts, axis: np.concatenate(parts, axis),
    "stack": lambda *parts, axis: np.stack(parts, axis),
    "pad": lambda x, value, widths: np.pad(x, widths, constant_values=float(value)),
    "sum": lambda x, axes, keepdims: x.sum(axis=axes, keepdims=keepdims),
    "mean": lambda x, axes, keepdims: x.mean(axis=axes, keepdims=keepdims),
    "cumulative_sum": lambda x, axis: np.cumsum(x, axis),
    "contract": contract,
    "convolve": convolve,
    "max": extreme(np.max),
    "min": extreme(np.min),
    "largest": largest,
    "sort": sort,
    "norm": norm,
    "distance": distance,
    "log_sum_exp": log_sum_exp,
    "cumulative_log_sum_exp": lambda x, axis: np.logaddexp.accumulate(x, axis),
    "softmax": lambda x, axis: np.exp(log_softmax(x, axis)),
    "log_softmax": log_softmax,
    "variance": lambda x, axes, keepdims: x.var(axis=axes, keepdims=keepdims, ddof=1),
    "standard_deviation": lambda x, axes, keepdims: x.std(axis=axes, keepdims=keepdims, ddof=1),
    "batch_norm": batch_norm,
    "dropout": lambda x: x,
}
