"""Rules for primitives that combine elements of one array: reductions, windows, prefixes and orders."""

from __future__ import annotations

import math
from collections.abc import Sequence

from convex_init.jax.trace.lowering import Call, Rule
from convex_init_core.graph.nodes import Kind, Node
from convex_init_core.graph.programs.rules import combined, prefixes, refused


def _reduced(op: str) -> Rule:
    def rule(call: Call) -> Node | Sequence[Node]:
        axes = tuple(map(int, call.read("axes")))
        if call.inputs[0].kind is not Kind.FLOATING:
            return call.opaque("works on integers")
        return call.make(op, *call.inputs, axes=axes, keepdims=False)

    return rule


_WINDOW = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")


def _summed_windows(call: Call) -> Node:
    """A sum is the average over the window, with zeros where it reaches beyond the array, times its size."""
    size = math.prod(call.read("window_dimensions"))
    average = combined("average", *_WINDOW)(call)
    assert isinstance(average, Node)
    return average if size == 1 else call.make("multiply", average, call.number(float(size)))


def _prefixes(op: str) -> Rule:
    def rule(call: Call) -> Node | Sequence[Node]:
        axis, backwards = int(call.read("axis")), call.read("reverse")
        return prefixes(call, op, axis, backwards) if call.is_floating else call.opaque("works on integers")

    return rule


def _extreme_prefixes(op: str) -> Rule:
    rule = combined(op, "axis", "reverse")
    return lambda call: rule(call) if call.is_floating else refused("works on integers")(call)


def _sort(call: Call) -> Sequence[Node]:
    axis = int(call.read("dimension"))
    call.read("num_keys")  # the first array is sorted by itself, whatever follows
    first = call.make("sort", call.inputs[0], axis=axis, descending=False)
    others = range(1, len(call.step.outputs))
    why = "is put into the order of another array"
    return [first, *(call.make("opaque", *call.inputs, index=i, why=why, non_negative=False) for i in others)]


def _top_k(call: Call) -> Sequence[Node]:
    axis = call.read("axis")
    (data,) = call.inputs
    axis = len(data.shape) - 1 if axis is None else int(axis) % len(data.shape)
    values = call.make("largest", data, k=int(call.read("k")), axis=axis, sorted=True, smallest=False)
    return [values, call.make("opaque", data, index=1, why="returns places", non_negative=True)]


RULES: dict[str, Rule] = {
    "reduce_sum": _reduced("sum"),
    "reduce_max": _reduced("max"),
    "reduce_min": _reduced("min"),
    "reduce_window_sum": _summed_windows,
    "reduce_window_max": combined("window_max", *_WINDOW),
    "reduce_window_min": combined("window_min", *_WINDOW),
    "cumsum": _prefixes("cumulative_sum"),
    "cumlogsumexp": _prefixes("cumulative_log_sum_exp"),
    "cummax": _extreme_prefixes("window_max"),
    "cummin": _extreme_prefixes("window_min"),
    "sort": _sort,
    "top_k": _top_k,
    **dict.fromkeys(("argmax", "argmin"), refused("returns places", non_negative=True)),
}
"""By name of the primitive."""
