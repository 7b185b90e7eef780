"""From the steps of a program to nodes of the graph, by one rule for each operation of the framework.

The graph is part of a proof: a result of which some parameter was not read, or some argument not used, is opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Kind, Node, Place
from convex_init_core.graph.programs.program import Program, Slot, Step

S = TypeVar("S", bound=Step)


@dataclass(eq=False)
class Call(Generic[S]):
    """One operation on nodes, as its rule sees it.

    Attributes:
        step: the operation.
        inputs: its arguments.
        builder: makes nodes.
        place: of everything that the operation is lowered to.
        unread: parameters that the rule has not read.
        unused: arguments that depend on the input, and of which the rule has made nothing.
    """

    step: S
    inputs: tuple[Node, ...]
    builder: Builder
    place: Place
    unread: set[str] = field(default_factory=set)
    unused: set[Node] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note the parameters that a rule has to read, and the arguments that it has to use."""
        self.unread = set(self.step.options)
        self.unused = {part for part in self.inputs if not part.is_fixed}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the (first) result."""
        return self.step.outputs[0].shape

    @property
    def dtype(self) -> str:
        """Of the (first) result."""
        return self.step.outputs[0].dtype

    @property
    def is_floating(self) -> bool:
        """Whether all arguments hold real floating-point numbers."""
        return all(part.kind is Kind.FLOATING for part in self.inputs)

    def read(self, name: str, default: Any = None) -> Any:
        """Return a parameter of the operation."""
        self.unread.discard(name)
        found = self.step.option(name)
        return default if found is None else found

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
        shape = [max(size, 0) for size in result.shape] if shape is None else shape
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
        shapes = ([max(size, 0) for size in slot.shape] for slot in self.step.outputs)
        slots = zip(self.step.outputs, shapes, strict=True)
        return [self.builder.changing(self.inputs, shape, slot.dtype, self.place, why) for slot, shape in slots]


C = TypeVar("C", bound="Call[Any]")


@dataclass(eq=False)
class Lowering(Generic[C]):
    """The nodes of a program.

    Attributes:
        builder: makes them.
        rules: by name of the operation.
        called: makes what a rule sees of a step.
        nodes: by place of the array.
    """

    builder: Builder
    rules: dict[str, Callable[[C], Node | Sequence[Node]]]
    called: Callable[[Any, tuple[Node, ...], Builder, Place], C]
    nodes: dict[Slot, Node] = field(default_factory=dict)

    def lower(self, program: Program) -> None:
        """Make the nodes of all steps; those of the arguments are there."""
        for step in program.steps:
            if step.outputs:
                self.lower_step(step)

    def node(self, slot: Slot) -> Node:
        """Return the node of an array."""
        if slot not in self.nodes:
            self.nodes[slot] = self.builder.literal(slot.number, slot.shape, slot.dtype)
        return self.nodes[slot]

    def lower_step(self, step: Any) -> None:
        """Make the nodes of one step."""
        self.keep(step, self._results(self.call_of(step, tuple(map(self.node, step.inputs)))))

    def call_of(self, step: Any, inputs: tuple[Node, ...]) -> C:
        """Return what a rule sees of a step with these arguments."""
        self.builder.source = step.source
        return self.called(step, inputs, self.builder, self.builder.place(step.name, step.module))

    def keep(self, step: Any, made: Sequence[Node]) -> None:
        """Note the nodes of a step's results, with their numbers where these are known."""
        inputs = {self.nodes[slot] for slot in step.inputs if slot in self.nodes}
        for slot, node in zip(step.outputs, made, strict=True):
            known = slot.number is not None and node not in inputs
            self.nodes[slot] = self.builder.evaluated(node, slot.number) if known else node

    def _results(self, call: C) -> Sequence[Node]:
        rule = self.rules.get(call.step.name)
        if call.step.changes:
            return call.changing(call.step.changes)
        if rule is None:
            return call.opaque("has no rule")
        if -1 in call.shape:
            return call.opaque("has a shape that depends on numbers")
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
