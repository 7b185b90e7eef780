"""Which framework a model is of, and the core's port for it: the one place that knows their names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from convex_init_core.framework import Framework


def framework_of(model: Any, example_inputs: Any, entry: str) -> Framework:
    """Return the core's port for a model of torch, Keras or JAX.

    Raises:
        TypeError: if it is none of these.
    """
    keras, torch = sys.modules.get("keras"), sys.modules.get("torch")
    if keras is not None and isinstance(model, keras.Model):
        from convex_init.keras.api import framework_of as of_keras

        return of_keras(model, example_inputs, entry)
    if torch is not None and isinstance(model, torch.nn.Module):
        from convex_init.torch.api import framework_of as of_torch

        lost = [name for name, each in model.named_parameters() if _holds_nan(torch, each)]
        if lost:
            raise ValueError(f"model: the weights {', '.join(map(repr, lost))} hold NaN or infinite values")
        return of_torch(model, example_inputs, entry, with_numbers=True)
    if "jax" in sys.modules:
        from convex_init.jax.framework import JaxFramework
        from convex_init.jax.model.modules import arguments_of, opened

        inputs = arguments_of(example_inputs)
        return JaxFramework(opened(model, inputs, entry=entry), inputs)
    raise TypeError(
        "model must be a torch.nn.Module, a keras.Model, a module of flax or equinox, or a pair (fn, params) of JAX, "
        f"got {type(model).__name__}"
    )


def _holds_nan(torch: Any, parameter: Any) -> bool:
    plain = type(parameter) is torch.nn.Parameter and parameter.is_floating_point() and not parameter.is_meta
    return plain and not bool(parameter.detach().isfinite().all())


def example_for(model: Any, shape: tuple[int, ...]) -> Any:
    """Return zeros of a shape, as an array that a model takes."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        kinds = (tensor for tensor in model.parameters() if tensor.is_floating_point())
        like = next(kinds, torch.zeros(()))
        return torch.zeros(shape, dtype=like.dtype, device=like.device)
    return np.zeros(shape, np.float32)


def first_of(inputs: Any, count: int) -> Any:
    """Return the first example of a batch: arrays whose first axis has ``count`` elements, in any containers."""
    if isinstance(inputs, Mapping):
        return {key: first_of(item, count) for key, item in inputs.items()}
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        return type(inputs)(*(first_of(item, count) for item in inputs))
    if isinstance(inputs, (list, tuple)):
        return type(inputs)(first_of(item, count) for item in inputs)
    shape = tuple(getattr(inputs, "shape", ()))
    return inputs[:1] if shape[:1] == (count,) else inputs
