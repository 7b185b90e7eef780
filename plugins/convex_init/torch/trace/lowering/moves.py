"""Operations that move, repeat or drop elements, and leave each as it is."""

from __future__ import annotations

from convex_init.torch.trace.builder import name_of
from convex_init.torch.trace.lowering.call import Call, Rule, axis_of
from convex_init_core.graph.nodes import Node

_RESHAPES = """
    view _unsafe_view reshape _reshape_alias unsqueeze squeeze alias detach clone contiguous flatten unflatten view_as
    lift_fresh lift_fresh_copy view_copy _reshape_copy unsqueeze_copy squeeze_copy alias_copy detach_copy
""".split()  # noqa: SIM905
_BROADCASTS = ("expand", "expand_as", "expand_copy", "broadcast_to")
_REARRANGES = """
    unfold roll flip repeat tile pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle diagonal rot90
    diagonal_copy unfold_copy reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d
""".split()  # noqa: SIM905
SPLITS = frozenset(
    ("split", "split_with_sizes", "unbind", "chunk", "unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk")
)
"""Operations of which every result is a part of the first argument."""


def _moved(operation: str) -> Rule:
    def rule(call: Call) -> Node | str:
        call.ignore_numbers()
        return call.result(operation, call.operand("self"))

    return rule


def _viewed(call: Call) -> Node | str:
    if call.signature.overload == "dtype":
        return "reads memory as another type"
    return _moved("reshape")(call)


def _strided(call: Call) -> Node | str:
    """``as_strided``, with which torch's pooling lays its result out in memory as its input is."""
    return _moved("reshape")(call) if call.is_whole else "reads memory in an order of its own"


def _transposed(call: Call) -> Node | str:
    data = call.operand("self")
    axes = list(range(len(data.shape)))
    if call.has("dims"):
        axes = [axis_of(axis, len(axes)) for axis in call["dims"]]
    elif call.has("dim0"):
        first, second = (axis_of(call[name], len(axes)) for name in ("dim0", "dim1"))
        if axes:
            axes[first], axes[second] = second, first
    else:  # t
        axes.reverse()
    return call.result("transpose", data, axes=tuple(axes))


def _sliced(call: Call) -> Node | str:
    data = call.operand("self")
    axis = axis_of(call["dim"], len(data.shape))
    length = data.shape[axis]
    start, stop, _ = slice(call["start"], call["end"]).indices(length)
    return _slice(call, data, axis, start, max(start, stop), int(call["step"]))


def _narrowed(call: Call) -> Node | str:
    data = call.operand("self")
    axis, start = axis_of(call["dim"], len(data.shape)), call["start"]
    if isinstance(start, Node):
        return "looks up places that depend on the input"
    start = int(start) % max(data.shape[axis], 1)
    return _slice(call, data, axis, start, start + int(call["length"]), 1)


def _slice(call: Call, data: Node, axis: int, start: int, stop: int, step: int, *, ends: bool = True) -> Node:
    starts, stops, steps = [0] * len(data.shape), list(data.shape), [1] * len(data.shape)
    starts[axis], stops[axis], steps[axis] = start, min(stop, data.shape[axis]), step
    params = {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}
    if ends:
        return call.result("slice", data, **params)
    shape = [stops[i] - starts[i] for i in range(len(starts))]
    return call.step("slice", data, shape=shape, **params)


def _selected(call: Call) -> Node | str:
    data = call.operand("self")
    axis, index = axis_of(call["dim"], len(data.shape)), int(call["index"])
    return _row(call, data, axis, index % data.shape[axis])


def _row(call: Call, data: Node, axis: int, index: int) -> Node:
    row = _slice(call, data, axis, index, index + 1, 1, ends=False)
    return call.result("reshape", row)


def _split(call: Call) -> Node | str:
    data = call.operand("self")
    axis = axis_of(call["dim"], len(data.shape))
    if call.signature.base == "unbind":
        return _row(call, data, axis, call.index)
    if "chunk" in call.signature.base:
        start = call.index * -(-data.shape[axis] // int(call["chunks"]))
    elif call.has("split_sizes") or isinstance(call["split_size"], (list, tuple)):
        sizes = call["split_sizes"] if call.has("split_sizes") else call["split_size"]
        start = sum(int(size) for size in sizes[: call.index])
    else:
        start = call.index * int(call["split_size"])
    return _slice(call, data, axis, start, start + int(call.made.shape[axis]), 1)


def _converted(call: Call) -> Node | str:
    call.ignore("dtype", "copy", "other")
    data = call["self"]
    if name_of(call.made.dtype) == data.dtype:
        return call.result("reshape", data)
    return call.result("cast", data)


def _windows(call: Call) -> Node | str:
    """``im2col``: elements of windows, which may reach over the edge."""
    data = call.operand("self")
    padding = call.numbers("padding", 2)
    call.ignore_numbers()
    if any(padding):
        widths = ((0, 0),) * (len(data.shape) - 2) + tuple((width, width) for width in padding)
        data = padded(call, data, call.literal(0.0), widths)
    return call.result("rearrange", data)


def padded(call: Call, data: Node, value: Node, widths: tuple[tuple[int, int], ...]) -> Node:
    """Add a step that pads ``data``."""
    shape = [size + before + after for size, (before, after) in zip(data.shape, widths, strict=True)]
    return call.step("pad", data, value, shape=shape, widths=widths)


def _padded(call: Call) -> Node | str:
    data, pad = call.operand("self"), [int(width) for width in call["pad"]]
    value = call.operand("value")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    widths = [(0, 0)] * (len(data.shape) - len(pairs)) + pairs
    if any(width < 0 for pair in widths for width in pair):  # they crop
        starts = tuple(max(-before, 0) for before, _ in widths)
        stops = tuple(size - max(-after, 0) for size, (_, after) in zip(data.shape, widths, strict=True))
        shape = [stop - start for start, stop in zip(starts, stops, strict=True)]
        data = call.step("slice", data, shape=shape, starts=starts, stops=stops, steps=(1,) * len(starts))
    return call.result("pad", data, value, widths=tuple((max(a, 0), max(b, 0)) for a, b in widths))


def _with_zeros(call: Call) -> Node | str:
    """``tril``, ``diag_embed`` and others: elements of the first argument, and zeros."""
    call.ignore_numbers()
    return call.result("join", call.operand("self"), call.literal(0.0))


def _diagonal(call: Call) -> Node | str:
    """``diag``: of a vector a matrix, of a matrix a vector."""
    return _with_zeros(call) if len(call["self"].shape) == 1 else _moved("rearrange")(call)


def _joined(operation: str) -> Rule:
    def rule(call: Call) -> Node | str:
        parts = call["tensors"]
        if operation == "concatenate":  # an empty vector goes with anything
            parts = [part for part in parts if part.shape != (0,)] or parts[:1]
        axis = axis_of(call["dim"], call.made.ndim)
        return call.result(operation, *map(call.fitted, parts), axis=axis)

    return rule


MOVES: dict[str, Rule] = {
    **dict.fromkeys(_RESHAPES, _moved("reshape")),
    **dict.fromkeys(("view", "view_copy"), _viewed),
    "as_strided": _strided,
    **dict.fromkeys(_BROADCASTS, _moved("broadcast")),
    **dict.fromkeys(_REARRANGES, _moved("rearrange")),
    **dict.fromkeys(("t", "transpose", "permute", "t_copy", "transpose_copy", "permute_copy"), _transposed),
    **dict.fromkeys(("slice", "slice_copy"), _sliced),
    **dict.fromkeys(("select", "select_copy"), _selected),
    **dict.fromkeys(SPLITS, _split),
    "narrow": _narrowed,
    "_to_copy": _converted,
    "to": _converted,
    "im2col": _windows,
    "cat": _joined("concatenate"),
    "stack": _joined("stack"),
    "constant_pad_nd": _padded,
    **dict.fromkeys(("tril", "triu", "diag_embed"), _with_zeros),
    "diag": _diagonal,
}
"""Rules for elements that are moved or put side by side, also those of integers and truth values."""
