"""Run a model again and look at some of its values, without recording what it does a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convex_init.torch.trace.containers import tensors_in
from convex_init.torch.trace.course import Recording
from convex_init.torch.trace.lowering.call import Signature
from convex_init_core.graph.nodes import Graph, Place

Visit: TypeAlias = "Callable[[Place, Tensor], Tensor | None]"
"""Is shown a tensor in its place, and returns the numbers to go on with, if they are to be others."""

Wanted: TypeAlias = "Mapping[tuple[str, str, int], list[tuple[int, Place]]]"
"""Of an operation, by its name, its module and how often it ran there before: which results are to be shown."""


def shown_to(visit: Visit, place: Place, tensor: Tensor, before_write: Callable[[Tensor], None] | None = None) -> None:
    """Show a tensor to a visit, and write the numbers that it returns."""
    numbers = visit(place, tensor)
    if numbers is not None:
        if before_write is not None:
            before_write(tensor)
        tensor.detach().copy_(numbers)


def wanted_in(graph: Graph | None, places: Collection[Place]) -> Wanted | None:
    """Return which results of which operations are in these places; ``None`` if that has to be recorded again.

    Args:
        graph: of an earlier run, which tells; if it does not, everything has to be recorded.
        places: of its nodes. A place within an operation has no tensor.
    """
    if not isinstance(graph, Recording) or graph.has_gradients or not graph.outside.isdisjoint(places):
        return None
    ran: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, str, int], list[tuple[int, Place]]] = {}
    for call, results in zip(graph.calls, graph.results, strict=True):
        key = (call.name, call.module)
        asked = [(i, node.place) for i, node in enumerate(results) if node is not None and node.place in places]
        if asked:
            found[(*key, ran[key])] = asked
        ran[key] += 1
    return found


class Visits(TorchDispatchMode):
    """Shows the results of some operations, and the inputs in some places.

    Args:
        wanted: which results.
        visit: is shown them.
        places: all that are asked for.
        where: says which part of the model runs; by default the modules tell.

    Attributes:
        running: paths of the modules that run, the innermost last.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as of the recorder

    def __init__(
        self, wanted: Wanted, visit: Visit, places: Collection[Place], where: Callable[[], str] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wanted, self.visit, self.places = wanted, visit, places
        self.running: list[str] = []
        self._asked = where
        self._ran: Counter[tuple[str, str]] = Counter()
        self._inputs: Counter[str] = Counter()

    def add_input(self, name: str, tensor: Tensor, *, is_inside: bool = False) -> None:
        """Show an input of the model, or a tensor inside one, if it is asked for."""
        place = Place("input", name, self._inputs[name])
        self._inputs[name] += 1
        if place in self.places:
            shown_to(self.visit, place, tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and show its results."""
        with torch._C.DisableTorchFunction():
            result = func(*args, **(kwargs or {}))
            if isinstance(func, torch._ops.OpOverload):
                running = self.running[-1] if self.running else ""
                key = (Signature.of(func).name, running if self._asked is None else self._asked())
                asked = self.wanted.get((*key, self._ran[key]))
                self._ran[key] += 1
                if asked:
                    made = tensors_in(result)
                    for index, place in asked:
                        if index < len(made):
                            shown_to(self.visit, place, made[index])
        return result
