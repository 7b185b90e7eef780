"""Rules for lists of tensors, which loops read and write step by step, such as recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convex_init.tensorflow.trace.lowering import Call, Rule
from convex_init_core.graph.nodes import Node


def _holding(call: Call, parts: Sequence[Node | None]) -> Sequence[Node]:
    """Return a node that stands for a list."""
    (node,) = call.opaque("is a list of tensors")
    call.lists[node] = tuple(parts)
    return [node]


def _reserve(call: Call) -> Sequence[Node]:
    count = call.array(1)
    return call.opaque("has a length that is not known") if count is None else _holding(call, [None] * int(count))


def _from_tensor(call: Call) -> Sequence[Node]:
    data, parts = call.inputs[0], []
    for index in range(data.shape[0]):
        ends = (index, *(0 for _ in data.shape[1:])), (index + 1, *data.shape[1:]), (1,) * len(data.shape)
        row = call.make(
            *("slice", data),
            shape=(1, *data.shape[1:]),
            dtype=data.dtype,
            starts=ends[0],
            stops=ends[1],
            steps=ends[2],
        )
        parts.append(call.make("reshape", row, shape=data.shape[1:], dtype=data.dtype))
    return _holding(call, parts)


def _set_item(call: Call) -> Sequence[Node]:
    held, index = call.lists.get(call.inputs[0]), call.array(1)
    call.unread.discard("resize_if_index_out_of_bounds")
    if held is None or index is None or not 0 <= index < len(held):
        return call.opaque("writes to a list at a place that is not known")
    parts = list(held)
    parts[int(index)] = call.inputs[2]
    return _holding(call, parts)


def _get_item(call: Call) -> Node | Sequence[Node]:
    held, index = call.lists.get(call.inputs[0]), call.array(1)
    if held is None or index is None or not 0 <= index < len(held):
        return call.opaque("reads a list at a place that is not known")
    item = held[int(index)]
    call.unused.clear()  # the list is its items
    return call.opaque("reads a place of a list that was not written") if item is None else item


def _stack(call: Call) -> Node | Sequence[Node]:
    held = call.lists.get(call.inputs[0])
    call.unread.discard("num_elements")
    if held is None or any(part is None for part in held):
        return call.opaque("stacks a list that is not known in full")
    parts = [part for part in held if part is not None]
    call.unused.clear()
    return call.make("stack", *parts, shape=(len(parts), *parts[0].shape), axis=0)


def _length(call: Call) -> Node | Sequence[Node]:
    held = call.lists.get(call.inputs[0])
    if held is None:
        return call.opaque("has a length that is not known")
    call.unused.clear()
    return call.builder.literal(np.int32(len(held)), (), call.dtype)


RULES: dict[str, Rule] = {
    "TensorListReserve": _reserve,
    "TensorListFromTensor": _from_tensor,
    "TensorListSetItem": _set_item,
    "TensorListGetItem": _get_item,
    "TensorListStack": _stack,
    "TensorListLength": _length,
}
"""By name of the operation."""
