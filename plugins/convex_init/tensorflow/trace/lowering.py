"""From the steps of a program to nodes of the graph, by one rule for each operation of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from convex_init.tensorflow.trace.program import Program, Step, Variable
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Constant, Node, Place
from convex_init_core.graph.programs import lowering
from convex_init_core.graph.programs.program import Program as AnyProgram
from convex_init_core.graph.programs.program import Slot


@dataclass(eq=False)
class Call(lowering.Call[Step]):
    """One operation on nodes, as its rule sees it; see :class:`convex_init_core.graph.programs.lowering.Call`.

    Attributes:
        lists: what lists of tensors hold, by the node that stands for the list.
    """

    lists: dict[Node, tuple[Node | None, ...]] = field(default_factory=dict)

    def array(self, index: int) -> Any:
        """Return an argument as an array of NumPy; ``None`` if it is not known or computed from parameters."""
        number = self.step.inputs[index].number
        return None if number is None or self.inputs[index].parameters else np.asarray(number)

    def axes(self, index: int, rank: int) -> tuple[int, ...] | None:
        """Return an argument as axes of an array of some rank."""
        array = self.array(index)
        return None if array is None else tuple(sorted(int(axis) % max(rank, 1) for axis in np.ravel(array)))


Rule = Callable[[Call], "Node | Sequence[Node]"]


class Lowering(lowering.Lowering[Call]):
    """The nodes of a program.

    Attributes:
        variables: nodes of the variables, by name.
        lists: what lists of tensors hold, by the node that stands for the list.
    """

    def __init__(self, builder: Builder, rules: dict[str, Rule]) -> None:
        """Nothing is lowered yet."""
        self.variables: dict[str, Node] = {}
        self.lists: dict[Node, tuple[Node | None, ...]] = {}
        super().__init__(builder, rules, partial(Call, lists=self.lists))

    def lower(self, program: AnyProgram) -> None:
        """Make the nodes of all steps; those of the arguments are there."""
        assert isinstance(program, Program)
        self.written = program.written
        for slot in program.captured:
            self.nodes[slot] = self.builder.literal(slot.number, slot.shape, slot.dtype)
        super().lower(program)

    def lower_step(self, step: Step) -> None:
        """Make the nodes of one step."""
        if step.name == "ReadVariableOp":
            self._read(step)
        elif step.name in ("Const", "Placeholder") or (not step.inputs and step.outputs[0].number is not None):
            for slot in step.outputs:
                self.nodes[slot] = self.builder.literal(slot.number, slot.shape, slot.dtype)
        elif all(slot in self.nodes for slot in step.inputs):
            super().lower_step(step)
        else:  # with handles of variables, which are no arrays
            inputs = tuple(self.nodes[slot] for slot in step.inputs if slot in self.nodes)
            self.keep(step, self.call_of(step, inputs).changing("works on a variable"))

    def _read(self, step: Step) -> None:
        (slot,), variable = step.outputs, step.inputs[0].resource
        if variable is not None and variable.name not in self.written:
            if variable.name not in self.variables:
                self.variables[variable.name] = variable_node(self.builder, variable, slot)
            self.nodes[slot] = self.variables[variable.name]
            return
        why = "reads a variable that is not known" if variable is None else "reads a variable that the model may write"
        place = self.builder.place(step.name, step.module)
        self.nodes[slot] = self.builder.changing((), slot.shape, slot.dtype, place, why)


def variable_node(builder: Builder, variable: Variable, slot: Slot) -> Node:
    """Return a new node for a variable."""
    if variable.changes:
        return builder.leaf("input", slot.shape, slot.dtype, Place("input", variable.name), name=variable.name)
    op = "parameter" if variable.learnt and slot.dtype.startswith(("float", "bfloat")) else "buffer"
    node = builder.leaf(op, slot.shape, slot.dtype, Place(op, variable.name), name=variable.name)
    names = (variable.name,) if op == "parameter" else ()
    node.constant = Constant(slot.number, bounds(slot.number), names)
    return node


def bounds(tensor: Any) -> tuple[float, float] | None:
    """Return smallest and largest number of a tensor; ``None`` if it has none that can be read."""
    if tensor is None:
        return None
    array = np.asarray(tensor.numpy() if hasattr(tensor, "numpy") else tensor)  # of bfloat16, too
    if array.size == 0 or (array.dtype.kind in "cOSUV" and "float" not in array.dtype.name):
        return None
    return float(array.min()), float(array.max())
