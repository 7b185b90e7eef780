"""From the steps of a program to nodes of the graph, by one rule for each operation of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convex_init.tensorflow.trace.program import Program, Slot, Step, Variable
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Constant, Kind, Node, Place

# Attributes that say of which type something is or how it is computed, and nothing of what.
TECHNICAL = {
    *("T", "Tidx", "TI", "Tshape", "Index", "Tperm", "Tpaddings", "Tdim", "Tdims", "Tlen", "Taxis", "Tmultiples"),
    *("Tparams", "Tindices", "Tblock_shape", "Tcrops", "SrcT", "DstT", "dtype", "N", "U", "out_type", "index_type"),
    *(
        "use_cudnn_on_gpu",
        "grad_a",
        "grad_b",
        "grad_x",
        "grad_y",
        "parallel_iterations",
        "output_shapes",
        "Tin",
        "Tout",
        "shape",
        "Tb",
    ),
    *("message", "Ta", "element_dtype", "shape_type", "Tk", "out_idx", "stop_on_error"),
}


@dataclass(eq=False)
class Call:
    """One operation on nodes, as its rule sees it.

    Attributes:
        step: the operation.
        inputs: its arguments.
        builder: makes nodes.
        place: of everything that the operation is lowered to.
        lists: what lists of tensors hold, by the node that stands for the list.
        unread: attributes that the rule has not read.
        unused: arguments that depend on the input, and of which the rule has made nothing.
    """

    step: Step
    inputs: tuple[Node, ...]
    builder: Builder
    place: Place
    lists: dict[Node, tuple[Node | None, ...]]
    unread: set[str] = field(default_factory=set)
    unused: set[Node] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note the attributes that a rule has to read, and the arguments that it has to use."""
        self.unused = {part for part in self.inputs if not part.is_fixed}
        self.unread = {name for name in self.step.attributes if not name.startswith("_")} - TECHNICAL

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
        """Return an attribute."""
        self.unread.discard(name)
        return self.step.attribute(name) if name in self.step.attributes else default

    def array(self, index: int) -> Any:
        """Return an argument as an array of NumPy; ``None`` if it is not known or computed from parameters."""
        number = self.step.inputs[index].number
        return None if number is None or self.inputs[index].parameters else np.asarray(number)

    def axes(self, index: int, rank: int) -> tuple[int, ...] | None:
        """Return an argument as axes of an array of some rank."""
        array = self.array(index)
        return None if array is None else tuple(sorted(int(axis) % max(rank, 1) for axis in np.ravel(array)))

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


Rule = Callable[[Call], "Node | Sequence[Node]"]


@dataclass(eq=False)
class Lowering:
    """The nodes of a program.

    Attributes:
        builder: makes them.
        rules: by name of the operation.
        nodes: by place of the tensor.
        variables: nodes of the variables, by name.
        lists: what lists of tensors hold, by the node that stands for the list.
    """

    builder: Builder
    rules: dict[str, Rule]
    nodes: dict[Slot, Node] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    lists: dict[Node, tuple[Node | None, ...]] = field(default_factory=dict)

    def lower(self, program: Program) -> None:
        """Make the nodes of all steps; those of the arguments are there."""
        for slot in program.captured:
            self.nodes[slot] = self.builder.literal(slot.number, slot.shape, slot.dtype)
        for step in program.steps:
            if step.name == "ReadVariableOp":
                self._read(step, program)
            elif step.outputs:
                self._lower(step)

    def _read(self, step: Step, program: Program) -> None:
        (slot,), variable = step.outputs, step.inputs[0].resource
        if variable is not None and variable.name not in program.written:
            if variable.name not in self.variables:
                self.variables[variable.name] = variable_node(self.builder, variable, slot)
            self.nodes[slot] = self.variables[variable.name]
            return
        why = "reads a variable that is not known" if variable is None else "reads a variable that the model may write"
        place = self.builder.place(step.name, step.module)
        self.nodes[slot] = self.builder.changing((), slot.shape, slot.dtype, place, why)

    def _lower(self, step: Step) -> None:
        if step.name in ("Const", "Placeholder") or (not step.inputs and step.outputs[0].number is not None):
            for slot in step.outputs:
                self.nodes[slot] = self.builder.literal(slot.number, slot.shape, slot.dtype)
            return
        inputs = tuple(self.nodes[slot] for slot in step.inputs if slot in self.nodes)
        call = Call(step, inputs, self.builder, self.builder.place(step.name, step.module), self.lists)
        whole = len(inputs) == len(step.inputs)  # without handles of variables, which are no arrays
        made = self._results(call) if whole else call.changing("works on a variable")
        for slot, node in zip(step.outputs, made, strict=True):
            known = slot.number is not None and not any(node is part for part in inputs)
            self.nodes[slot] = self.builder.evaluated(node, slot.number) if known else node

    def _results(self, call: Call) -> Sequence[Node]:
        rule = self.rules.get(call.step.name)
        if call.step.has_state:
            return call.changing("has results that change from call to call")
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
            return call.opaque(f"has an attribute {min(call.unread)!r} that is not understood")
        if call.unused:
            del self.builder.graph.nodes[before:]
            return call.opaque("has an argument that depends on the input where a constant is expected")
        return results


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
