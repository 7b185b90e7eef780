"""Copies of a model to run in its place, so that nothing of the user's own model changes.

``copy.deepcopy`` refuses many models (one that keeps an activation, holds a lock, was pruned or sharded), and a class
may answer it with something else. Modules are copied attribute by attribute instead: tensors are cloned, what cannot be
copied is shared.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection, Iterable
from types import FunctionType, MethodType, ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from convex_init.torch.write.sharding import is_sharded, whole
from convex_init_core.theory.activation import Activation

_LIBRARIES = (
    "builtins",
    "torch",
    "numpy",
    "functools",
    "collections",
    "threading",
    "logging",
    "weakref",
    "_thread",
    "io",
)
_FINITE = 0.01  # stands for NaN and infinite numbers in a copy whose weights are to be overwritten anyway


def copied(
    model: nn.Module, *, share: Iterable[Tensor] = (), on_meta: bool = False, gathered: bool = False
) -> nn.Module:
    """Return a copy of ``model``, in the same mode.

    Args:
        model: any module; it is left as it is. Of one that torch shards (``fully_shard``), the copy has the class it
            was written as and none of the hooks that gather parameters.
        share: parameters that the copy has in common with the model, so that writing them shows in both.
        on_meta: whether all other tensors are left without numbers, on torch's meta device, in their full shape.
        gathered: whether the copy has whole tensors where the model has parts of them on each rank.
    """
    memo: dict[int, Any] = {id(tensor): tensor for tensor in share}
    return _Copier(memo, on_meta, gathered).module(model)


@torch.no_grad()
def make_finite(model: nn.Module, keep: Collection[int] = ()) -> nn.Module:
    """Replace NaN and infinite parameters of a copy by a small number, and return it; ``keep``: ids to leave alone."""
    for parameter in model.parameters():
        plain = not isinstance(parameter, UninitializedParameter) and parameter.is_floating_point()
        if plain and id(parameter) not in keep and parameter.device.type != "meta":
            parameter.data = parameter.data.nan_to_num(_FINITE, _FINITE, _FINITE)
    return model


_UNCHANGING = frozenset(
    (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size, Activation)
)


class _Copier:
    """One copy: what has been copied already is found in ``memo`` again, as with ``copy.deepcopy``."""

    def __init__(self, memo: dict[int, Any], on_meta: bool, gathered: bool) -> None:
        self.memo, self.on_meta, self.gathered = memo, on_meta, gathered
        self.alive: list[Any] = []  # an id is only an object's own while the object lives

    def module(self, module: nn.Module) -> nn.Module:
        if id(module) in self.memo:
            found: nn.Module = self.memo[id(module)]
            return found
        if isinstance(module, torch.jit.ScriptModule):
            scripted: nn.Module = copy.deepcopy(module, self.memo)
            return scripted.to("meta") if self.on_meta else scripted
        kind = _written_class(type(module))
        made = _bare(kind)
        self._remember(module, made)
        state = made.__dict__
        for key, value in vars(module).items():
            if type(value) in _UNCHANGING:
                state[key] = value
            elif type(value) is OrderedDict and not value:  # hooks that nobody registered
                state[key] = OrderedDict()
            elif key.endswith("_hooks"):
                state[key] = self._hooks(value)
            else:
                state[key] = self.value(value)
        if _is_compiled(module):  # what it calls is bound to the module that it was made from
            cast("Any", made)._initialize()
        elif _calls(module.__dict__.get("_compiled_call_impl"), module):
            made._compiled_call_impl = None
        return made

    def value(self, value: Any) -> Any:
        kind = type(value)
        if kind in _UNCHANGING:
            return value
        if id(value) in self.memo:
            return self.memo[id(value)]
        if isinstance(value, nn.Module):
            return self.module(value)
        if isinstance(value, Tensor):
            return self._remember(value, self._tensor(value))
        if kind in (dict, OrderedDict):
            made = self._remember(value, kind())
            for key, part in value.items():
                made[key] = self.value(part)
            return made
        if kind is list:
            made = self._remember(value, [])
            made += map(self.value, value)
            return made
        if kind in (tuple, set, frozenset):
            return self._remember(value, kind(map(self.value, value)))
        if isinstance(value, MethodType):
            return MethodType(value.__func__, self.value(value.__self__))
        if _is_of_the_user(value):
            return self._object(value)
        try:
            return copy.deepcopy(value, self.memo)
        except Exception:  # a lock, a file, a generator: whatever it is, the copy has to do with the same one
            return self._remember(value, value)

    def _object(self, value: Any) -> Any:
        """Copy an object attribute by attribute, whatever its class would answer to ``copy.deepcopy``."""
        try:
            made = object.__new__(type(value))
        except TypeError:  # it is also a number, a list or the like
            return self._remember(value, value)
        self._remember(value, made)
        for key, part in vars(value).items():
            made.__dict__[key] = self.value(part)
        return made

    def _tensor(self, tensor: Tensor) -> Tensor:
        if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
            lazy: Tensor = copy.deepcopy(tensor)
            return lazy
        if self.on_meta:
            made = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
        elif self.gathered and is_sharded(tensor):
            made = whole(tensor.detach()).clone()
        elif type(tensor) is nn.Parameter and not tensor.is_inference():  # as its own __deepcopy__, and faster
            made = nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
            made.__dict__.update((key, self.value(part)) for key, part in vars(tensor).items())
            return made
        elif tensor.is_leaf and not tensor.is_inference():
            leaf: Tensor = copy.deepcopy(tensor)
            leaf.__dict__.update((key, self.value(part)) for key, part in vars(tensor).items())
            return leaf
        else:
            made = tensor.detach().clone()
        is_parameter = isinstance(tensor, nn.Parameter)
        return nn.Parameter(made, tensor.requires_grad) if is_parameter else made

    def _hooks(self, hooks: Any) -> Any:
        """Hooks are the model's own, but for those that gather the parameters of a sharded model."""
        if not isinstance(hooks, dict):
            return self.value(hooks)
        if not any(map(_is_distributed, hooks.values())):
            return self.value(hooks)
        return self.value(type(hooks)((key, hook) for key, hook in hooks.items() if not _is_distributed(hook)))

    def _remember(self, original: Any, made: Any) -> Any:
        self.memo[id(original)] = made
        self.alive.append(original)
        return made


def _is_of_the_user(value: Any) -> bool:
    """Whether an object has attributes, and a class of its own that says how it is copied, or holds other objects."""
    kind = type(value)
    if not hasattr(value, "__dict__") or isinstance(value, (type, FunctionType, ModuleType)):
        return False
    return kind.__module__.split(".")[0] not in _LIBRARIES and not hasattr(kind, "__slots__")


def _bare(kind: type[nn.Module]) -> nn.Module:
    """A module without attributes, of this very class: that of a ``torch.fx.GraphModule`` would make a new one."""
    try:
        return object.__new__(kind)
    except TypeError:  # its class is built on one of C
        return kind.__new__(kind)


def _is_compiled(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch._dynamo") and hasattr(module, "_initialize")


def _calls(compiled: Any, module: nn.Module) -> bool:
    """Whether this is the compiled call of a module, as ``module.compile()`` makes it."""
    original = getattr(compiled, "_torchdynamo_orig_callable", None)
    return getattr(original, "__self__", None) is module


def _written_class(kind: type[nn.Module]) -> type[nn.Module]:
    """The class that a model was written as; ``fully_shard`` puts one of its own in front of it."""
    if any(base.__name__ == "FSDPModule" for base in kind.__bases__):
        return next(base for base in kind.__bases__ if base.__name__ != "FSDPModule")
    return kind


def _is_distributed(hook: Any) -> bool:
    function = getattr(hook, "func", hook)  # of a partial
    function = getattr(function, "__func__", function)  # of a method
    return str(getattr(function, "__module__", "")).startswith("torch.distributed")
