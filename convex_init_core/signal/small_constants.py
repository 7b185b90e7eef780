"""Small constants of a graph that was traced without numbers: what they are follows from the numbers of the leaves.

A model may be too large to be run for a plan, but the slope of its ``PReLU`` or the factor of a branch are few numbers,
on which laws depend. They are computed here, beside the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_init_core.graph.nodes import Graph, Kind, Node

LIMIT = 512**2  # elements of a small one

_PRODUCTS = ("contract", "convolve")
_LEAVES = ("parameter", "buffer", "literal")
_MOVES: dict[str, Callable[[Node, NDArray[Any]], NDArray[Any]]] = {
    "reshape": lambda node, x: x.reshape(node.shape),
    "transpose": lambda node, x: x.transpose(node.params["axes"]),
    "broadcast": lambda node, x: np.broadcast_to(x, node.shape),
    "cast": lambda node, x: x,
}


def add_small_numbers(
    graph: Graph, leaf: Callable[[Node], NDArray[Any] | None], handle: Callable[[NDArray[Any], Node], Any]
) -> bool:
    """Give small constants that laws depend on their numbers, and return whether all made of small ones have them now.

    Args:
        graph: whose constants are changed.
        leaf: the numbers of a parameter, a buffer or a literal; ``None`` where there are none.
        handle: the array of the framework, from its numbers and the node that it is of.
    """
    known: dict[Node, NDArray[Any]] = {}
    is_complete, asked = True, _asked(graph)
    for node in graph.nodes:
        if node not in asked or node.constant is None or node.size > LIMIT:
            continue
        if any(part.size > LIMIT for part in node.inputs):
            continue  # what is made of a large one stays as unknown as that
        numbers = leaf(node) if node.name in _LEAVES else _computed(node, known)
        if numbers is None:
            is_complete = False
            continue
        known[node] = numbers
        bounds = (float(numbers.min()), float(numbers.max())) if numbers.size else None
        node.constant = replace(node.constant, handle=handle(numbers, node), bounds=bounds)
    return is_complete


def _asked(graph: Graph) -> set[Node]:
    """Constants whose numbers a law may depend on: all but the weights of products and what is added to these.

    What such a weight is scaled by, and is smaller than it, is among them. A sharded model is not gathered, then.
    """
    asked: set[Node] = set()
    drawn: set[Node] = set()
    sums = _sums_of_products(graph)
    for node in reversed(graph.nodes):
        fixed = [part for part in node.inputs if part.constant is not None]
        if node.constant is None:
            (drawn if node in sums else asked).update(fixed)
        elif node in asked:
            asked.update(fixed)
        elif node in drawn:
            for part in fixed:
                (drawn if part.size >= node.size else asked).add(part)
    return asked


def _sums_of_products(graph: Graph) -> set[Node]:
    """Products, and sums of them: what is multiplied or added there is a weight or a bias."""
    found: set[Node] = set()
    for node in graph.nodes:
        adds = node.op.moves or node.name in ("add", "subtract")
        if node.name in _PRODUCTS or (adds and not found.isdisjoint(node.inputs)):
            found.add(node)
    return found


def _computed(node: Node, known: dict[Node, NDArray[Any]]) -> NDArray[Any] | None:
    """The numbers of an element-wise function or of a plain move; ``None`` for others."""
    parts = [known.get(part) for part in node.inputs]
    if any(part is None for part in parts):
        return None
    with np.errstate(all="ignore"):
        if node.name in _MOVES and {node.kind, *(part.kind for part in node.inputs)} == {Kind.FLOATING}:
            return _MOVES[node.name](node, parts[0])  # type: ignore[arg-type]
        if node.op.element_wise and node.op.numpy is not None and node.kind in (Kind.FLOATING, Kind.BOOLEAN):
            return np.broadcast_to(np.asarray(node.op.numpy(*parts, **node.params)), node.shape)
    return None
