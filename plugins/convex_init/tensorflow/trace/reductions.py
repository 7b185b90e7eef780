"""Rules for operations that combine elements of one tensor: reductions, windows, prefixes and orders."""

from __future__ import annotations

from collections.abc import Sequence

from convex_init.tensorflow.trace.lowering import Call, Rule
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.programs.rules import combined, prefixes, refused


def _reduced(op: str) -> Rule:
    def rule(call: Call) -> Node | Sequence[Node]:
        data, keepdims = call.inputs[0], bool(call.read("keep_dims"))
        axes = call.axes(1, len(data.shape))
        if axes is None or data.dtype != call.dtype or not data.dtype.startswith(("float", "bfloat")):
            return call.opaque("works on integers, or along axes that are not known")
        if op == "norm":
            return call.make(op, data, order=2.0, axes=axes, keepdims=keepdims)
        return call.make(op, data, axes=axes, keepdims=keepdims)

    return rule


_WINDOW = ("ksize", "strides", "padding", "explicit_paddings", "data_format")


def _cumulative(call: Call) -> Node | Sequence[Node]:
    data, axis = call.inputs[0], call.axes(1, len(call.shape))
    exclusive, backwards = call.read("exclusive"), call.read("reverse")
    if axis is None:
        return call.opaque("has an axis that is not known")
    if exclusive:  # a sum of some elements, with weights 1
        return call.make("average", data)
    return prefixes(call, "cumulative_sum", axis[0], backwards)


def _softmax(op: str) -> Rule:
    return lambda call: call.make(op, *call.inputs, axis=len(call.shape) - 1)


def _top_k(call: Call) -> Sequence[Node]:
    call.unread.discard("k")
    k, in_order = call.shape[-1], bool(call.read("sorted"))
    axis = len(call.shape) - 1
    values = call.make("largest", call.inputs[0], k=k, axis=axis, sorted=in_order, smallest=False)
    return [values, call.make("opaque", *call.inputs, index=1, why="returns places", non_negative=True)]


RULES: dict[str, Rule] = {
    "Sum": _reduced("sum"),
    "Mean": _reduced("mean"),
    "Max": _reduced("max"),
    "Min": _reduced("min"),
    "EuclideanNorm": _reduced("norm"),
    **dict.fromkeys(("MaxPool", "MaxPool3D"), combined("window_max", *_WINDOW)),
    **dict.fromkeys(("AvgPool", "AvgPool3D"), combined("average", *_WINDOW)),
    "Cumsum": _cumulative,
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    "TopKV2": _top_k,
    **dict.fromkeys(("ArgMax", "ArgMin"), refused("returns places", non_negative=True)),
    # bilinear: weights between 0 and 1
    "ResizeBilinear": combined("average", "align_corners", "half_pixel_centers"),
}
"""By name of the operation."""
