"""Rules for products of arrays: contractions and convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from convex_init.jax.trace.lowering import Call, Rule
from convex_init_core.graph.nodes import Kind, Node


def _dot_general(call: Call) -> Node | Sequence[Node]:
    axes, batch = call.read("dimension_numbers")
    if any(part.kind is not Kind.FLOATING for part in call.inputs):
        return call.opaque("works on integers or complex numbers")
    call.read("preferred_element_type")  # of the result, whose type tells the same
    if (parts := _in_precision(call)) is None:
        return call.opaque("rounds its arguments by an algorithm that is not understood")
    return call.make("contract", *parts, axes=_pair(axes), batch=_pair(batch))


def _in_precision(call: Call) -> list[Node] | None:
    """Return the arguments as the product takes them, rounded to narrower types where its precision says so."""
    precision = call.read("precision")
    chosen = precision if isinstance(precision, (tuple, list)) else (precision, precision)
    if all(one is None or isinstance(one, jax.lax.Precision) for one in chosen):
        return list(call.inputs)
    exact = (jax.lax.DotAlgorithmPreset.F32_F32_F32, jax.lax.DotAlgorithmPreset.F64_F64_F64)
    if all(one in exact for one in chosen):
        return list(call.inputs)
    rounded = {jax.lax.DotAlgorithmPreset.BF16_BF16_F32: "bfloat16", jax.lax.DotAlgorithmPreset.F16_F16_F32: "float16"}
    if any(one not in rounded for one in chosen):
        return None
    return [_rounded(call, part, rounded[one]) for part, one in zip(call.inputs, chosen, strict=True)]


def _rounded(call: Call, part: Node, dtype: str) -> Node:
    narrow = part if part.is_fixed or part.dtype == dtype else call.make("cast", part, shape=part.shape, dtype=dtype)
    return narrow if narrow is part else call.make("cast", narrow, shape=part.shape, dtype=part.dtype)


def _pair(axes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, part)) for part in axes)


def _convolution(call: Call) -> Node | Sequence[Node]:
    numbers = call.read("dimension_numbers")
    strides, spread = tuple(call.read("window_strides")), tuple(call.read("lhs_dilation"))
    dilation, groups = tuple(call.read("rhs_dilation")), call.read("feature_group_count")
    call.read("padding")  # zeros, which the shape of the result accounts for
    transposed = any(step > 1 for step in spread)
    if call.read("batch_group_count") != 1:
        return call.opaque("convolves groups of a batch")
    if transposed and any(step > 1 for step in strides):
        return call.opaque("convolves with strides of both its input and its output")
    if transposed and groups != 1:  # whose weight has another layout than those of other frameworks
        return call.opaque("is a transposed convolution in groups")
    if any(part.kind is not Kind.FLOATING for part in call.inputs):
        return call.opaque("works on integers or complex numbers")
    call.read("preferred_element_type")
    if (parts := _in_precision(call)) is None:
        return call.opaque("rounds its arguments by an algorithm that is not understood")
    order = numbers.lhs_spec
    made = call.make(
        "convolve",
        *parts,
        shape=_moved(call.shape, numbers.out_spec, order),
        data_axes=tuple(order),
        weight_axes=tuple(numbers.rhs_spec),
        strides=spread if transposed else strides,
        dilation=dilation,
        groups=int(groups),
        transposed=transposed,
    )
    if tuple(order) == tuple(numbers.out_spec):
        return made
    places = {axis: order[index] for index, axis in enumerate(numbers.out_spec)}
    return call.make("transpose", made, axes=tuple(places[axis] for axis in range(len(order))))


def _moved(shape: Sequence[int], found: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """Return a shape whose batch, channels and window lie at ``found``, with these at ``wanted``."""
    sizes = {place: shape[found[index]] for index, place in enumerate(wanted)}
    return tuple(sizes[axis] for axis in range(len(shape)))


RULES: dict[str, Rule] = {"dot_general": _dot_general, "conv_general_dilated": _convolution}
"""By name of the primitive."""
