"""Run a model under the recorder and return its graph."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from convex_init.torch.trace.containers import copied, inside_objects, place_in
from convex_init.torch.trace.course import Recording
from convex_init.torch.trace.recorder import Recorder, Visit
from convex_init.torch.trace.watches import Escapes, Weights, eager, watched
from convex_init_core.graph.nodes import Graph, Place

_HOOKS = (
    *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
)
_Module = TypeVar("_Module", bound=nn.Module)


def trace(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    call: Callable[..., Any] | None = None,
    *,
    visit: Visit | None = None,
    places: Collection[Place] = (),
    gradients: bool = False,
    weights: Weights | None = None,
    where: Callable[[], str] | None = None,
) -> Graph:
    """Run ``call`` (by default the model itself, with its hooks) on the inputs and return the graph of what it did.

    The model runs as it is and may change; give a copy. The inputs are copied.

    Every floating-point input is an ``input`` node, named in ``graph.inputs``; whether it is convex or context is the
    judge's to say. Inputs of other types, and tensors that are attributes of objects among the inputs, are ``input``
    nodes that are not in ``graph.inputs``: they are context.

    Args:
        model: whose parameters and buffers are constants.
        args: positional inputs, named ``"0"``, ``"1"``, …; parts of lists, tuples and dicts as ``"0.key"``.
        kwargs: keyword inputs, by name.
        call: another entry point, such as ``model.energy``.
        visit: is called with the place and the tensor of each node in ``places`` when it has been made. If it returns
            a tensor, everything that follows is computed from those numbers.
        places: of nodes to visit.
        gradients: whether torch records what ``torch.autograd.grad`` needs. A model that differentiates inside its
            forward gets that in any case.
        weights: ``"parameter"`` or ``"buffer"``, name and tensor of each, where a library on torch names them itself.
        where: says which part of the model runs, where a library on torch calls its modules itself.
    """
    try:
        recorder = Recorder(model, visit, places, weights, where)
        return _recorded(recorder, model, args, kwargs, call, gradients)
    except RuntimeError as error:
        if gradients or "grad" not in str(error):
            raise
    return _recorded(Recorder(model, visit, places, weights, where), model, args, kwargs, call, True)


def copy_of(model: _Module) -> _Module:
    """Return a deep copy of a model, with the hooks on compiled modules, which a deep copy leaves out."""
    copied = copy.deepcopy(model)
    for module, twin in zip(model.modules(), copied.modules(), strict=False):
        for name in _HOOKS:
            if len(getattr(module, name)) != len(getattr(twin, name)):
                getattr(twin, name).update(getattr(module, name))
    return copied


def _recorded(
    recorder: Recorder,
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    call: Callable[..., Any] | None,
    gradients: bool,
) -> Recording:
    named: set[str] = set()

    def fresh(name: str, tensor: Tensor) -> Tensor:
        # A copy, so that a model that writes to its input leaves the caller's tensor alone.
        if name in named:
            raise ValueError(f"two inputs are called {name!r}; give the keys of what holds them other names")
        named.add(name)
        found = tensor.detach().clone().requires_grad_(gradients and tensor.is_floating_point())
        node = recorder.add_input(name, found)
        if found.is_floating_point() or found.is_complex():
            recorder.recording.inputs[name] = node
        return found

    new_args = [copied(str(i), arg, fresh) for i, arg in enumerate(args)]
    new_kwargs = {key: copied(key, item, fresh) for key, item in kwargs.items()}
    for kind, tensor in inside_objects((new_args, new_kwargs)):
        recorder.add_input(place_in("inside", kind), tensor)
    running = watched(model, recorder.running)
    with torch.set_grad_enabled(gradients), eager(), running, Escapes(recorder.escaped), recorder:
        result = (model if call is None else call)(*new_args, **new_kwargs)
    return recorder.finish(result)
