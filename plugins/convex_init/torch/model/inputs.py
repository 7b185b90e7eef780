"""The inputs of a model, however they are passed, and the numbers of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convex_init.torch.write.sharding import whole


def arguments_of(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword inputs: a dict is keywords, a tuple or list positions, anything else one input."""
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    return (tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)), {}


def floating_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor]:
    """Return the floating-point tensors among the inputs by name; those inside lists and dicts are ``"0.key"``."""
    found: dict[str, Tensor] = {}

    def walk(name: str, item: Any) -> None:
        if isinstance(item, Tensor):
            if item.is_floating_point():
                found[name] = item
        elif isinstance(item, Mapping):
            for key, part in item.items():
                walk(f"{name}.{key}", part)
        elif isinstance(item, (list, tuple)):
            for i, part in enumerate(item):
                walk(f"{name}.{i}", part)

    for i, item in enumerate(args):
        walk(str(i), item)
    for key, item in kwargs.items():
        walk(key, item)
    return found


def rebuilt(item: Any, parts: list[Any]) -> Any:
    """Return ``parts`` as a list or tuple of the kind of ``item``."""
    return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)  # a named tuple takes them one by one


def names_of(chosen: Iterable[str | int] | str | int) -> list[str]:
    """Return a choice of inputs, by name or position, as names."""
    return [str(chosen)] if isinstance(chosen, (str, int)) else [str(name) for name in chosen]


def mapped(tree: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Return nested inputs with every tensor replaced by a function of it."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: mapped(part, function) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [mapped(part, function) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


def numpy_of(tensor: Tensor) -> NDArray[np.float64]:
    """Return the numbers of a tensor, the whole one if it is sharded, in double precision."""
    return cast("NDArray[np.float64]", whole(tensor.detach()).to(torch.float64, copy=True).cpu().numpy())
