"""Values and gradients of a function of a batch, in the arrays of its framework."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convex_init_core.solving.bundle import Steps


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A function of many examples.

    Attributes:
        of: from flat points (examples, size) to values (examples,) and gradients of that shape.
        start: the examples, flat.
        steps: of their library.
        shape: of the batch.
        back: from such an array to one of the framework that the examples came in.
        still: an array that carries no derivative.
        flat: an array of the framework as (examples, size).
        value: from points of the framework to values, with the graph that derivatives need.
    """

    of: Callable[[Any], tuple[Any, Any]]
    start: Any
    steps: Steps
    shape: tuple[int, ...]
    back: Callable[[Any], Any]
    still: Callable[[Any], Any]
    flat: Callable[[Any], Any]
    value: Callable[[Any], Any]


def evaluation_of(model: Any, x: Any, name: str) -> Evaluation:
    """Return how a function is evaluated on examples such as x.

    Args:
        model: from a batch to one number for each example.
        x: (examples, *shape), of torch, JAX or TensorFlow.
        name: what x is called, for messages.

    Raises:
        TypeError: if the model cannot be called, or x is no array of numbers of these frameworks.
        ValueError: if x holds no example or NaN; later, too, if the model fails on such an array.
    """
    if not callable(model):
        raise TypeError(
            f"model must be a function of a batch, got {type(model).__name__}; for a pair (fn, params) of JAX "
            "write lambda x: fn(params, x)"
        )
    model = _named(model, name)
    torch, jax, tensorflow = (sys.modules.get(each) for each in ("torch", "jax", "tensorflow"))
    if torch is not None and isinstance(x, torch.Tensor):
        _check(name, tuple(x.shape), str(x.dtype), bool(x.isfinite().all()))
        return _of_torch(torch, model, x)
    if jax is not None and isinstance(x, jax.Array):
        _check(name, x.shape, str(x.dtype), bool(jax.numpy.isfinite(x).all()))
        return _of_jax(jax, model, x)
    if tensorflow is not None and isinstance(x, (tensorflow.Tensor, tensorflow.Variable)):
        numbers = np.asarray(x)
        _check(name, numbers.shape, str(numbers.dtype), bool(np.isfinite(numbers).all()))
        return _of_tensorflow(tensorflow, model, numbers)
    raise TypeError(
        f"{name} must be an array of torch, JAX or TensorFlow with floating-point numbers, got {type(x).__name__}"
    )


def _named(model: Any, name: str) -> Callable[[Any], Any]:
    """The model, whose own errors say what it was given."""

    def called(given: Any) -> Any:
        try:
            return model(given)
        except Warning:
            raise
        except Exception as error:  # whatever a framework raises
            first = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"the model fails on an array like {name}, of shape {tuple(given.shape)} and {given.dtype}, with "
                f"{type(error).__name__}: {first}"
            ) from error

    return called


def _check(name: str, shape: tuple[int, ...], dtype: str, finite: bool) -> None:
    if not dtype.endswith(("float32", "float64")):
        raise TypeError(f"{name} must hold float32 or float64, got {dtype}: a gap is no better than the rounding")
    if not shape or 0 in shape:
        raise ValueError(f"{name} must have the shape (examples, *shape of one), got {shape}")
    if not finite:
        raise ValueError(f"{name} holds NaN or infinite values")


def _of_torch(torch: Any, model: Any, x: Any) -> Evaluation:
    def evaluate(flat: Any) -> tuple[Any, Any]:
        with torch.inference_mode(False), torch.enable_grad():
            inner = flat.detach().clone().requires_grad_()
            values = _one_each(model(inner.reshape(x.shape)), len(x))
            if not values.requires_grad:
                raise ValueError("the model's values have no gradient: it detaches its input, or does not depend on it")
            (slope,) = torch.autograd.grad(values.sum(), inner, allow_unused=True)
        if slope is None:
            raise ValueError("the model's values have no gradient: it detaches its input, or does not depend on it")
        return values.detach(), slope

    return Evaluation(
        evaluate,
        x.detach().reshape(len(x), -1),
        Steps(torch),
        tuple(x.shape),
        lambda array: array,
        lambda array: array.detach(),
        lambda array: array.reshape(len(x), -1),
        lambda point: _one_each(model(point), len(x)),
    )


@functools.cache
def _steps_of_jax() -> Steps:
    """Compiled once for all calls, for each shape of a batch."""
    import jax

    return Steps(jax.numpy, jax.jit)


def _of_jax(jax: Any, model: Any, x: Any) -> Evaluation:
    def total(flat: Any) -> tuple[Any, Any]:
        values = _one_each(model(flat.reshape(x.shape)), len(x))
        return values.sum(), values

    graded = jax.jit(jax.value_and_grad(total, has_aux=True))
    still = jax.lax.stop_gradient

    def evaluate(flat: Any) -> tuple[Any, Any]:
        (_, values), slope = graded(flat)
        return still(values), still(slope)

    return Evaluation(
        evaluate,
        still(x).reshape(len(x), -1),
        _steps_of_jax(),
        tuple(x.shape),
        lambda array: array,
        still,
        lambda array: array.reshape(len(x), -1),
        lambda point: _one_each(model(point), len(x)),
    )


def _of_tensorflow(tensorflow: Any, model: Any, x: Any) -> Evaluation:
    """The cutting planes are arrays of NumPy; the model runs where its weights are."""

    def evaluate(flat: Any) -> tuple[Any, Any]:
        inner = tensorflow.constant(flat.reshape(x.shape))
        with tensorflow.GradientTape() as tape:
            tape.watch(inner)
            values = _one_each(model(inner), len(x))
        slope = tape.gradient(values, inner)
        if slope is None:
            raise ValueError("the model's values have no gradient: it detaches its input, or does not depend on it")
        return np.asarray(values), np.asarray(slope).reshape(len(x), -1)

    return Evaluation(
        evaluate,
        x.reshape(len(x), -1),
        Steps(np),
        x.shape,
        tensorflow.convert_to_tensor,
        tensorflow.stop_gradient,
        lambda array: tensorflow.reshape(array, (len(x), -1)),
        lambda point: _one_each(model(point), len(x)),
    )


def _one_each(values: Any, count: int) -> Any:
    shape = getattr(values, "shape", None)
    if shape is None:
        raise TypeError(f"the model must return an array, got {type(values).__name__}")
    if math.prod(shape) != count or tuple(shape)[:1] != (count,):
        raise ValueError(
            f"the model returns an array of shape {tuple(shape)} for {count} examples, not one number for each"
        )
    return values if len(shape) == 1 else values[(slice(None), *(0,) * (len(shape) - 1))]
