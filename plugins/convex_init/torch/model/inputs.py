"""The inputs of a model, or of a part of it, however they are passed; and the numbers of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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


def entry_of(model: nn.Module, entry: str) -> Callable[..., Any]:
    """Return what is called: the model itself with its hooks, another method of it, or a module inside of it.

    Args:
        model: any module.
        entry: ``"forward"``, the name of a method, or the path of a module (or of a method of one), with dots.

    Raises:
        ValueError: if there is no such thing.
    """
    if entry == "forward":
        return model
    found = reduce(lambda owner, name: getattr(owner, name, None), entry.split("."), cast("Any", model))
    if not callable(found):
        raise ValueError(f"entry {entry!r} is no method or module of {type(model).__name__}")
    return cast("Callable[..., Any]", found)


class _Reached(Exception):
    """The module that is waited for was called."""


def inputs_of_part(model: nn.Module, entry: str, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what a module inside a model is first called with when the model itself runs; else the inputs themselves.

    Args:
        model: a copy, which runs in the mode that it has.
        entry: as for :func:`entry_of`; what a method is called with are the inputs that are given.
        args: positional inputs of the model.
        kwargs: keyword inputs.

    Raises:
        ValueError: if the model does not run on these inputs, or does not call the module with plain tensors.
    """
    part = entry_of(model, entry)
    if not isinstance(part, nn.Module) or part is model:
        return args, kwargs
    seen: list[Any] = []

    def reached(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append((given, named))
        raise _Reached

    handle = part.register_forward_pre_hook(reached, with_kwargs=True)
    remedy = f"pass inputs of the model itself, or give the module alone (model.{entry}) what it takes"
    try:
        with torch.no_grad(), torch.random.fork_rng():
            model(*args, **kwargs)
    except _Reached:
        pass
    except Exception as error:
        raise ValueError(
            f"entry={entry!r} is read at what the model gives it, and the model does not run on example_inputs "
            f"({type(error).__name__}: {error}); {remedy}"
        ) from error
    finally:
        handle.remove()
    if not seen:
        raise ValueError(f"entry={entry!r} is a module that the model does not call on example_inputs; {remedy}")
    return cast("tuple[tuple[Any, ...], dict[str, Any]]", mapped(seen[0], _plain))


def _plain(tensor: Tensor) -> Tensor:
    """A tensor outside of the transforms of torch.func: the whole batch, where it stands for one row of it."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        axis = functorch.maybe_get_bdim(tensor)
        tensor = functorch.get_unwrapped(tensor)
        tensor = tensor if axis < 0 else tensor.movedim(axis, 0)
    return tensor.detach().clone()


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
