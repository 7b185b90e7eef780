"""Keras on TensorFlow: the graph of the model's concrete function, and its operations run one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from convex_init.keras.backend.runner import rename_places, total_of, wide
from convex_init.keras.model.calls import Call
from convex_init.keras.model.variables import Variables
from convex_init.tensorflow.trace import Trace, follow, traced
from convex_init_core.framework import Observed, Visit
from convex_init_core.graph.nodes import Graph, Node, Place


class Runner:
    """See :class:`convex_init.keras.backend.runner.Runner`."""

    def __init__(self, call: Call, variables: Variables) -> None:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        self.call, self.variables = call, variables
        self._traces: dict[Graph, Trace] = {}
        self._result: Any = None

    def trace(self, inputs: Mapping[str, Any]) -> Graph:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        slots = self.variables.slots

        def function(**given: Any) -> Any:
            self._result = self.call(**given)
            return self._result

        variables = {name: slot.variable.value for name, slot in slots.items()}
        buffers = {name for name, slot in slots.items() if not slot.learnt}
        made = traced(function, variables, (), dict(inputs), buffers=buffers)
        rename_places((*made.nodes.values(), *made.graph), self._path)
        self._traces = {made.graph: made}
        return made.graph

    def _path(self, scope: str) -> str:
        return self.variables.path_in(scope.split("."), numbered=True)

    def differ(self, first: Graph, inputs: Mapping[str, Any]) -> bool:
        """Tell no: the trace has shown the function to have no way to look at numbers."""
        return False

    def run(self, graph: Graph, nodes: Sequence[Node], visit: Visit) -> None:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        by_place = {node.place: node for node in nodes}

        def seen(place: Place, tensor: Any) -> Any:
            return visit(by_place[place], wide(tensor))

        follow(self._traces[graph], by_place, seen, afresh=True)

    def observe(self, graph: Graph, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """See :class:`convex_init.keras.backend.runner.Runner`."""
        by_place = {node.place: node for node in nodes}
        values: dict[Place, Any] = {}

        def seen(place: Place, tensor: Any) -> None:
            tape.watch(tensor)
            values[place] = tensor

        with tf.GradientTape() as tape:
            outputs = follow(self._traces[graph], by_place, seen, afresh=True)
            total = (loss or total_of)(keras.tree.pack_sequence_as(self._result, outputs))
        slopes = tape.gradient(total, list(values.values()))
        return {
            by_place[place]: Observed(wide(value), None if slope is None else wide(slope))
            for (place, value), slope in zip(values.items(), slopes, strict=True)
        }
