"""Rules that are the same for every framework, whatever it calls the operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from convex_init_core.graph.nodes import Kind, Node
from convex_init_core.graph.programs.lowering import Call

AnyRule = Callable[[Call[Any]], "Node | Sequence[Node]"]


def refused(why: str, *, non_negative: bool = False) -> AnyRule:
    """Return the rule of an operation of which nothing is known, whatever its parameters."""

    def rule(call: Call[Any]) -> Sequence[Node]:
        call.unread.clear()
        return call.opaque(why, non_negative=non_negative)

    return rule


def compared(relation: str, *ignored: str) -> AnyRule:
    """Return the rule of a comparison."""

    def rule(call: Call[Any]) -> Node:
        call.unread -= {*ignored}
        return call.make("compare", *call.inputs, relation=relation)

    return rule


def combined(op: str, *ignored: str) -> AnyRule:
    """Return the rule of what combines elements of its first argument in a way that these parameters tell.

    Where a window reaches beyond the array it meets what changes nothing: 0 in sums, an infinity in extremes.
    """

    def rule(call: Call[Any]) -> Node:
        call.unread -= {*ignored}
        return call.make(op, call.inputs[0])

    return rule


def is_finite(call: Call[Any]) -> Node:
    """Whether a number is below infinity."""
    (data,) = call.inputs
    infinite = call.builder.literal(math.inf, (), data.dtype)
    return call.make("compare", call.make("abs", data, dtype=data.dtype), infinite, relation="<")


def complement_of_erf(call: Call[Any]) -> Node:
    """1 − erf."""
    return call.make("subtract", call.number(1.0), call.make("erf", *call.inputs))


def converted(call: Call[Any]) -> Node | Sequence[Node]:
    """Another type for the same numbers."""
    (data,) = call.inputs
    if data.dtype == call.dtype:
        return data
    if data.kind is Kind.COMPLEX or call.dtype.startswith("complex"):
        return call.opaque("converts complex numbers")
    if data.kind is Kind.FLOATING and not call.dtype.startswith(("float", "bfloat")) and not data.is_fixed:
        return call.opaque("cuts numbers off to integers")
    return call.make("cast", data)


def prefixes(call: Call[Any], op: str, axis: int, backwards: bool) -> Node:
    """Return what combines all elements up to each, along an axis."""
    data = call.inputs[0]
    made = call.make(op, call.make("rearrange", data) if backwards else data, axis=axis)
    return call.make("rearrange", made) if backwards else made


def sliced(
    call: Call[Any], data: Node, starts: Any, stops: Any, steps: Any, shape: Sequence[int] | None = None, index: int = 0
) -> Node:
    """Return a part of an array, by its places along every axis."""
    starts, stops, steps = (tuple(map(int, part)) for part in (starts, stops, steps))
    return call.make("slice", data, index=index, shape=shape, starts=starts, stops=stops, steps=steps)


def parts(call: Call[Any], data: Node, axis: int, sizes: Sequence[int]) -> list[Node]:
    """Return the results of an operation that cuts an array along an axis, one after the other."""
    found, start = [], 0
    for index, size in enumerate(map(int, sizes)):
        starts, stops, shape = [0] * len(data.shape), list(data.shape), list(data.shape)
        starts[axis], stops[axis], shape[axis] = start, start + size, size
        found.append(sliced(call, data, starts, stops, [1] * len(starts), shape, index))
        start += size
    return found


def unstacked(call: Call[Any], axis: int) -> list[Node]:
    """Return the results of an operation that takes an array apart along an axis, which they do not have."""
    (data,) = call.inputs
    rows = parts(call, data, axis, [1] * data.shape[axis])
    return [call.make("reshape", row, index=index) for index, row in enumerate(rows)]
