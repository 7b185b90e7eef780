"""Keras on JAX: the model as a function of its variables and inputs is traced, and its steps are run one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import keras

from convex_init.jax.trace import Trace, follow, traced
from convex_init.keras.backend.runner import rename_places, total_of, wide
from convex_init.keras.model.calls import Call
from convex_init.keras.model.variables import Variables
from convex_init_core.framework import Observed, Visit
from convex_init_core.graph.nodes import Graph, Node, Place


class Runner:
    """See :class:`convex_init.keras.backend.runner.Runner`."""

    def __init__(self, call: Call, variables: Variables) -> None:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        self.call, self.variables = call, variables
        self._traces: dict[Graph, Trace] = {}
        self._result: Any = None

    def trace(self, inputs: Mapping[str, Any], *, as_called: bool = False) -> Graph:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        made, ids = self._traced(inputs, frozenset())
        assigned, doubts = self.variables.assigned(ids)
        if as_called and assigned:
            made, _ = self._traced(inputs, assigned)
        made.graph.doubts += doubts
        rename_places((*made.nodes.values(), *made.graph), lambda scope: self.variables.path_in(scope.split(".")))
        self._traces = {made.graph: made}
        return made.graph

    def _traced(self, inputs: Mapping[str, Any], changing: Collection[str]) -> tuple[Trace, set[int]]:
        slots = self.variables.slots
        variables = [slot.variable for slot in slots.values()]
        assigned: set[int] = set()

        def function(numbers: Sequence[Any], **given: Any) -> Any:
            self._result, ids = self.call.within(given, zip(variables, numbers, strict=True))
            assigned.update(ids)
            return self._result

        numbers = [variable.value for variable in variables]
        buffers = {name for name, slot in slots.items() if not slot.learnt}
        return traced(
            function, numbers, (), dict(inputs), names=list(slots), buffers=buffers, changing=changing
        ), assigned

    def doubt(self, graph: Graph, inputs: Mapping[str, Any]) -> str:
        """Return nothing: code cannot look at numbers that are traced, and the trace notes if it tries."""
        return ""

    def run(self, graph: Graph, nodes: Sequence[Node], visit: Visit) -> None:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        by_place = {node.place: node for node in nodes}

        def seen(place: Place, array: Any) -> Any:
            return visit(by_place[place], wide(array))

        follow(self._traces[graph], by_place, seen, learnt=self._present)

    def observe(self, graph: Graph, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """See :class:`convex_init.keras.backend.runner.Runner`; gradients are those of zeros that are added."""
        places = {node.place: index for index, node in enumerate(nodes)}
        made = self._traces[graph]

        def total(added: list[Any]) -> tuple[Any, list[Any]]:
            values = list(added)

            def seen(place: Place, array: Any) -> Any:
                index = places[place]
                values[index] = array
                return array + added[index]

            outputs = follow(made, places, seen, learnt=self._present)
            return (loss or total_of)(keras.tree.pack_sequence_as(self._result, outputs)), values

        zeros = [jax.numpy.zeros(node.shape, node.dtype) for node in nodes]
        slopes, values = jax.jit(jax.grad(total, has_aux=True))(zeros)
        return {
            node: Observed(wide(value), wide(slope)) for node, value, slope in zip(nodes, values, slopes, strict=True)
        }

    def _present(self, name: str) -> Any:
        return self.variables.slots[name].variable.value
