"""Functions of a layer that a library computes from simpler operations and from weights, as one node each.

Unlike those of :mod:`convex_init_core.graph.patterns` they are known by what stands behind their parts: which is a
buffer, which a parameter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from convex_init_core.graph.nodes import Constant, Graph, Node
from convex_init_core.graph.ops import OPS

_LEAVES = ("input", "parameter", "buffer")


@dataclass(frozen=True, eq=False)
class _Slope:
    """What a batch normalisation multiplies by: ``scale / sqrt(variance + epsilon)``.

    Attributes:
        node: of it, behind the moves.
        scale: a parameter; ``None`` where there is none.
        variance: a buffer.
        epsilon: a number.
        axis: of the channels, from the end.
    """

    node: Node
    scale: Node | None
    variance: Node
    epsilon: float
    axis: int


def with_compounds(graph: Graph) -> Graph:
    """Turn some groups of operations into one, in place, and return the graph without the steps in between.

    These are

    - ``(x − mean) · scale / sqrt(variance + ε) + shift``, however it is written, with buffers for mean and variance and
      parameters for scale and shift, of which the last two may be missing: a ``batch_norm``;
    - ``relu(x) − slope · relu(−x)`` with a fixed slope: a ``prelu``;
    - a maximum with −∞ and a minimum with ∞: nothing but a ``reshape``;
    - zeros around the data of a convolution, along its window: part of the ``convolve``, which may have any padding.

    Args:
        graph: of one run.
    """
    rules = {
        **dict.fromkeys(("add", "subtract"), (_batch_norm, _prelu)),
        **dict.fromkeys(("maximum", "minimum"), (_unbounded,)),
        "multiply": (_batch_norm,),
        "convolve": (_padded,),
    }
    found = False
    for node in list(graph):
        if not node.is_fixed:
            found |= any(rule(node) for rule in rules.get(node.name, ()))
    if found:
        _prune(graph)
    return graph


def _become(node: Node, op: str, *inputs: Node, **params: Any) -> bool:
    node.op, node.inputs, node.params = OPS[op], inputs, params
    return True


def _unbounded(node: Node) -> bool:
    """Leave out a bound that is none."""
    limit = -math.inf if node.name == "maximum" else math.inf
    for part, other in (node.inputs, node.inputs[::-1]):
        if other.constant is not None and other.constant.bounds == (limit, limit) and part.shape == node.shape:
            return _become(node, "reshape", part)
    return False


def _padded(node: Node) -> bool:
    """Take zeros around the window for padding of the convolution itself."""
    data, weight = node.inputs
    if data.name != "pad" or data.inputs[1].number != 0.0:
        return False
    widths, window = data.params["widths"], node.params["data_axes"][2:]
    if any(min(width) < 0 or (any(width) and axis not in window) for axis, width in enumerate(widths)):
        return False
    node.inputs = data.inputs[0], weight
    return True


def _prelu(node: Node) -> bool:
    """Recognise ``relu(x) + (−slope) · relu(−x)``."""
    pairs = (node.inputs, node.inputs[::-1]) if node.name == "add" else (node.inputs,)
    for above, below in pairs:
        if above.name != "relu" or below.name != "multiply":
            continue
        for weight, mirrored in (below.inputs, below.inputs[::-1]):
            if not weight.is_fixed or mirrored.name != "relu" or mirrored.inputs[0].name != "negate":
                continue
            slope = weight if node.name == "subtract" else _negated(weight)
            if slope is not None and mirrored.inputs[0].inputs[0] is above.inputs[0]:
                return _become(node, "prelu", above.inputs[0], slope)
    return False


def _negated(node: Node) -> Node | None:
    """What a fixed node is the negative of, in its own shape."""
    while node.name == "reshape" and node.shape == node.inputs[0].shape:
        node = node.inputs[0]
    return node.inputs[0] if node.name == "negate" else None


def _batch_norm(node: Node) -> bool:
    """Recognise a batch normalisation by its last step."""
    inside = _scaled(node)  # behind the shift, if there is one
    shift: Node | None = None
    if inside is None and node.name in ("add", "subtract"):
        moving = [part for part in node.inputs if not part.is_fixed]
        fixed = [part for part in node.inputs if part.is_fixed]
        if len(moving) != 1 or not fixed:
            return False
        if node.name == "subtract" and node.inputs[0] is not moving[0]:
            return False
        inside, shift = _scaled(moving[0]), fixed[0]
    if inside is None:
        return False
    data, slope = inside
    if data.name == "subtract" and data.inputs[1].is_fixed and _leaf(data.inputs[1], "buffer") is not None:
        data, mean = data.inputs[0], _leaf(data.inputs[1], "buffer")
        own = None if shift is None or node.name == "subtract" else _leaf(shift, "parameter")
        if shift is not None and own is None:
            return False
    else:
        parts = None if shift is None else _shift(shift, slope, subtracted=node.name == "subtract")
        if parts is None:
            return False
        mean, own = parts
    assert mean is not None
    one, zero = _number(1.0, node.dtype), _number(0.0, node.dtype)
    inputs = data, slope.scale or one, own or zero, mean, slope.variance
    return _become(node, "batch_norm", *inputs, epsilon=slope.epsilon, axis=len(node.shape) + slope.axis)


def _scaled(node: Node) -> tuple[Node, _Slope] | None:
    """The data and the slope of a product with one."""
    if node.name != "multiply":
        return None
    for data, weight in (node.inputs, node.inputs[::-1]):
        if not data.is_fixed and weight.is_fixed:
            slope = _slope(weight, len(node.shape))
            if slope is not None:
                return data, slope
    return None


def _slope(weight: Node, rank: int) -> _Slope | None:
    sizes = (1,) * (rank - len(weight.shape)) + weight.shape
    wide = [axis for axis, size in enumerate(sizes) if size > 1]
    if len(wide) > 1 or not rank:
        return None
    axis = (wide[0] if wide else rank - 1) - rank
    inner = _unmoved(weight)
    root, scale = inner, None
    if inner.name == "multiply":
        for one, other in (inner.inputs, inner.inputs[::-1]):
            if _unmoved(one).name == "rsqrt":
                root, scale = _unmoved(one), _leaf(other, "parameter")
        if scale is None:
            return None
    if root.name != "rsqrt" or _unmoved(root.inputs[0]).name != "add":
        return None
    for part, number in (sums := _unmoved(root.inputs[0]).inputs, sums[::-1]):
        variance = _leaf(part, "buffer")
        if variance is not None and number.number is not None and variance.bounds is not None:
            if variance.bounds[0] + number.number > 0.0:
                return _Slope(inner, scale, variance, number.number, axis)
    return None


def _shift(node: Node, slope: _Slope, *, subtracted: bool) -> tuple[Node, Node | None] | None:
    """Mean and shift of ``shift − mean · slope``; with ``subtracted``, of ``mean · slope``."""
    inner = _unmoved(node)
    if subtracted:
        mean = _mean(inner, slope, -1)
        return None if mean is None else (mean, None)
    mean = _mean(inner, slope, 1)
    if mean is not None:
        return mean, None
    if inner.name not in ("add", "subtract"):
        return None
    pairs = (inner.inputs,) if inner.name == "subtract" else (inner.inputs, inner.inputs[::-1])
    for own, rest in pairs:
        shift, mean = _leaf(own, "parameter"), _mean(rest, slope, -1 if inner.name == "subtract" else 1)
        if shift is not None and mean is not None:
            return mean, shift
    return None


def _mean(node: Node, slope: _Slope, sign: int) -> Node | None:
    """The buffer in ``−mean · slope`` (``sign`` 1) or in ``mean · slope`` (−1)."""
    inner = _unmoved(node)
    if inner.name == "negate":
        return _mean(inner.inputs[0], slope, -sign)
    if inner.name != "multiply":
        return None
    for one, other in (inner.inputs, inner.inputs[::-1]):
        if _unmoved(other) is slope.node:
            factor, own = _unmoved(one), sign
            if factor.name == "negate":
                factor, own = factor.inputs[0], -sign
            return _leaf(factor, "buffer") if own == -1 else None
    return None


def _leaf(node: Node, kind: str) -> Node | None:
    inner = _unmoved(node)
    return inner if inner.name == kind and len(inner.shape) == 1 else None


def _unmoved(node: Node) -> Node:
    while node.name in ("reshape", "broadcast", "cast") and node.inputs:
        node = node.inputs[0]
    return node


def _number(value: float, dtype: str) -> Node:
    return Node(OPS["literal"], dtype=dtype, constant=Constant(None, (value, value)))


def _prune(graph: Graph) -> None:
    """Leave out what no output depends on any more, and put numbers that are new before what takes them."""
    needed, waiting = set[Node](), list(graph.outputs.values())
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.inputs)
    kept: dict[Node, None] = {}
    for node in graph.nodes:
        if node in needed or node.name in _LEAVES:
            kept.update(dict.fromkeys(part for part in node.inputs if part.name == "literal"))
            kept[node] = None
    graph.nodes = list(kept)
