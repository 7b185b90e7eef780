"""The functions of a framework's library as patterns: tables of them, and what their operations' parameters are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from convex_init_core.graph.builder import Builder
from convex_init_core.graph.compounds.patterns import Family, Found, Pattern, Patterns, number_in
from convex_init_core.graph.nodes import Graph, Node, Place
from convex_init_core.graph.programs.lowering import Lowering
from convex_init_core.graph.programs.program import Program

ElementWise = tuple[str, Callable[..., Any], Callable[[float], Mapping[str, Any]]]
"""Operation, function, and from the number that is marked in it to the operation's parameters."""

AlongAxes = tuple[str, Callable[..., Any], Callable[[tuple[int, ...]], "Mapping[str, Any] | None"]]
"""Operation, function of an array and ``axis``, and from the axes to the operation's parameters."""

GraphOf = Callable[[Callable[..., Any], "list[tuple[tuple[int, ...], str]]", Patterns], Graph]
"""Traces a function of arrays of some shapes and dtypes, with the functions that are known already."""


def library(element_wise: Sequence[ElementWise], along_axes: Sequence[AlongAxes], dtype: str, of: GraphOf) -> Patterns:
    """Return the patterns of functions, in the order in which they are looked for.

    A function comes after those that it is computed with.
    """
    known, simple = Patterns(), Patterns()
    for op, function, params in element_wise:
        count = 2 if op == "log_add_exp" else 1
        simple.add(found := Pattern(op, of(function, [((3,), dtype)] * count, simple), params))
        known.add(found)

    def family(function: Callable[..., Any]) -> Callable[..., Graph]:
        return lambda shape, dtype, axes: of(lambda x: function(x, axis=axes), [(shape, dtype)], simple)

    known.add(*(Family(op, family(function), params, dtype) for op, function, params in along_axes))
    return known


def graph_of_function(program: Program, lowering: Lowering[Any]) -> Graph:
    """Return the graph of a function of arrays alone, for a pattern."""
    builder: Builder = lowering.builder
    for index, slot in enumerate(program.inputs):
        name = str(index)
        node = builder.leaf("input", slot.shape, slot.dtype, Place("input", name), name=name)
        lowering.nodes[slot] = builder.graph.inputs[name] = node
    lowering.lower(program)
    builder.graph.outputs["output"] = lowering.node(program.outputs[0])
    return builder.finished()


def none(number: float) -> Mapping[str, Any]:
    """Of an operation without parameters."""
    del number
    return {}


def of_elu(alpha: float) -> Mapping[str, Any]:
    """Of α(eˣ − 1) below 0."""
    return {"alpha": alpha, "scale": 1.0, "input_scale": 1.0}


def of_celu(alpha: float) -> Mapping[str, Any]:
    """Of α(e^(x/α) − 1) below 0."""
    return {"alpha": alpha, "scale": 1.0, "input_scale": 1.0 / alpha if alpha else float("inf")}


def of_sums(keepdims: bool, **others: Any) -> Callable[[tuple[int, ...]], Mapping[str, Any]]:
    """Of an operation along several axes."""
    return lambda axes: {**others, "axes": axes, "keepdims": keepdims}


def of_one_axis(axes: tuple[int, ...]) -> Mapping[str, Any] | None:
    """Of an operation along one axis."""
    return {"axis": axes[0]} if len(axes) == 1 else None


def averaged(total: Node, count: Node) -> Found | None:
    """Return the mean, or the average over windows, that a sum of so many numbers becomes when it is divided."""
    inner, number = total.inputs[0] if total.name == "reshape" else total, number_in(count)
    if number is None or total.is_fixed or count.parameters:
        return None
    if inner.name == "multiply":  # as sums over windows are
        average, factor = inner.inputs
        return Found("average", {}, average.inputs) if average.name == "average" and factor.number == number else None
    if inner.name != "sum" or number != inner.inputs[0].size / max(inner.size, 1):
        return None
    axes, before = inner.params["axes"], inner.inputs[0].shape
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(before))
    if total.shape != (kept if total is not inner or inner.params["keepdims"] else inner.shape):
        return None
    keepdims = total is not inner or inner.params["keepdims"]
    return Found("mean", {"axes": axes, "keepdims": keepdims}, inner.inputs)
