"""Functions of a layer that a library computes from simpler operations and from weights, as one node each.

Unlike those of :mod:`convex_init_core.graph.compounds.patterns` they are known by what stands behind their parts:
which is a buffer, which a parameter.
"""

from __future__ import annotations

import math
from typing import Any

from convex_init_core.graph.compounds.batch_norm import become_batch_norm
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.graph.ops import OPS

_LEAVES = ("input", "parameter", "buffer")


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
        **dict.fromkeys(("add", "subtract"), (become_batch_norm, _prelu)),
        **dict.fromkeys(("multiply", "divide"), (become_batch_norm,)),
        **dict.fromkeys(("maximum", "minimum"), (_unbounded,)),
        "convolve": (_padded,),
    }
    found = False
    for node in reversed(list(graph)):  # the whole first, and then what it was made of, which is left out below
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
    """What a fixed node is the negative of, if that fits in its place as it is."""
    shape = node.shape
    while node.name in ("reshape", "broadcast") and node.inputs:
        node = node.inputs[0]
    if node.name != "negate":
        return None
    own = node.inputs[0].shape
    return node.inputs[0] if shape == (1,) * (len(shape) - len(own)) + own else None


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
