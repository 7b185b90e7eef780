"""Keras on TensorFlow: the graph of the model's concrete function, and its operations run one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convex_init.keras.backend.runner import rename_places, total_of, wide
from convex_init.keras.model.calls import Call
from convex_init.keras.model.variables import Variables
from convex_init.tensorflow.trace import Trace, follow, parts_of, traced
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
        rename_places((*made.nodes.values(), *made.graph), self._path)
        self._traces = {made.graph: made}
        return made.graph

    def _path(self, scope: str) -> str:
        return self.variables.path_in(scope.split("."), numbered=True)

    def _traced(self, inputs: Mapping[str, Any], changing: Collection[str]) -> tuple[Trace, set[int]]:
        slots = self.variables.slots
        assigned: set[int] = set()

        def function(**given: Any) -> Any:
            self._result, ids = self.call.within(given, ())
            assigned.update(ids)
            return self._result

        variables = {name: slot.variable.value for name, slot in slots.items()}
        buffers = {name for name, slot in slots.items() if not slot.learnt}
        return traced(function, variables, (), dict(inputs), buffers=buffers, changing=changing), assigned

    def doubt(self, graph: Graph, inputs: Mapping[str, Any]) -> str:
        """See :class:`convex_init.keras.backend.runner.Runner`; eager calls may do what a graph does not show."""
        made = self._traces[graph]
        large = {name: 100.0 * np.abs(a) if a.dtype.kind == "f" else a for name, a in inputs.items()}
        low = {name: -a if a.dtype.kind == "f" else a for name, a in large.items()}
        for given in (inputs, large, low):
            tensors = {name: tf.convert_to_tensor(array) for name, array in given.items()}
            if not _alike(
                parts_of(self.call(**tensors)), made.concrete(*(tensors[name] for name, _ in made.arguments))
            ):
                return "called eagerly, the model does something else than in the graph of a tf.function"
        return ""

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


_CLOSE = 0.01  # of the size of a result: rounding, even to half precision, is below


def _alike(eager: Sequence[Any], graph: Sequence[Any]) -> bool:
    """Whether two results hold the same numbers, up to rounding."""
    pairs = [(wide(tf.cast(a, tf.float64)), wide(tf.cast(b, tf.float64))) for a, b in zip(eager, graph, strict=False)]
    return len(eager) == len(graph) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=_CLOSE, atol=_CLOSE * _size(a), equal_nan=True) for a, b in pairs
    )


def _size(array: Any) -> float:
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max()) if finite.size else 0.0
