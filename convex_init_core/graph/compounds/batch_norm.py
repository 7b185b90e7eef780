"""Batch normalisations that a framework computes from simpler operations, as one node each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convex_init_core.graph.nodes import Constant, Node
from convex_init_core.graph.ops import OPS


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


def become_batch_norm(node: Node) -> bool:
    """Make a node a ``batch_norm`` if it ends ``(x − mean) · scale / sqrt(variance + ε) + shift``, in whatever order.

    Mean and variance are buffers, scale and shift parameters; the last two may be missing.
    """
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
        if shift is not None and own is None and not _is_number(shift, 0.0):
            return False
    else:
        parts = None if shift is None else _shift(shift, slope, subtracted=node.name == "subtract")
        if parts is None:
            return False
        mean, own = parts
    assert mean is not None
    one, zero = _number(1.0, node.dtype), _number(0.0, node.dtype)
    node.op = OPS["batch_norm"]
    node.inputs = (data, slope.scale or one, own or zero, mean, slope.variance)
    node.params = {"epsilon": slope.epsilon, "axis": len(node.shape) + slope.axis}
    return True


def _scaled(node: Node) -> tuple[Node, _Slope] | None:
    """The data and the slope of a product with one; its factors may stand one behind the other."""
    if node.name not in ("multiply", "divide"):
        return None
    for data, weight in (node.inputs,) if node.name == "divide" else (node.inputs, node.inputs[::-1]):
        if data.is_fixed or not weight.is_fixed:
            continue
        slope = _slope(weight, len(node.shape), "sqrt" if node.name == "divide" else "rsqrt")
        if slope is not None:
            return data, slope
        scale, inside = _leaf(weight, "parameter"), _scaled(data) if node.name == "multiply" else None
        if scale is not None and inside is not None and inside[1].scale is None:
            return inside[0], replace(inside[1], scale=scale)
    return None


def _slope(weight: Node, rank: int, root: str) -> _Slope | None:
    """What a weight is as a slope, or as what is divided by (where the root is ``"sqrt"``)."""
    sizes = (1,) * (rank - len(weight.shape)) + weight.shape
    wide = [axis for axis, size in enumerate(sizes) if size > 1]
    if len(wide) > 1 or not rank:
        return None
    axis = (wide[0] if wide else rank - 1) - rank
    inner = _unmoved(weight)
    found, scale = _under_root(inner, root), None
    if root == "rsqrt" and inner.name in ("multiply", "divide"):
        pairs = (inner.inputs,) if inner.name == "divide" else (inner.inputs, inner.inputs[::-1])
        for own, other in pairs:
            known = _under_root(_unmoved(other), "sqrt" if inner.name == "divide" else "rsqrt")
            if known is not None:
                found, scale = known, _leaf(own, "parameter")
                if scale is None and not _is_number(own, 1.0):
                    return None
    return None if found is None else _Slope(inner, scale, *found, axis)


def _under_root(node: Node, root: str) -> tuple[Node, float] | None:
    """Variance and epsilon in a root of their sum."""
    if node.name != root or _unmoved(node.inputs[0]).name != "add":
        return None
    for part, number in (sums := _unmoved(node.inputs[0]).inputs, sums[::-1]):
        variance, epsilon = _leaf(part, "buffer"), number.number
        if variance is None or epsilon is None or variance.bounds is None:
            continue
        if variance.bounds[0] + epsilon > 0.0:
            return variance, epsilon
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


def _is_number(node: Node, number: float) -> bool:
    """Whether a constant stands for a scale or a shift that is not there."""
    return node.number == number and not node.parameters


def _leaf(node: Node, kind: str) -> Node | None:
    inner = _unmoved(node)
    return inner if inner.name == kind and len(inner.shape) == 1 else None


def _unmoved(node: Node) -> Node:
    while node.name in ("reshape", "broadcast", "cast") and node.inputs:
        node = node.inputs[0]
    return node


def _number(value: float, dtype: str) -> Node:
    return Node(OPS["literal"], dtype=dtype, constant=Constant(None, (value, value)))
