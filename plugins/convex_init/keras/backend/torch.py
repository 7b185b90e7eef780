"""Keras on torch: what runs is recorded operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import torch
from keras.src.backend.common import global_state
from keras.src.backend.common.name_scope import current_path
from torch import Tensor

from convex_init.keras.backend.runner import total_of, wide
from convex_init.keras.model.calls import Call
from convex_init.keras.model.variables import Variables
from convex_init.torch.trace import look, trace
from convex_init_core.framework import Observed, Visit
from convex_init_core.graph.nodes import Graph, Node, Place

_SEED, _CALLED = "seed_generator_state", "variable "


class Runner:
    """See :class:`convex_init.keras.backend.runner.Runner`."""

    def __init__(self, call: Call, variables: Variables) -> None:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        self.call, self.variables = call, variables
        self._assigned: frozenset[str] = frozenset()

    def trace(self, inputs: Mapping[str, Any], *, as_called: bool = False) -> Graph:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        ids: set[int] = set()

        def noted(**given: Any) -> Any:
            result, assigned = self.call.within(given, ())
            ids.update(assigned)
            return result

        self._assigned = frozenset()
        graph: Graph = self._ran(trace, inputs, noted)
        # Of random numbers torch's own operations tell what is known of them, whatever their seed.
        seeds = {id(slot.variable) for name, slot in self.variables.slots.items() if name.endswith(_SEED)}
        assigned, doubts = self.variables.assigned(ids - seeds)
        if as_called and assigned:
            self._assigned = assigned
            graph = self._ran(trace, inputs, self.call)
        graph.doubts += doubts
        return graph

    def doubt(self, graph: Graph, inputs: Mapping[str, Any]) -> str:
        """Return nothing: what was recorded is what runs."""
        return ""

    def run(self, graph: Graph, nodes: Sequence[Node], visit: Visit) -> None:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        by_place = {node.place: node for node in nodes}
        missing = set(by_place)

        def seen(place: Place, tensor: Tensor) -> Tensor | None:
            missing.discard(place)
            with _outside():
                replaced = visit(by_place[place], wide(tensor))
            return None if replaced is None else torch.from_numpy(replaced).to(tensor)

        self._ran(look, self.call.arrays, self.call, graph=graph, visit=seen, places=by_place)
        if missing:
            raise ValueError(f"{', '.join(map(str, missing))} was not found when the model ran again")

    def observe(self, graph: Graph, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        by_place = {node.place: node for node in nodes}
        alive: dict[Node, Tensor] = {}
        results: list[Any] = []

        def kept(**inputs: Any) -> Any:
            results.append(self.call(**inputs))
            return results[-1]

        def seen(place: Place, tensor: Tensor) -> None:
            alive[by_place[place]] = tensor

        self._ran(look, self.call.arrays, kept, graph=graph, visit=seen, places=by_place, gradients=True)
        with torch.enable_grad():
            total = (loss or total_of)(results[-1])
        varying = [node for node, tensor in alive.items() if tensor.requires_grad]
        found: Sequence[Tensor | None] = [None] * len(varying)
        if varying and total.requires_grad:
            found = torch.autograd.grad(total, [alive[node] for node in varying], allow_unused=True)
        gradients = dict(zip(varying, found, strict=True))
        return {
            node: Observed(wide(tensor), None if (slope := gradients.get(node)) is None else wide(slope))
            for node, tensor in alive.items()
        }

    def _ran(self, run: Callable[..., Any], inputs: Mapping[str, Any], call: Callable[..., Any], **options: Any) -> Any:
        tensors = {name: keras.ops.convert_to_tensor(array) for name, array in inputs.items()}
        state = {_CALLED + name: self.variables.slots[name].variable for name in sorted(self._assigned)}

        def on_state(**given: Any) -> Any:
            pairs = [(variable, given.pop(name)) for name, variable in state.items()]
            return self.call.within(given, pairs)[0]

        if state and call is self.call:  # what it holds at a call is context, like another input
            tensors |= {name: variable.value.detach() for name, variable in state.items()}
            call = on_state
        return run(self.call.model, (), tensors, call, weights=self._weights(), where=self._where, **options)

    def _weights(self) -> Iterator[tuple[str, str, Tensor]]:
        for name, slot in self.variables.slots.items():
            if name not in self._assigned:
                yield "parameter" if slot.learnt else "buffer", name, slot.variable.value

    def _where(self) -> str:
        return self.variables.path_in(current_path().split("/"))


@contextmanager
def _outside() -> Iterator[None]:
    """Let what is assigned reach the variables themselves, although the model runs in a stateless scope."""
    scope = global_state.get_global_attribute("stateless_scope")
    global_state.set_global_attribute("stateless_scope", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("stateless_scope", scope)
