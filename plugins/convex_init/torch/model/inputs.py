"""The inputs of a model, or of a part of it, however they are passed; and the numbers of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convex_init.torch.model.modules import methods
from convex_init.torch.trace.containers import named_tensors
from convex_init.torch.write.sharding import whole


def arguments_of(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword inputs: a dict is keywords, a tuple or list positions, anything else one input."""
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    return (tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)), {}


def checked_arguments(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword inputs, if they are tensors that a model's operations can be followed on.

    Raises:
        TypeError: if there is no tensor among them.
        ValueError: if one is sparse, quantised, nested or masked; with the remedy.
    """
    args, kwargs = arguments_of(example_inputs)
    found = [
        (name, tensor)
        for first, item in (*enumerate(args), *kwargs.items())
        for name, tensor in named_tensors(str(first), item)
    ]
    for name, tensor in found:
        kind = kind_of(tensor)
        if kind:
            raise ValueError(f"example_inputs: input {name!r} is a {kind[0]} tensor; pass {kind[1]}")
    if not found and (args or kwargs):
        given = args[0] if args else next(iter(kwargs.values()))
        raise TypeError(
            f"example_inputs hold no tensor, got {type(given).__name__}: pass what the model takes, such as "
            "torch.as_tensor(batch, dtype=torch.float32)"
        )
    return args, kwargs


def check_kinds(model: nn.Module) -> None:
    """Refuse parameters that are stored in an unusual way.

    Raises:
        ValueError: naming the first, with the remedy.
    """
    for name, tensor in model.named_parameters():
        if kind := kind_of(tensor):
            raise ValueError(f"{name!r} is a {kind[0]} tensor; give the layer {kind[1]}")


def kind_of(tensor: Tensor) -> tuple[str, str] | None:
    """Return what a tensor is called that is stored in an unusual way, and the remedy; ``None`` for others."""
    if type(tensor).__name__ == "MaskedTensor":
        return "masked", "its .to_tensor(0.0)"
    if tensor.is_nested:
        return "nested", "torch.nested.to_padded_tensor(x, 0.0)"
    if tensor.is_quantized:
        return "quantised", "its .dequantize()"
    return None if tensor.layout == torch.strided else ("sparse", "its .to_dense()")


def rebuilt(item: Any, parts: list[Any]) -> Any:
    """Return ``parts`` as a list or tuple of the kind of ``item``."""
    return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)  # a named tuple takes them one by one


def entry_of(model: nn.Module, entry: str) -> Callable[..., Any]:
    """Return what is called: the model itself with its hooks, another method of it, or a module inside of it.

    Args:
        model: any module.
        entry: ``"forward"``, the name of a method, or the path of a module (or of a method of one), with dots.

    Raises:
        TypeError: if it is no name.
        ValueError: if there is no such thing; the message names the methods that there are.
    """
    if entry == "forward":
        return model
    if not isinstance(entry, str):
        raise TypeError(f"entry must be the name of a method, such as 'forward', got {entry!r}")
    found = reduce(lambda owner, name: getattr(owner, name, None), entry.split("."), cast("Any", model))
    if not callable(found):
        known = ", ".join(map(repr, ("forward", *methods(model))))
        raise ValueError(
            f"entry {entry!r} is no method or module of {type(model).__name__}, which has {known} and modules"
        )
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
