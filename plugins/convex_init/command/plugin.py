"""Which plug-in a model is for, and how that takes its inputs: the one place where the commands decide this."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

# In this order: a model of Keras on torch is a module of torch, too.
_CLASSES = {
    "keras.Model": "keras",
    "torch.nn.Module": "torch",
    "equinox.Module": "jax",
    "flax.nnx.Module": "jax",
    "flax.linen.Module": "jax",
}


def plugin_of(model: Any) -> str:
    """Return the name of the plug-in for a model; empty if there is none for it.

    No framework is imported for this: who made the model has done so.
    """
    for name, plugin in _CLASSES.items():
        module, _, kind = name.rpartition(".")
        if module in sys.modules and isinstance(model, getattr(sys.modules[module], kind)):
            return plugin
    is_pair = isinstance(model, tuple) and len(model) == 2 and not hasattr(model, "_fields")
    if is_pair and (plugin_of(model[0]) == "jax" or _is_function(model[0])):
        return "jax"
    return ""


def _is_function(given: Any) -> bool:
    return callable(given) and not isinstance(given, type) and not plugin_of(given)


def in_framework(plugin: str, model: Any, array: NDArray[Any], *, is_typed: bool) -> Any:
    """Return an input as the plug-in takes it.

    Args:
        plugin: name of it.
        model: that gets the input.
        array: its numbers.
        is_typed: whether the user named the type; otherwise floating-point numbers of torch get that of the model's
            parameters. Keras and JAX convert by themselves.
    """
    if plugin != "torch":
        return array
    torch: ModuleType = sys.modules["torch"]
    tensor, parameter = torch.from_numpy(array), next(model.parameters(), None)
    if parameter is None:
        return tensor
    follows = not is_typed and np.issubdtype(array.dtype, np.floating) and parameter.is_floating_point()
    return tensor.to(parameter.device, parameter.dtype if follows else None)
