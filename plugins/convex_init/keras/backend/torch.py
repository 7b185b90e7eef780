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
from convex_init.torch.trace import look, same_course, trace
from convex_init_core.framework import Observed, Visit
from convex_init_core.graph.compounds.rewritten import with_compounds
from convex_init_core.graph.nodes import Graph, Node, Place


class Runner:
    """See :class:`convex_init.keras.backend.runner.Runner`."""

    def __init__(self, call: Call, variables: Variables) -> None:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        self.call, self.variables = call, variables

    def trace(self, inputs: Mapping[str, Any]) -> Graph:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        graph: Graph = self._ran(trace, inputs, self.call)
        return graph

    def differ(self, first: Graph, inputs: Mapping[str, Any]) -> bool:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        return not same_course(first, with_compounds(self.trace(inputs)))

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
        model = self.call.model
        return run(model, (), tensors, call, weights=self._weights(), where=self._where, **options)

    def _weights(self) -> Iterator[tuple[str, str, Tensor]]:
        for name, slot in self.variables.slots.items():
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
