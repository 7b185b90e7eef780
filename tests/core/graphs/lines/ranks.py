"""Lines of graphs: elements picked by their rank."""

from __future__ import annotations

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.lines.expressions import LAST, column


def descending(b: Builder, x: Node) -> Node:
    return b.sort(x, axis=1, descending=True)


CONVEX = {
    "the largest two": lambda b, x, W, S, y: b.sum(b.largest(x, k=2, axis=1), axes=LAST),
    "the largest": lambda b, x, W, S, y: b.largest(x, k=1, axis=1),
    "the first of the sorted": lambda b, x, W, S, y: column(b, descending(b, x), 0),
    "a prefix of the sorted": lambda b, x, W, S, y: b.sum(
        b.part(descending(b, x), slice(None), slice(0, 3)), axes=LAST
    ),
    "the last of the sorted": lambda b, x, W, S, y: b.sum(
        b.part(b.sort(x, axis=1, descending=False), slice(None), slice(2, 4)), axes=LAST
    ),
    "running sums of the sorted": lambda b, x, W, S, y: b.cumulative_sum(descending(b, x), axis=1),
}

REFUSED = {
    "group sort": (lambda b, x, W, S, y: descending(b, b.matmul(x, S)), "picks by rank"),
    "third largest": (lambda b, x, W, S, y: column(b, b.largest(x, k=3, axis=1), 2), "picks by rank"),
    "two of the largest, in no order": (
        lambda b, x, W, S, y: b.sum(
            b.part(b.largest(x, k=3, axis=1, sorted=False), slice(None), slice(0, 2)), axes=LAST
        ),
        "picks by rank",
    ),
    "the last of the largest": (
        lambda b, x, W, S, y: b.sum(b.part(b.largest(x, k=3, axis=1), slice(None), slice(1, 3)), axes=LAST),
        "picks by rank",
    ),
    "every other of the sorted": (
        lambda b, x, W, S, y: b.sum(b.part(descending(b, x), slice(None), slice(0, 4, 2)), axes=LAST),
        "picks by rank",
    ),
    "sums of the sorted over rows": (lambda b, x, W, S, y: b.sum(descending(b, x), axes=(0,)), "picks by rank"),
    "the smallest two": (
        lambda b, x, W, S, y: b.sum(b.largest(x, k=2, axis=1, smallest=True), axes=LAST),
        "is concave",
    ),
}
