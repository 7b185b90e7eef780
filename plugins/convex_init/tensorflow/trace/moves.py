"""Rules for operations that move elements, or put tensors side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convex_init.tensorflow.trace.lowering import Call, Rule
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.programs.rules import combined, parts, sliced, unstacked


def _reshape(call: Call) -> Node:
    call.unread -= {"squeeze_dims"}
    return call.make("reshape", call.inputs[0])


def _transpose(call: Call) -> Node | Sequence[Node]:
    order = call.array(1)
    if order is None:
        return call.opaque("has an order of axes that is not known")
    rank = len(call.shape)
    return call.make("transpose", call.inputs[0], axes=tuple(int(axis) % rank for axis in order))


def _broadcast(call: Call) -> Node:
    data = call.inputs[0]
    missing = len(call.shape) - len(data.shape)
    if missing:
        data = call.make("reshape", data, shape=(*(1,) * missing, *data.shape))
    return call.make("broadcast", data)


def _slice(call: Call) -> Node | Sequence[Node]:
    starts, sizes = call.array(1), call.array(2)
    if starts is None or sizes is None:
        return call.opaque("cuts at places that are not known")
    data = call.inputs[0]
    stops = [start + size for start, size in zip(starts, call.shape, strict=True)]
    return sliced(call, data, starts, stops, [1] * len(data.shape), call.shape)


def _strided_slice(call: Call) -> Node | Sequence[Node]:
    begin, end, strides = call.array(1), call.array(2), call.array(3)
    masks = {name: call.read(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    if begin is None or end is None or strides is None:
        return call.opaque("cuts at places that are not known")
    data = call.inputs[0]
    starts: list[int] = []
    stops: list[int] = []
    steps: list[int] = []
    axis = 0
    given = sum(not masks["new_axis"] >> i & 1 and not masks["ellipsis"] >> i & 1 for i in range(len(begin)))
    for place in range(len(begin)):
        if masks["ellipsis"] >> place & 1:
            for size in data.shape[axis : axis + len(data.shape) - given]:
                _append((starts, stops, steps), 0, size, 1)
            axis += len(data.shape) - given
        elif not masks["new_axis"] >> place & 1:
            size, step = data.shape[axis], int(strides[place])
            if masks["shrink_axis"] >> place & 1:
                start = int(begin[place]) % size
                _append((starts, stops, steps), start, start + 1, 1)
            elif step < 0:
                return call.make("rearrange", data)
            else:
                first = None if masks["begin"] >> place & 1 else int(begin[place])
                last = None if masks["end"] >> place & 1 else int(end[place])
                start, stop, step = slice(first, last, step).indices(size)
                _append((starts, stops, steps), start, max(start, stop), step)
            axis += 1
    for size in data.shape[axis:]:
        _append((starts, stops, steps), 0, size, 1)
    shape = tuple(len(range(*ends)) for ends in zip(starts, stops, steps, strict=True))
    whole = shape == data.shape and set(steps) <= {1}
    made = data if whole else sliced(call, data, starts, stops, steps, shape)
    return made if shape == call.shape and made is not data else call.make("reshape", made)


def _append(lists: Sequence[list[int]], *numbers: int) -> None:
    for part, number in zip(lists, numbers, strict=True):
        part.append(number)


def _concatenate(call: Call) -> Node | Sequence[Node]:
    axis = call.axes(len(call.inputs) - 1, len(call.shape))
    if axis is None:
        return call.opaque("has an axis that is not known")
    return call.make("concatenate", *call.inputs[:-1], axis=axis[0])


def _stack(call: Call) -> Node:
    return call.make("stack", *call.inputs, axis=int(call.read("axis")) % len(call.shape))


def _unstack(call: Call) -> Sequence[Node]:
    call.read("num")
    return unstacked(call, int(call.read("axis")) % len(call.inputs[0].shape))


def _split(call: Call) -> Sequence[Node]:
    call.read("num_split")
    place = 0 if call.step.name == "Split" else 2
    data = call.inputs[1 if place == 0 else 0]
    axis = call.axes(place, len(data.shape))
    if axis is None:
        return call.opaque("has an axis that is not known")
    return parts(call, data, axis[0], [slot.shape[axis[0]] for slot in call.step.outputs])


def _pad(call: Call) -> Node | Sequence[Node]:
    widths = call.array(1)
    if widths is None:
        return call.opaque("pads by widths that are not known")
    value = call.inputs[2] if len(call.inputs) > 2 else call.number(0.0)
    return call.make("pad", call.inputs[0], value, widths=tuple((int(low), int(high)) for low, high in widths))


def _space_to_batch(call: Call) -> Node | Sequence[Node]:
    """Windows that are stretched are taken in pieces, each of which is a batch of its own."""
    widths, data = call.array(2), call.inputs[0]
    if widths is None:
        return call.opaque("pads by widths that are not known")
    pairs = [(int(low), int(high)) for low, high in widths]
    pairs = [(0, 0), *pairs, *[(0, 0)] * (len(data.shape) - len(pairs) - 1)]
    if any(map(any, pairs)):
        shape = [size + sum(pair) for size, pair in zip(data.shape, pairs, strict=True)]
        data = call.make("pad", data, call.number(0.0), shape=shape, widths=tuple(pairs))
    return call.make("rearrange", data)


def _gather(call: Call) -> Node:
    call.unread -= {"batch_dims", "bad_indices_policy", "validate_indices"}
    axis = call.array(2) if len(call.inputs) == 3 and len(call.inputs[1].shape) == 1 else None
    data = call.inputs[0]
    return call.make("gather", *call.inputs[:2], axis=None if axis is None else int(axis) % len(data.shape))


def _update(call: Call) -> Node | Sequence[Node]:
    data, indices, updates = call.inputs
    call.unread.discard("bad_indices_policy")
    if not indices.is_fixed:
        return call.opaque("writes to places that depend on the input")
    return call.make("join", data, updates)


def _shape_of(call: Call) -> Sequence[Node]:
    """Numbers that the shape of the argument tells, as a literal."""
    slot = call.step.outputs[0]
    call.unused.clear()  # whose numbers do not matter
    if slot.number is None:
        return call.opaque("has a shape that depends on numbers")
    return [call.builder.literal(np.asarray(slot.number), slot.shape, slot.dtype)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), _reshape),
    **dict.fromkeys(("ReverseV2", "Roll", "Tile", "BatchToSpaceND"), combined("rearrange")),
    "MirrorPad": combined("rearrange", "mode"),
    **dict.fromkeys(("SpaceToDepth", "DepthToSpace"), combined("rearrange", "block_size", "data_format")),
    **dict.fromkeys(("Shape", "Size", "Rank", "ZerosLike", "OnesLike"), _shape_of),
    "ResizeNearestNeighbor": combined("rearrange", "align_corners", "half_pixel_centers"),
    "Transpose": _transpose,
    "BroadcastTo": _broadcast,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "ConcatV2": _concatenate,
    "Pack": _stack,
    "Unpack": _unstack,
    "Split": _split,
    "SplitV": _split,
    "SpaceToBatchND": _space_to_batch,
    "Pad": _pad,
    "PadV2": _pad,
    "GatherV2": _gather,
    "GatherNd": _gather,
    "TensorScatterUpdate": _update,
}
"""By name of the operation."""
