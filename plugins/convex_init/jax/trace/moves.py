"""Rules for primitives that move elements, or put arrays side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convex_init.jax.trace.lowering import Call, Rule
from convex_init_core.graph.compounds.patterns import number_in
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.programs.rules import combined, parts, sliced, unstacked


def _broadcast(call: Call) -> Node | Sequence[Node]:
    shape, kept = call.read("shape"), call.read("broadcast_dimensions")
    data = call.inputs[0]
    if len(call.inputs) > 1:
        return call.opaque("has a shape that depends on numbers")
    sizes = dict(zip(map(int, kept), data.shape, strict=True))
    spread = tuple(sizes.get(axis, 1) for axis in range(len(shape)))
    if spread != data.shape:
        data = call.make("reshape", data, shape=spread)
    return data if spread == tuple(shape) else call.make("broadcast", data)


def _reshape(call: Call) -> Node | Sequence[Node]:
    call.read("new_sizes")
    if call.read("dimensions") is not None or len(call.inputs) > 1:
        return call.opaque("reshapes in another order")
    return call.make("reshape", *call.inputs)


def _transpose(call: Call) -> Node:
    return call.make("transpose", *call.inputs, axes=tuple(map(int, call.read("permutation"))))


def _slice(call: Call) -> Node:
    starts, stops = call.read("start_indices"), call.read("limit_indices")
    steps = call.read("strides") or (1,) * len(starts)
    return sliced(call, call.inputs[0], starts, stops, steps)


def _dynamic_slice(call: Call) -> Node:
    sizes = call.read("slice_sizes")
    data, *indices = call.inputs
    numbers = [number_in(index) for index in indices]
    if any(number is None for number in numbers):
        return call.make("gather", data, *indices, axis=None)
    # As JAX does: a slice that would reach beyond the array is moved back into it.
    starts = [min(max(int(n or 0), 0), full - size) for n, full, size in zip(numbers, data.shape, sizes, strict=True)]
    stops = [start + size for start, size in zip(starts, sizes, strict=True)]
    return sliced(call, data, starts, stops, (1,) * len(starts))


def _dynamic_update_slice(call: Call) -> Node | Sequence[Node]:
    data, part, *indices = call.inputs
    if not all(index.is_fixed for index in indices):
        return call.opaque("writes to a place that depends on the input")
    return call.make("join", data, part)


def _gather(call: Call) -> Node | Sequence[Node]:
    call.unread -= {"mode"}
    numbers, sizes = call.read("dimension_numbers"), tuple(map(int, call.read("slice_sizes")))
    axis, fills = _gathered_axis(call, numbers, sizes), call.read("fill_value") is not None
    if fills and not (axis is not None and _lies_within(call.inputs[1], call.inputs[0].shape[axis])):
        return call.opaque("fills in a number for what lies outside")
    return call.make("gather", *call.inputs, axis=axis)


def _lies_within(places: Node, size: int) -> bool:
    return places.bounds is not None and places.bounds[0] >= 0 and places.bounds[1] < size


def _gathered_axis(call: Call, numbers: Any, sizes: tuple[int, ...]) -> int | None:
    """The axis of ``x[:, places]``, which the result has at the same place; ``None`` for anything else."""
    data, indices = call.inputs
    if len(numbers.start_index_map) != 1 or numbers.start_index_map != numbers.collapsed_slice_dims:
        return None
    axis = int(numbers.start_index_map[0])
    is_whole = all(
        size == full for place, (size, full) in enumerate(zip(sizes, data.shape, strict=True)) if place != axis
    )
    others = tuple(place for place in range(len(data.shape)) if place != axis)
    return axis if is_whole and len(indices.shape) == 2 and tuple(numbers.offset_dims) == others else None


def _scatter(call: Call) -> Node | Sequence[Node]:
    call.unread -= {"dimension_numbers", "mode"}
    data, indices, updates = call.inputs
    if call.read("update_jaxpr") is not None or call.read("update_consts"):
        return call.opaque("writes what a function makes of the numbers that are there")
    if not indices.is_fixed:
        return call.opaque("writes to places that depend on the input")
    return call.make("join", data, updates)


def _concatenate(call: Call) -> Node:
    return call.make("concatenate", *call.inputs, axis=int(call.read("dimension")))


def _pad(call: Call) -> Node:
    config = [tuple(map(int, widths)) for widths in call.read("padding_config")]
    if any(low < 0 or high < 0 or inner for low, high, inner in config):
        return call.make("join", *call.inputs)
    return call.make("pad", *call.inputs, widths=tuple((low, high) for low, high, _ in config))


def _split(call: Call) -> Sequence[Node]:
    return parts(call, call.inputs[0], call.read("axis"), call.read("sizes"))


def _unstack(call: Call) -> Sequence[Node]:
    return unstacked(call, int(call.read("axis")))


def _stack(call: Call) -> Node:
    return call.make("stack", *call.inputs, axis=int(call.read("axis")))


RULES: dict[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": combined("reshape", "dimensions"),
    "transpose": _transpose,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "scatter": _scatter,
    "concatenate": _concatenate,
    "pad": _pad,
    "rev": combined("rearrange", "dimensions"),
    "split": _split,
    "stack": _stack,
    "unstack": _unstack,
    "tile": combined("rearrange", "reps"),
}
"""By name of the primitive."""
