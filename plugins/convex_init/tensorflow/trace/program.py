"""The graph of a TensorFlow function as one flat list of steps: calls are inlined, short counted loops unrolled.

Whatever depends on constants alone is evaluated on the way.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

import convex_init
from convex_init_core.graph.nodes import Source
from convex_init_core.graph.programs import program
from convex_init_core.graph.programs.program import Slot

LONGEST_LOOP = 64  # steps that are unrolled; each is a copy of the loop's body in the graph

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_BRANCHES = ("If", "StatelessIf")
_LOOPS = ("While", "StatelessWhile")
_TENSORFLOW = tuple(map(str, tf.__path__))
_OURS = tuple(map(str, convex_init.__path__))
_HOST = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
# What takes the handle of a variable and leaves its numbers; anything else may write them.
_READERS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "Identity", "IdentityN")


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


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable from outside of the function.

    Attributes:
        name: by which the graph knows it.
        tensor: reads its numbers.
        learnt: whether it is a parameter, not a buffer.
        changes: whether it has other numbers at the next call.
    """

    name: str
    tensor: Callable[[], Any]
    learnt: bool
    changes: bool = False


@dataclass(frozen=True, eq=False)
class Step:
    """One operation; see :class:`convex_init_core.graph.programs.program.Step`."""

    operation: Any
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    module: str

    @property
    def name(self) -> str:
        """Of the operation, such as ``"MatMul"``."""
        return str(self.operation.type)

    @property
    def changes(self) -> str:
        """Why its results may be others next time, for the same arguments."""
        has_state = bool(self.operation.op_def.is_stateful) and self.name != "ReadVariableOp"
        return "has results that change from call to call" if has_state else ""

    @property
    def options(self) -> set[str]:
        """Names of the attributes that may change what is computed."""
        return {name for name in self.attributes if not name.startswith("_")} - TECHNICAL

    def option(self, name: str) -> Any:
        """Return an attribute; ``None`` if there is none of this name."""
        return self.attribute(name) if name in self.attributes else None

    @property
    def source(self) -> Source | None:
        """File and line of the user's code that made it; ``None`` where a layer does: its path says more."""
        keras = tuple(getattr(sys.modules.get("keras"), "__path__", ()))
        for frame in reversed(list(self.operation.traceback)):
            file = str(frame.filename)
            if file.startswith(_TENSORFLOW):
                continue
            if not file.startswith(keras):
                return None if file.startswith(_OURS) else (file, int(frame.lineno))
            if frame.name in ("call", "_run_through_graph"):
                return None
        return None

    @property
    def attributes(self) -> set[str]:
        """Names of its attributes."""
        return set(self.operation.node_def.attr)

    def attribute(self, name: str) -> Any:
        """Return an attribute, with text decoded."""
        value = self.operation.get_attr(name)
        return value.decode() if isinstance(value, bytes) else value

    def evaluate(self, tensors: Sequence[Any]) -> list[Any] | None:
        """Return the results for some arguments; ``None`` if the operation cannot be run by itself."""
        function = getattr(tf.raw_ops, self.name, None)
        if function is None:
            return None
        attributes = {name: self.attribute(name) for name in self.attributes}
        names = list(inspect.signature(function).parameters)
        # The function may have other names for the arguments than the operation, in the same order.
        places = [name for name in names if name not in attributes and name != "name"]
        waiting, given = list(tensors), {}
        for name, argument in zip(places, self.operation.op_def.input_arg, strict=False):
            if argument.number_attr or argument.type_list_attr:
                count = attributes[argument.number_attr or argument.type_list_attr]
                count = count if isinstance(count, int) else len(count)
                given[name], waiting = waiting[:count], waiting[count:]
            else:
                given[name] = waiting.pop(0)
        if waiting:
            return None
        given.update((name, value) for name, value in attributes.items() if name in names)
        made = function(**given)
        return list(made) if isinstance(made, (list, tuple)) else [made]


@dataclass(eq=False)
class Program(program.Program):
    """A function as a flat list of steps, with places for its arguments and results.

    Attributes:
        captured: places of tensors from outside of the function.
        written: names of the variables that the function may write.
        doubts: what the steps may do that they do not show.
    """

    captured: list[Slot] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)


def flat(concrete: Any, variables: Mapping[Any, Variable]) -> Program:
    """Return a concrete function as one flat list of steps.

    Args:
        concrete: what ``get_concrete_function`` returns.
        variables: by the ``ref()`` of their handle.
    """
    found = _flat(concrete, variables, set())
    # Numbers of a variable that the function writes are not those of the next call: wherever it is read, again.
    return _flat(concrete, variables, found.written) if found.written else found


def _flat(concrete: Any, variables: Mapping[Any, Variable], written: set[str]) -> Program:
    graph = concrete.graph
    captures = list(zip(concrete.captured_inputs, graph.internal_captures, strict=True))
    inner = {placeholder.ref() for _, placeholder in captures}
    slots = {}
    arguments = []
    for tensor in graph.inputs:
        if tensor.ref() not in inner:
            slots[tensor.ref()] = _slot(tensor)
            arguments.append(slots[tensor.ref()])
    program = Program(arguments, written=written)
    for outside, placeholder in captures:
        slot = slots[placeholder.ref()] = _slot(placeholder)
        if outside.dtype == tf.resource:
            slot.resource = variables.get(outside.ref())
        else:
            slot.number = outside
            program.captured.append(slot)
    program.outputs = _inline(program, graph, slots, "")
    return program


def _slot(tensor: Any) -> Slot:
    shape = tensor.shape
    sizes = () if shape.rank is None else tuple(-1 if size is None else int(size) for size in shape)
    return Slot(sizes if shape.rank is not None else (-1,), tensor.dtype.name)


def _inline(program: Program, graph: Any, slots: dict[Any, Slot], module: str) -> list[Slot]:
    for operation in graph.get_operations():
        if operation.type == "Placeholder":
            continue
        inputs = tuple(slots[tensor.ref()] for tensor in operation.inputs)
        where = _joined(module, operation.name)
        results = _called(program, graph, operation, inputs, where)
        if results is None:
            results = _step(program, operation, inputs, where)
        slots.update(zip((tensor.ref() for tensor in operation.outputs), results, strict=True))
    return [slots[tensor.ref()] for tensor in graph.outputs]


def _called(program: Program, graph: Any, operation: Any, inputs: tuple[Slot, ...], module: str) -> list[Slot] | None:
    """Inline what an operation calls; ``None`` if it calls nothing, or what cannot be told."""
    called = (name for name in ("f", "cond", "body", "then_branch", "else_branch") if name in operation.node_def.attr)
    if any(_function_of(graph, operation.get_attr(name).name) is None for name in called):
        return None
    if operation.type in _CALLS:
        return _body(program, graph, operation.get_attr("f"), inputs, module)
    if operation.type in _BRANCHES and inputs[0].number is not None:
        branch = "then_branch" if bool(np.all(inputs[0].number)) else "else_branch"
        return _body(program, graph, operation.get_attr(branch), inputs[1:], module)
    if operation.type in _LOOPS:
        return _unrolled(program, graph, operation, inputs, module)
    return None


def _unrolled(program: Program, graph: Any, operation: Any, state: Sequence[Slot], module: str) -> list[Slot] | None:
    before = len(program.steps)
    for _ in range(LONGEST_LOOP + 1):
        (goes_on,) = _body(program, graph, operation.get_attr("cond"), state, module)
        if goes_on.number is None:
            break
        if not bool(np.all(goes_on.number)):
            return list(state)
        state = _body(program, graph, operation.get_attr("body"), state, module)
    del program.steps[before:]
    return None


def _body(program: Program, graph: Any, function: Any, inputs: Sequence[Slot], module: str) -> list[Slot]:
    called = _function_of(graph, function.name)
    slots = {tensor.ref(): slot for tensor, slot in zip(called.inputs, inputs, strict=True)}
    return _inline(program, called, slots, module)


def _function_of(graph: Any, name: str) -> Any:
    """Return the graph of a function that another graph calls; ``None`` if it is not known."""
    while graph is not None:
        for function in getattr(graph, "_functions", {}).values():
            if _text(function.name) == name and getattr(function, "graph", None) is not None:
                return function.graph
        graph = getattr(graph, "outer_graph", None)
    return None


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _step(program: Program, operation: Any, inputs: tuple[Slot, ...], module: str) -> list[Slot]:
    outputs = [_slot(tensor) for tensor in operation.outputs]
    if operation.type in _HOST:
        doubt = f"{operation.type} in {module!r} runs Python code, which may write to variables"
        program.doubts.extend([] if doubt in program.doubts else [doubt])
    step = Step(operation, inputs, tuple(outputs), module)
    numbers = _numbers(program, step)
    for slot, number in zip(outputs, numbers or [], strict=False):
        slot.number = number
        slot.shape = tuple(number.shape)
    if operation.type in ("Identity", "IdentityN"):
        for slot, source in zip(outputs, inputs, strict=True):
            slot.resource = source.resource
    program.steps.append(step)
    return outputs


def _numbers(program: Program, step: Step) -> list[Any] | None:
    if step.name not in _READERS:
        program.written.update(slot.resource.name for slot in step.inputs if slot.resource is not None)
    if step.name == "ReadVariableOp":
        variable = step.inputs[0].resource
        if variable is None or variable.changes or variable.name in program.written:
            return None
        return [variable.tensor()]
    if step.name in ("Shape", "Size", "Rank", "ZerosLike", "OnesLike") and -1 not in step.inputs[0].shape:
        return step.evaluate([tf.zeros(step.inputs[0].shape, step.inputs[0].dtype)])
    if step.changes or not step.outputs or any(slot.number is None for slot in step.inputs):
        return None
    if step.name == "Const":
        return [tf.constant(tf.get_static_value(step.operation.outputs[0]), step.outputs[0].dtype)]
    if any(slot.dtype in ("resource", "variant", "string") for slot in step.outputs):
        return None
    return step.evaluate([slot.number for slot in step.inputs])


def _joined(module: str, name: str) -> str:
    """Return the path of the scope of an operation."""
    scope = name.rpartition("/")[0].replace("/", ".")
    if scope.startswith(module):  # as in the bodies of loops
        return scope
    return ".".join(filter(None, (module, scope)))
