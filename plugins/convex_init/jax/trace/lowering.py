"""From the steps of a program to nodes of the graph, by one rule for each primitive of JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from convex_init.jax.trace.program import Program, Slot, Step
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Node, Place

# Parameters that say on which device, in which order or with what promises something is computed, and nothing of what.
_TECHNICAL = {
    *("accuracy", "sharding", "out_sharding", "indices_are_sorted", "unique_indices", "is_stable", "weak_type"),
    "ctx_mesh",
}


@dataclass(eq=False)
class Call:
    """One primitive operation on nodes, as its rule sees it.

    Attributes:
        step: the operation.
        inputs: its arguments.
        builder: makes nodes.
        place: of everything that the operation is lowered to.
        unread: parameters that the rule has not read.
        unused: arguments that depend on the input, and of which the rule has made nothing.
    """

    step: Step
    inputs: tuple[Node, ...]
    builder: Builder
    place: Place
    unread: set[str] = field(default_factory=set)
    unused: set[Node] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note the parameters that a rule has to read, and the arguments that it has to use."""
        self.unread = {key for key, value in self.step.params.items() if value is not None} - _TECHNICAL
        self.unused = {part for part in self.inputs if not part.is_fixed}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the (first) result."""
        return self.step.outputs[0].shape

    @property
    def dtype(self) -> str:
        """Of the (first) result."""
        return self.step.outputs[0].dtype

    def read(self, name: str) -> Any:
        """Return a parameter of the primitive."""
        self.unread.discard(name)
        return self.step.params.get(name)

    def make(
        self,
        op: str,
        *inputs: Node,
        shape: Sequence[int] | None = None,
        dtype: str | None = None,
        index: int = 0,
        **params: Any,
    ) -> Node:
        """Return a node; of the shape and dtype of a result unless told."""
        self.unused.difference_update(inputs)
        result = self.step.outputs[index]
        shape = result.shape if shape is None else shape
        return self.builder.node(op, inputs, shape, dtype or result.dtype, self.place, **params)

    def number(self, value: float) -> Node:
        """Return a literal of the dtype of the first result."""
        return self.builder.literal(np.float64(value), (), self.dtype)

    def opaque(self, why: str, *, non_negative: bool = False) -> list[Node]:
        """Return a node of which nothing is known for each result."""
        return [
            self.make("opaque", *self.inputs, index=index, why=why, non_negative=non_negative)
            for index in range(len(self.step.outputs))
        ]

    def changing(self, why: str) -> list[Node]:
        """Return a node for each result that may be another one next time."""
        slots = self.step.outputs
        return [self.builder.changing(self.inputs, slot.shape, slot.dtype, self.place, why) for slot in slots]


Rule = Callable[[Call], "Node | Sequence[Node]"]


@dataclass(eq=False)
class Lowering:
    """The nodes of a program.

    Attributes:
        builder: makes them.
        rules: by name of the primitive.
        nodes: by place of the array.
    """

    builder: Builder
    rules: dict[str, Rule]
    nodes: dict[Slot, Node] = field(default_factory=dict)

    def lower(self, program: Program) -> None:
        """Make the nodes of all steps; those of the arguments are there."""
        for step in program.steps:
            self._lower(step)

    def node(self, slot: Slot) -> Node:
        """Return the node of an array."""
        if slot not in self.nodes:
            self.nodes[slot] = self.builder.literal(slot.number, slot.shape, slot.dtype)
        return self.nodes[slot]

    def _lower(self, step: Step) -> None:
        if not step.outputs:
            return
        inputs = tuple(map(self.node, step.inputs))
        call = Call(step, inputs, self.builder, self.builder.place(step.name, step.module))
        made = self._results(call)
        for slot, node in zip(step.outputs, made, strict=True):
            known = slot.number is not None and not any(node is part for part in inputs)
            self.nodes[slot] = self.builder.evaluated(node, slot.number) if known else node

    def _results(self, call: Call) -> Sequence[Node]:
        rule = self.rules.get(call.step.name)
        if call.step.has_effects:
            return call.changing("has effects beyond its results, or runs code outside of JAX")
        if rule is None:
            return call.opaque("has no rule")
        before = len(self.builder.graph.nodes)
        made = rule(call)
        results = [made] if isinstance(made, Node) else made
        call.unused.difference_update(results)
        if call.unread:  # what the rule made without them is not what runs
            del self.builder.graph.nodes[before:]
            return call.opaque(f"has an argument {min(call.unread)!r} that is not understood")
        if call.unused:
            del self.builder.graph.nodes[before:]
            return call.opaque("has an argument that depends on the input where a constant is expected")
        return results


def bounds(array: Any) -> tuple[float, float] | None:
    """Return smallest and largest number of an array; ``None`` if it has none that can be read."""
    if array is None or isinstance(array, (jax.core.Tracer, jax.ShapeDtypeStruct)):
        return None
    if isinstance(array, jax.Array) and jax.numpy.issubdtype(array.dtype, jax.dtypes.extended):
        return None
    if np.size(array) == 0 or np.iscomplexobj(array):
        return None
    if not isinstance(array, jax.Array) or all(device.platform == "cpu" for device in array.devices()):
        array = np.asarray(array)  # JAX would compile a function for each shape
    return float(array.min()), float(array.max())
