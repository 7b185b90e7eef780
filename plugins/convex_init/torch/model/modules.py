"""Find the methods of a model, and its parameters: in its modules, or in containers that torch does not look into."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from convex_init.torch.write.positivity import raw_parameter


def without_wrapper(model: nn.Module) -> nn.Module:
    """Return the model in ``DistributedDataParallel``, for those who only look at it.

    Raises:
        TypeError: if it is no module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


def methods(model: nn.Module) -> list[str]:
    """Return the names of methods that its own classes define, other than ``forward``, and that take something."""
    known = vars(nn.Module)
    found = {name: value for kind in _written(model) for name, value in vars(kind).items()}
    return [
        name
        for name, value in found.items()
        if inspect.isfunction(value) and name[0] != "_" and name not in known and name not in _NO_ENTRIES
        if len(inspect.signature(value).parameters) > 1
    ]


def _written(model: nn.Module) -> list[type]:
    """The user's classes of a model; those of torch have methods that compute nothing."""
    return [kind for kind in reversed(type(model).__mro__) if not kind.__module__.startswith("torch.")]


_NO_ENTRIES = ("forward", "reset_parameters", "init_weights", "reset_classifier", "group_matcher")


@dataclass(frozen=True, eq=False)
class Slot:
    """One parameter and its place.

    Attributes:
        module: that holds it; for a parametrized one, the module that it belongs to.
        name: of the parameter in the module, such as ``"weight"`` or ``"bias"``.
        path: of the module, for the ``weight`` and ``bias`` of a layer; of the parameter itself otherwise.
    """

    module: nn.Module
    name: str
    path: str

    @property
    def raw(self) -> Tensor:
        """The tensor to write to."""
        return raw_parameter(self.module, self.name)


def source_path(owner: str, name: str) -> str:
    """Join the path of a module and the name of its parameter."""
    return f"{owner}.{name}" if owner else name


def all_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module by path, those in plain lists, tuples and dicts included."""
    return {**dict(model.named_modules(remove_duplicate=False)), **dict(hidden_modules(model))}


def carrier_bound_of(module: nn.Module) -> float:
    """Return c of a layer of ours whose weights may go down to −c beside a carrier; 0 of any other."""
    found = vars(module).get("carrier_bound", 0.0)
    return found if isinstance(found, float) else 0.0


def hidden_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield modules in plain containers, with all of theirs; torch's ``named_modules`` does not see them."""
    named = list(model.named_modules())
    known = {id(module) for _, module in named}
    for path, module in named:
        for key, value in vars(module).items():
            if not key.startswith("_") and isinstance(value, _MAY_HOLD):
                yield from _modules_in(source_path(path, key), value, known)


_MAY_HOLD = (nn.Module, list, tuple, Mapping)


def check_no_bare_parameters(model: nn.Module) -> None:
    """Refuse parameters that train and lie in a plain list or dict, where no state dict and no projection finds them.

    Raises:
        ValueError: with their places, and the remedy.
    """
    modules = all_modules(model)
    known = {id(own) for module in modules.values() for own in module._parameters.values()}
    found = [
        place
        for path, module in modules.items()
        for key, value in vars(module).items()
        if not key.startswith("_") and isinstance(value, _MAY_HOLD)
        for place, tensor in _parameters_in(source_path(path, key), value)
        if id(tensor) not in known and tensor.requires_grad
    ]
    if found:
        raise ValueError(
            f"{', '.join(map(repr, dict.fromkeys(found)))}: a parameter in a plain list or dict, which torch does not "
            "know of, so that it could not be kept non-negative; use nn.ParameterList or nn.ParameterDict"
        )


def _parameters_in(path: str, value: Any) -> Iterator[tuple[str, nn.Parameter]]:
    parts: Any = ()
    if isinstance(value, nn.Parameter):
        yield path, value
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    elif isinstance(value, Mapping):
        parts = value.items()
    for key, part in parts:
        yield from _parameters_in(f"{path}.{key}", part)


def _modules_in(path: str, value: Any, known: set[int]) -> Iterator[tuple[str, nn.Module]]:
    parts: Any = ()
    if isinstance(value, nn.Module):
        if id(value) not in known:
            known.update(id(module) for module in value.modules())
            for inner, module in value.named_modules(remove_duplicate=False):
                yield (f"{path}.{inner}" if inner else path), module
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    elif isinstance(value, Mapping):
        parts = value.items()
    for key, part in parts:
        yield from _modules_in(f"{path}.{key}", part, known)


def hidden_parameters(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters of hidden modules by path."""
    for path, module in hidden_modules(model):
        for name, parameter in module.named_parameters(recurse=False):
            yield source_path(path, name), parameter
