"""What a backend offers, and what the backends share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from convex_init.keras.model.calls import Call
from convex_init.keras.model.inputs import named_parts
from convex_init.keras.model.variables import Variables
from convex_init_core.framework import Observed, Visit
from convex_init_core.graph.nodes import Graph, Node, Place


class Runner(Protocol):
    """A model on one backend.

    Args:
        call: of the model.
        variables: of the same.
    """

    def __init__(self, call: Call, variables: Variables) -> None:
        """Nothing runs yet."""

    def trace(self, inputs: Mapping[str, Any], *, as_called: bool = False) -> Graph:
        """Return what the model does on inputs by name, with names of Keras.

        Args:
            inputs: by name.
            as_called: whether variables that the model assigns to are context, since they hold other numbers at the
                next call; else they are what they are now.
        """

    def doubt(self, graph: Graph, inputs: Mapping[str, Any]) -> str:
        """Return why the model may do something else when it is called than in the latest trace; empty if it does not.

        Args:
            graph: the latest trace.
            inputs: to try it on.
        """

    def run(self, graph: Graph, nodes: Sequence[Node], visit: Visit) -> None:
        """See :meth:`convex_init_core.framework.Framework.run`; ``graph`` is the latest trace."""

    def observe(self, graph: Graph, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """See :meth:`convex_init_core.framework.Framework.observe`."""


def wide(tensor: Any) -> NDArray[np.float64]:
    """Return a tensor of the backend as an array of its own in double precision."""
    return np.array(keras.ops.convert_to_numpy(tensor), dtype=np.float64)


def rename_places(nodes: Iterable[Node], path_of: Callable[[str], str]) -> None:
    """Give every node a module of Keras.

    Args:
        nodes: of a graph, in order; those that share a place share the new one.
        path_of: from a module of the tracer to a layer's path.
    """
    nodes = list(dict.fromkeys(nodes))
    made: Counter[tuple[str, str]] = Counter()
    new: dict[Place, Place] = {}
    for node in nodes:
        if node.name not in ("input", "parameter", "buffer") and node.place not in new:
            operation, module = node.place.operation, path_of(node.place.module)
            new[node.place] = Place(operation, module, made[operation, module])
            made[operation, module] += 1
    for node in nodes:
        node.place = new.get(node.place, node.place)


def total_of(result: Any) -> Any:
    """Return the mean of the first floating-point output over the batch, summed over units."""
    tensors = (tensor for _, tensor in named_parts("output", result))
    output = next(t for t in tensors if keras.backend.is_float_dtype(keras.backend.standardize_dtype(t.dtype)))
    return keras.ops.sum(keras.ops.mean(output, axis=0)) if len(output.shape) else output
