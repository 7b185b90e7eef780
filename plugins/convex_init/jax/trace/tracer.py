"""From a function of JAX to a graph, and back to the numbers at places of the graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from convex_init.jax.concretizations import concretizations
from convex_init.jax.trace.arguments import Arguments, Leaf, doubt_of, key_of, on_example_inputs, read_arguments
from convex_init.jax.trace.known_functions import RULES, recognised
from convex_init.jax.trace.lowering import Lowering, bounds
from convex_init.jax.trace.program import flat
from convex_init_core.convexity.inputs.names import other_names
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Constant, Graph, Node, Place
from convex_init_core.graph.programs.program import Program, Slot
from convex_init_core.graph.runs import distinct, place_in

# What is told of an array on the way, and may return another in its place.
Visit = Callable[[Place, NDArray[Any]], "NDArray[Any] | None"]


@dataclass(frozen=True, eq=False)
class Trace:
    """A function as a graph, with the steps that compute it.

    Attributes:
        graph: what it computes.
        program: its steps.
        nodes: by place of the array in the program.
        leaves: the arrays among the arguments, in the order of the program's inputs.
        rebuilt: from the program's outputs to what the function returns.
    """

    graph: Graph
    program: Program
    nodes: Mapping[Slot, Node]
    leaves: Sequence[Leaf]
    rebuilt: Callable[[Sequence[Any]], Any]


def trace(
    fn: Callable[..., Any],
    params: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    names: Sequence[str] | None = None,
    buffers: Collection[str] = (),
) -> Graph:
    """Return the graph of ``fn(params, *args, **kwargs)``.

    Floating-point arrays among the arguments are the inputs of the graph, named ``"0"``, ``"1.key"`` or by keyword.
    Other arrays there are constants without numbers; what is no array is part of the code. Arrays in ``params`` may
    be given as ``jax.ShapeDtypeStruct``: then they have no numbers either.

    Args:
        fn: a function that JAX can trace.
        params: a tree of arrays.
        args: arguments after it.
        kwargs: keyword arguments.
        names: of the arrays in ``params``, in the order of ``jax.tree_util.tree_leaves``; their paths if not given.
        buffers: names of arrays in ``params`` that are not learnt, such as running statistics.

    Raises:
        ValueError: if names do not fit the arrays.
    """
    return traced(fn, params, args, kwargs, names=names, buffers=buffers).graph


def traced(
    fn: Callable[..., Any],
    params: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    names: Sequence[str] | None = None,
    buffers: Collection[str] = (),
    changing: Collection[str] = (),
) -> Trace:
    """Return the graph of a function with its steps, for :func:`run`; see :func:`trace`.

    Parameters that are named in ``changing`` hold other numbers at every call, and are context like another input.
    """
    arguments = read_arguments(params, args, kwargs or {}, names)
    leaves = arguments.leaves
    results = Results()
    with on_example_inputs(leaves), concretizations() as asked:
        closed = jax.make_jaxpr(_on_arrays(fn, arguments, results))(*(leaf.array for leaf in leaves))
    program = flat(closed, [None if leaf.name in changing else leaf.number for leaf in leaves])
    lowering = Lowering(Builder(bounds, recognised), RULES)
    graph = lowering.builder.graph
    for leaf, slot in zip(leaves, program.inputs, strict=True):
        lowering.nodes[slot] = _leaf(lowering.builder, leaf, slot, buffers, changing)
    lowering.lower(program)
    graph.other_names = other_names(fn, len(args), kwargs or {}, leading=1)
    for name, slot in zip(results.names, program.outputs, strict=True):
        graph.outputs[name] = lowering.node(slot)
    graph.doubts += [*arguments.doubts, *results.doubts, *asked]
    return Trace(lowering.builder.finished(), program, lowering.nodes, leaves, results.rebuilt)


def run(made: Trace, places: Iterable[Place], visit: Visit, *, arrays: Mapping[str, Any] | None = None) -> list[Any]:
    """Compute a traced function step by step, and hand out the arrays at some places on the way.

    Args:
        made: the function, traced with arrays, not with shapes alone.
        places: of nodes of its graph.
        visit: called with a place and the array there, in the order of the steps; returns another array to go on
            with, or ``None``.
        arrays: other inputs, by name.

    Returns:
        the outputs, as arrays of JAX.

    Raises:
        ValueError: if a place is not among those that are computed.
    """
    return follow(made, places, lambda place, array: visit(place, np.asarray(array)), arrays=arrays)


def follow(
    made: Trace,
    places: Iterable[Place],
    visit: Callable[[Place, Any], Any],
    *,
    arrays: Mapping[str, Any] | None = None,
    learnt: Callable[[str], Any] | None = None,
) -> list[Any]:
    """Do what :func:`run` does with arrays of JAX, so that it can be differentiated.

    Args:
        made: see :func:`run`.
        places: see :func:`run`.
        visit: see :func:`run`; gets and returns arrays of JAX.
        arrays: see :func:`run`.
        learnt: reads the present numbers of a parameter by name, whenever a step takes it; those of the trace if not
            given.

    Returns:
        the outputs.

    Raises:
        ValueError: if a place is not among those that are computed.
    """
    wanted = set(places)
    at = {slot: node.place for slot, node in made.nodes.items() if node.place in wanted}
    if lost := wanted - set(at.values()):
        raise ValueError(f"nothing is computed at {min(map(str, lost))!r}")
    met: set[Place] = set()
    values: dict[Slot, Any] = {}
    present: dict[Slot, str] = {}
    moving: set[Slot] = set()  # not the constants that were computed when the function was traced

    def write(slot: Slot, array: Any) -> None:
        values[slot] = array
        place = at.get(slot)
        if place is None or place in met:
            return
        met.add(place)
        changed = visit(place, array)
        if changed is not None:
            values[slot] = jax.numpy.asarray(changed, dtype=slot.dtype).reshape(slot.shape)
            moving.add(slot)

    def read(slot: Slot) -> Any:
        if learnt is not None and slot in present:
            return learnt(present[slot])
        return values.get(slot, slot.number)

    for leaf, slot in zip(made.leaves, made.program.inputs, strict=True):
        if not leaf.learnt or learnt is not None:
            moving.add(slot)
        if leaf.learnt:
            present[slot] = leaf.name
        write(slot, leaf.array if leaf.learnt else (arrays or {}).get(leaf.name, leaf.array))
    for step in made.program.steps:
        if any(slot in moving for slot in step.inputs) or any(slot.number is None for slot in step.outputs):
            moving.update(step.outputs)
            results = step.evaluate(list(map(read, step.inputs)))
        else:
            results = [slot.number for slot in step.outputs]
        for slot, array in zip(step.outputs, results, strict=True):
            write(slot, array)
    return list(map(read, made.program.outputs))


@dataclass(eq=False)
class Results:
    """What a function returned when it was traced: the structure, the names of the arrays, and what is no array."""

    structure: Any = None
    names: list[str] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def arrays_of(self, result: Any) -> list[Any]:
        """Take a result apart."""
        found, self.structure = jax.tree_util.tree_flatten_with_path(result)
        are_arrays = [hasattr(leaf, "dtype") or isinstance(leaf, (int, float)) for _, leaf in found]
        pairs = list(zip(found, are_arrays, strict=True))
        names = [reduce(place_in, map(key_of, path), "output") for path, _ in found]
        self.names = distinct(name for name, is_array in zip(names, are_arrays, strict=True) if is_array)
        parts = zip(names, (leaf for _, leaf in found), strict=True)
        self.doubts = [doubt for name, leaf in parts if (doubt := doubt_of(name, leaf))]
        self.others = [_ARRAY if is_array else leaf for (_, leaf), is_array in pairs]
        return [leaf for (_, leaf), is_array in pairs if is_array]

    def rebuilt(self, arrays: Sequence[Any]) -> Any:
        """Put a result together."""
        own = iter(arrays)
        leaves = [next(own) if leaf is _ARRAY else leaf for leaf in self.others]
        return jax.tree_util.tree_unflatten(self.structure, leaves)


_ARRAY = object()


def _on_arrays(fn: Callable[..., Any], arguments: Arguments, results: Results) -> Callable[..., list[Any]]:
    def on_arrays(*arrays: Any) -> list[Any]:
        params, args, kwargs = arguments.rebuilt(arrays)
        return results.arrays_of(fn(params, *args, **kwargs))

    return on_arrays


def _leaf(builder: Builder, leaf: Leaf, slot: Slot, buffers: Collection[str], changing: Collection[str]) -> Node:
    if leaf.learnt and leaf.name in changing:
        return builder.leaf("input", slot.shape, slot.dtype, Place("input", leaf.name), name=leaf.name)
    if not leaf.learnt and leaf.is_floating:
        node = builder.leaf("input", slot.shape, slot.dtype, Place("input", leaf.name), name=leaf.name)
        builder.graph.inputs[leaf.name] = node
        return node
    learnt = leaf.learnt and leaf.is_floating and leaf.name not in buffers
    op = "parameter" if learnt else "buffer"
    node = builder.leaf(op, slot.shape, slot.dtype, Place(op, leaf.name), name=leaf.name)
    node.constant = Constant(leaf.number, bounds(leaf.number), (leaf.name,) if learnt else ())
    return node
