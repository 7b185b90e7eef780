"""Rules for products of tensors: contractions, convolutions and normalisation by fixed statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from convex_init.tensorflow.trace.lowering import Call, Rule
from convex_init_core.graph.nodes import Node


def _matmul(call: Call) -> Node | Sequence[Node]:
    a, b = call.inputs
    axes = ((0 if call.read("transpose_a") else 1,), (1 if call.read("transpose_b") else 0,))
    return call.make("contract", a, b, axes=axes, batch=((), ())) if call.is_floating else call.opaque("is of integers")


def _batched(call: Call) -> Node | Sequence[Node]:
    a, b = call.inputs
    flip_a, flip_b = call.read("adj_x"), call.read("adj_y")
    if not call.is_floating:
        return call.opaque("works on integers or complex numbers")
    if len(b.shape) > 2 or len(a.shape) < len(b.shape):
        batch = call.shape[:-2]
        a, b = _spread(call, a, batch), _spread(call, b, batch)
        count = len(batch)
    else:
        count = 0
    axes = ((len(a.shape) - (2 if flip_a else 1),), (len(b.shape) - (1 if flip_b else 2),))
    shared = tuple(range(count))
    return call.make("contract", a, b, axes=axes, batch=(shared, shared))


def _spread(call: Call, part: Node, batch: Sequence[int]) -> Node:
    """Return a batch of matrices with the axes of another batch."""
    matrix, missing = part.shape[-2:], len(batch) + 2 - len(part.shape)
    if missing:
        part = call.make("reshape", part, shape=(*(1,) * missing, *part.shape))
    return part if part.shape[:-2] == tuple(batch) else call.make("broadcast", part, shape=(*batch, *matrix))


def _einsum(call: Call) -> Node | Sequence[Node]:
    terms, _, result = call.read("equation").replace(" ", "").partition("->")
    labels = terms.split(",")
    if not call.is_floating or len(labels) != 2 or len(call.inputs) != 2:
        return call.opaque("is no product of two tensors of numbers")
    ranks = [len(part.shape) for part in call.inputs]
    hidden = max(rank - len(term.replace("...", "")) for rank, term in zip(ranks, labels, strict=True))
    spare = [chr(ord("A") + index) for index in range(hidden)] if hidden > 0 else []
    if any(letter in terms for letter in spare):
        return call.opaque("has an equation that is not understood")
    full = []
    for rank, term in zip(ranks, labels, strict=True):
        covered = rank - len(term.replace("...", ""))
        full.append(term.replace("...", "".join(spare[len(spare) - covered :])))
    result = result.replace("...", "".join(spare))
    (first, second), (a, b) = full, call.inputs
    sizes = [dict(zip(term, part.shape, strict=True)) for term, part in ((first, a), (second, b))]
    if any(len(set(term)) != len(term) for term in full) or any(
        sizes[0][name] != sizes[1][name] for name in set(first) & set(second)
    ):
        return call.opaque("repeats or stretches axes")
    a, first = _summed(call, a, first, second + result)
    b, second = _summed(call, b, second, first + result)
    shared = [name for name in first if name in second]
    summed, batch = [n for n in shared if n not in result], [n for n in shared if n in result]
    free = [n for n in first if n not in shared] + [n for n in second if n not in shared]
    order, known = batch + free, sizes[0] | sizes[1]
    made = call.make(
        "contract",
        a,
        b,
        shape=tuple(known[name] for name in order),
        axes=(tuple(map(first.index, summed)), tuple(map(second.index, summed))),
        batch=(tuple(map(first.index, batch)), tuple(map(second.index, batch))),
    )
    return made if order == list(result) else call.make("transpose", made, axes=tuple(map(order.index, result)))


def _summed(call: Call, part: Node, term: str, others: str) -> tuple[Node, str]:
    """Sum the axes that nothing else has."""
    alone = tuple(index for index, name in enumerate(term) if name not in others)
    if not alone:
        return part, term
    shape = tuple(size for index, size in enumerate(part.shape) if index not in alone)
    kept = "".join(name for name in term if name in others)
    return call.make("sum", part, shape=shape, axes=alone, keepdims=False), kept


def _layout(call: Call) -> tuple[int, ...]:
    """Return the axes of batch, channels and window."""
    rank = len(call.shape)
    if call.read("data_format", "NHWC").startswith("NC"):
        return tuple(range(rank))
    return (0, rank - 1, *range(1, rank - 1))


def _inside(values: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(values[axis]) for axis in axes[2:])


def _convolution(call: Call) -> Node | Sequence[Node]:
    data, weight = call.inputs
    return _convolved(call, data, weight, data.shape)


def _convolved(call: Call, data: Node, weight: Node, shape: Sequence[int]) -> Node | Sequence[Node]:
    axes, rank = _layout(call), len(shape)
    call.unread -= {"padding", "explicit_paddings"}  # zeros, which the shape of the result accounts for
    inputs = weight.shape[rank - 2]
    if not call.is_floating or shape[axes[1]] % inputs:
        return call.opaque("works on integers, or on groups that do not fit")
    return call.make(
        "convolve",
        data,
        weight,
        data_axes=axes,
        weight_axes=(rank - 1, rank - 2, *range(rank - 2)),
        strides=_inside(call.read("strides"), axes),
        dilation=_inside(call.read("dilations", [1] * rank), axes),
        groups=shape[axes[1]] // inputs,
        transposed=False,
    )


def _depthwise(call: Call) -> Node | Sequence[Node]:
    data, weight = call.inputs
    height, width, channels, outputs = weight.shape
    shape = height, width, 1, channels * outputs
    spread = call.make("reshape", weight, shape=shape)
    if weight.constant is not None and weight.constant.handle is not None:
        spread = call.builder.evaluated(spread, tf.reshape(weight.constant.handle, shape))
    return _convolved(call, data, spread, data.shape)


def _transposed(call: Call) -> Node | Sequence[Node]:
    _, weight, data = call.inputs
    axes, rank = _layout(call), len(call.shape)
    call.unread -= {"padding", "explicit_paddings"}
    if weight.shape[rank - 2] != call.shape[axes[1]]:
        return call.opaque("is a transposed convolution in groups")
    return call.make(
        "convolve",
        data,
        weight,
        data_axes=axes,
        weight_axes=(rank - 2, rank - 1, *range(rank - 2)),
        strides=_inside(call.read("strides"), axes),
        dilation=_inside(call.read("dilations", [1] * rank), axes),
        groups=1,
        transposed=True,
    )


def _batch_norm(call: Call) -> Sequence[Node]:
    axes = _layout(call)
    epsilon, training = call.read("epsilon"), call.read("is_training")
    call.unread.discard("exponential_avg_factor")
    rest = call.opaque("returns statistics")[1:]
    if training or any(part.size == 0 or not math.prod(part.shape) for part in call.inputs[3:]):
        return [*call.opaque("normalises by statistics of its own input")[:1], *rest]
    return [call.make("batch_norm", *call.inputs, epsilon=float(epsilon), axis=axes[1]), *rest]


RULES: dict[str, Rule] = {
    "MatMul": _matmul,
    "BatchMatMul": _batched,
    "BatchMatMulV2": _batched,
    "BatchMatMulV3": _batched,
    "Einsum": _einsum,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "Conv3DBackpropInputV2": _transposed,
    "FusedBatchNormV3": _batch_norm,
}
"""By name of the operation."""
