"""Run a model under the recorder and return its graph, or run it again and look at some of its values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from convex_init.torch.trace.containers import copied, inside_objects, place_in
from convex_init.torch.trace.doubts.watches import (
    Escapes,
    Modules,
    Weights,
    eager,
    modules_of,
    scripts,
    threads,
    watched,
)
from convex_init.torch.trace.recorder import Recorder
from convex_init.torch.trace.visits import Visit, Visits, wanted_in
from convex_init_core.convexity.inputs.names import other_names
from convex_init_core.graph.nodes import Graph, Place


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
    modules = list(modules_of(model))
    named = weights if weights is None else list(weights)

    def recorded(gradients: bool) -> Graph:
        recorder = Recorder(modules, visit, places, named, where)
        return _recorded(recorder, _Run(model if call is None else call, args, kwargs, modules, gradients))

    return _with_gradients_if_needed(recorded, gradients)


def look(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    call: Callable[..., Any] | None = None,
    *,
    graph: Graph,
    visit: Visit,
    places: Collection[Place],
    gradients: bool = False,
    weights: Weights | None = None,
    where: Callable[[], str] | None = None,
) -> None:
    """Run a model again, to look at the tensors in some places; nothing is recorded, as far as that is possible.

    Args:
        model: as for :func:`trace`, and so are all that are not listed here.
        args: see there.
        kwargs: see there.
        call: see there.
        graph: of an earlier run.
        visit: see there.
        places: of nodes of that graph.
        gradients: see there.
        weights: see there.
        where: see there.
    """
    wanted = wanted_in(graph, places)
    if wanted is None:
        trace(model, args, kwargs, call, visit=visit, places=places, gradients=gradients, weights=weights, where=where)
        return
    modules = list(modules_of(model))

    def visited(gradients: bool) -> None:
        mode = Visits(wanted, visit, places, where)
        run = _Run(model if call is None else call, args, kwargs, modules, gradients)
        new_args, new_kwargs = run.inputs(mode.add_input)
        with run.started(mode.running), mode:
            run.call(*new_args, **new_kwargs)

    _with_gradients_if_needed(visited, gradients)


_Result = TypeVar("_Result")


def _with_gradients_if_needed(run: Callable[[bool], _Result], gradients: bool) -> _Result:
    try:
        return run(gradients)
    except RuntimeError as error:
        if gradients or "grad" not in str(error):
            raise
    return run(True)


@dataclass(frozen=True, eq=False)
class _Run:
    """A call of a model on copies of its inputs."""

    call: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    modules: Modules
    gradients: bool

    def inputs(self, add: Callable[..., None]) -> tuple[list[Any], dict[str, Any]]:
        """Copy the inputs, and tell of each tensor among them."""
        named: set[str] = set()

        def fresh(name: str, tensor: Tensor) -> Tensor:
            # A copy, so that a model that writes to its input leaves the caller's tensor alone.
            if name in named:
                raise ValueError(f"two inputs are called {name!r}; give the keys of what holds them other names")
            named.add(name)
            found = tensor.detach().clone().requires_grad_(self.gradients and tensor.is_floating_point())
            add(name, found)
            return found

        args = [copied(str(i), arg, fresh) for i, arg in enumerate(self.args)]
        kwargs = {key: copied(key, item, fresh) for key, item in self.kwargs.items()}
        for kind, tensor in inside_objects((args, kwargs)):
            add(place_in("inside", kind), tensor, is_inside=True)
        return args, kwargs

    @contextmanager
    def started(self, running: list[str]) -> Iterator[None]:
        """Keep the path of the module that runs in a list."""
        with torch.set_grad_enabled(self.gradients), eager(), _uncached(), watched(self.modules, running):
            yield


def _recorded(recorder: Recorder, run: _Run) -> Graph:
    try:
        args, kwargs = run.inputs(recorder.add_input)
        function = getattr(run.call, "forward", run.call)
        recorder.recording.other_names = other_names(function, len(args), kwargs)
        outside = scripts(recorder.read_in_a_script), threads(recorder.left_by_a_thread)
        with run.started(recorder.running), outside[0], outside[1], Escapes(recorder.escaped), recorder:
            result = run.call(*args, **kwargs)
        return recorder.finish(result)
    finally:
        recorder.forget()


@contextmanager
def _uncached() -> Iterator[None]:
    """Let autocast convert a weight at every use: a second run would find it converted, and do something else."""
    was = torch.is_autocast_cache_enabled()
    torch.clear_autocast_cache()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(was)
