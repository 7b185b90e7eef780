"""From a function of TensorFlow to a graph, and back to the numbers at places of the graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convex_init.tensorflow.trace.known_functions import RULES, recognised
from convex_init.tensorflow.trace.lowering import Lowering, bounds
from convex_init.tensorflow.trace.program import Program, Variable, flat
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.programs.program import Slot
from convex_init_core.graph.runs import distinct, place_in
from convex_init_core.reach import holds

# What is told of an array on the way, and may return another in its place.
Visit = Callable[[Place, NDArray[Any]], "NDArray[Any] | None"]


@dataclass(frozen=True, eq=False)
class Trace:
    """A function as a graph, with the steps that compute it.

    Attributes:
        graph: what it computes.
        program: its steps.
        nodes: by place of the tensor in the program.
        variables: nodes of the variables, by name.
        arguments: names and tensors of the arguments, in the order of the program's inputs.
        concrete: the function on tensors in this order, as TensorFlow runs it.
    """

    graph: Graph
    program: Program
    nodes: Mapping[Slot, Node]
    variables: Mapping[str, Node]
    arguments: Sequence[tuple[str, Any]]
    concrete: Callable[..., Sequence[Any]]


def trace(
    fn: Callable[..., Any],
    variables: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    buffers: Collection[str] = (),
) -> Graph:
    """Return the graph of ``fn(*args, **kwargs)``.

    Floating-point tensors and arrays among the arguments are the inputs of the graph, named ``"0"``, ``"1.key"`` or by
    keyword. Others there are constants without numbers; what is no tensor is part of the code.

    Args:
        fn: a function that TensorFlow can trace.
        variables: of TensorFlow, by name; others that are met are buffers.
        args: arguments: tensors, arrays or ``tf.TensorSpec``, in lists, tuples and dicts.
        kwargs: keyword arguments.
        buffers: names of variables that are not learnt, such as running statistics.
    """
    return traced(fn, variables, args, kwargs, buffers=buffers).graph


def traced(
    fn: Callable[..., Any],
    variables: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    buffers: Collection[str] = (),
    changing: Collection[str] = (),
) -> Trace:
    """Return the graph of a function with its steps, for :func:`run`; see :func:`trace`.

    Variables that are named in ``changing`` hold other numbers at every call, and are context like another input.
    """
    arguments = [(name, value) for name, value in _leaves((tuple(args), dict(kwargs or {})), ()) if _is_tensor(value)]
    named = [(_shown(path), value) for path, value in arguments]
    shown: list[str] = []
    doubts: list[str] = []

    def on_tensors(*tensors: Any) -> list[Any]:
        given = dict(zip((path for path, _ in arguments), tensors, strict=True))
        own, keywords = _rebuilt((tuple(args), dict(kwargs or {})), (), given)
        leaves = [(reduce(place_in, path, "output"), leaf) for path, leaf in _leaves(fn(*own, **keywords), ())]
        found = [(name, leaf) for name, leaf in leaves if _is_result(leaf)]
        shown[:] = distinct(name for name, _ in found)
        doubts[:] = [_doubt(name, leaf) for name, leaf in leaves if not _is_result(leaf) and holds(leaf, _is_tensor)]
        return [tf.convert_to_tensor(leaf) for _, leaf in found]

    specs = [tf.TensorSpec(value.shape, value.dtype, f"argument_{i}") for i, (_, value) in enumerate(named)]
    concrete = tf.function(on_tensors).get_concrete_function(*specs)
    known = {
        part.handle.ref(): _variable(name, part, name not in buffers, name in changing)
        for name, value in variables.items()
        for part in getattr(value, "values", (value,))  # a mirrored variable has one on each device
    }
    for other in concrete.graph.variables:
        known.setdefault(other.handle.ref(), _variable(other.name, other, learnt=False))
    program = flat(concrete, known)
    lowering = Lowering(Builder(bounds, recognised), RULES)
    for (name, _), slot in zip(named, program.inputs, strict=True):
        lowering.nodes[slot] = _argument(lowering.builder, name, slot)
    lowering.lower(program)
    for name, slot in zip(shown, program.outputs, strict=True):
        lowering.builder.graph.outputs[name] = lowering.nodes[slot]
    lowering.builder.graph.doubts += [*doubts, *program.doubts]
    lowering.builder.graph.extremes_drop_nan = True  # max_pool and top_k do, and reduce_max where XLA compiles it
    return Trace(lowering.builder.finished(), program, lowering.nodes, lowering.variables, named, concrete)


def parts_of(result: Any) -> list[Any]:
    """Return the tensors in what a function returned, in the order of the outputs of its graph."""
    return [tf.convert_to_tensor(leaf) for _, leaf in _leaves(result, ()) if _is_result(leaf)]


def run(made: Trace, places: Iterable[Place], visit: Visit, *, arrays: Mapping[str, Any] | None = None) -> list[Any]:
    """Compute a traced function step by step, and hand out the arrays at some places on the way.

    Args:
        made: the function, traced with tensors, not with ``tf.TensorSpec`` unless ``arrays`` has them all.
        places: of nodes of its graph.
        visit: called with a place and the array there, in the order of the steps; returns another array to go on
            with, or ``None``.
        arrays: other inputs, by name.

    Returns:
        the outputs, as tensors.

    Raises:
        ValueError: if a place is not among those that are computed, or a step cannot be run by itself.
    """
    return follow(made, places, lambda place, tensor: visit(place, np.asarray(tensor)), arrays=arrays)


def follow(
    made: Trace,
    places: Iterable[Place],
    visit: Callable[[Place, Any], Any],
    *,
    arrays: Mapping[str, Any] | None = None,
    afresh: bool = False,
) -> list[Any]:
    """Do what :func:`run` does with tensors, so that a tape can record it.

    Args:
        made: see :func:`run`.
        places: see :func:`run`.
        visit: see :func:`run`; gets and returns tensors.
        arrays: see :func:`run`.
        afresh: whether variables are read again, whenever a step does, and not as they were at the trace.

    Returns:
        the outputs.

    Raises:
        ValueError: if a place is not among those that are computed, or a step cannot be run by itself.
    """
    wanted = set(places)
    at = {slot: node.place for slot, node in made.nodes.items() if node.place in wanted}
    if lost := wanted - set(at.values()):
        raise ValueError(f"nothing is computed at {min(map(str, lost))!r}")
    met: set[Place] = set()
    values: dict[Slot, Any] = {}
    replaced: dict[Place, Any] = {}  # by visits, for variables that are read again
    moving: set[Slot] = set()  # not the constants that were computed when the function was traced

    def write(slot: Slot, tensor: Any) -> None:
        place = at.get(slot)
        if place is not None and place not in met:
            met.add(place)
            changed = visit(place, tensor)
            if changed is not None:
                replaced[place] = tf.reshape(tf.convert_to_tensor(changed, dtype=slot.dtype), slot.shape)
        if place in replaced and (slot.resource is None):
            tensor = replaced[place]
            moving.add(slot)
        values[slot] = tensor

    def read(slot: Slot) -> Any:
        return values.get(slot, slot.number)

    for (name, given), slot in zip(made.arguments, made.program.inputs, strict=True):
        moving.add(slot)
        write(slot, tf.convert_to_tensor((arrays or {}).get(name, given), dtype=slot.dtype))
    for step in made.program.steps:
        if not step.outputs:
            continue
        results: Sequence[Any] | None
        if afresh and step.name == "ReadVariableOp" and step.inputs[0].resource is not None:
            moving.update(step.outputs)
            results = [step.inputs[0].resource.tensor()]
        elif any(slot in moving for slot in step.inputs) or any(slot.number is None for slot in step.outputs):
            moving.update(step.outputs)
            results = step.evaluate(list(map(read, step.inputs)))
            if results is None:
                raise ValueError(f"{step.name} in {step.module!r} cannot be run by itself")
        else:
            results = [slot.number for slot in step.outputs]
        for slot, tensor in zip(step.outputs, results, strict=True):
            write(slot, tensor)
    return list(map(read, made.program.outputs))


def _variable(name: str, variable: Any, learnt: bool, changes: bool = False) -> Variable:
    return Variable(name, variable.read_value, learnt, changes)


def _argument(builder: Builder, name: str, slot: Slot) -> Node:
    op = "input" if slot.dtype.startswith(("float", "bfloat")) else "buffer"
    node = builder.leaf(op, slot.shape, slot.dtype, Place(op, name), name=name)
    if op == "input":
        builder.graph.inputs[name] = node
    else:
        node.constant = Constant()
    return node


_Path = tuple[Any, ...]


def _leaves(tree: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """Iterate over what lists, tuples and dicts hold, with the path to it."""
    if isinstance(tree, Mapping):
        for key, part in tree.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(tree, (list, tuple)):
        for index, part in enumerate(tree):
            yield from _leaves(part, (*path, index))
    else:
        yield path, tree


def _rebuilt(tree: Any, path: _Path, given: Mapping[_Path, Any]) -> Any:
    if isinstance(tree, Mapping):
        return {key: _rebuilt(part, (*path, key), given) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        parts = [_rebuilt(part, (*path, index), given) for index, part in enumerate(tree)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return given.get(path, tree)


def _shown(path: _Path) -> str:
    return ".".join(map(str, path[1:]))  # without the place of args or kwargs


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (tf.Tensor, tf.TensorSpec, np.ndarray, np.generic))


def _doubt(name: str, leaf: Any) -> str:
    return (
        f"{name} is a {type(leaf).__name__} that holds tensors, into which the trace does not look; return them in a "
        "dict, a list or a tuple"
    )


def _is_result(value: Any) -> bool:
    return isinstance(value, (tf.Tensor, tf.Variable, np.ndarray, np.generic, int, float))
