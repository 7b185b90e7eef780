"""Lines of graphs: values scaled or shifted by context."""

from __future__ import annotations

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.lines.expressions import KEEP, clamp


def squares(b: Builder, y: Node) -> Node:
    return b.contract(y, y, axes=((0,), (0,)))


CONVEX = {
    "scaled by context": lambda b, x, W, S, y: b.multiply(b.relu(x), b.softplus(b.matmul(y, S))),
    "shifted by context": lambda b, x, W, S, y: b.relu(b.add(x, b.tanh(b.matmul(y, S)))),
    "a share and the rest of it": lambda b, x, W, S, y: b.add(
        b.multiply(b.sigmoid(y), b.relu(x)), b.multiply(b.subtract(1.0, b.sigmoid(y)), b.abs(x))
    ),
    "scaled by one plus a tanh": lambda b, x, W, S, y: b.multiply(b.relu(x), b.add(1.0, b.tanh(b.matmul(y, S)))),
    "scaled by context above its least": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.subtract(y, b.min(y, axes=(1,), keepdims=True))
    ),
    "scaled by context below its largest": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.subtract(b.broadcast(b.max(y, axes=(0, 1)), (3, 4)), y)
    ),
    "scaled by a clipped context": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.divide(b.add(clamp(b, y, -2.0, 2.0), 2.0), b.exp(1.0))
    ),
    "distance to context": lambda b, x, W, S, y: b.distance(x, y),
    "gate of a range": lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(b.max(y, **KEEP), b.min(y, **KEEP))),
    "gate of one minus a square": lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(1.0, b.square(b.tanh(y)))),
}

REFUSED = {
    "scaled by context of any sign": (lambda b, x, W, S, y: b.multiply(b.relu(x), y), "input 'y' takes both signs"),
    "scaled by one minus twice a share": (
        lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(1.0, b.multiply(2.0, b.sigmoid(y)))),
        "a constant takes both signs",
    ),
    "scaled by context above the least of another": (
        lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(y, b.min(b.matmul(y, S), axes=(1,), keepdims=True))),
        "a constant takes both signs",
    ),
    "scaled by context above the least of its columns": (  # which meets rows
        lambda b, x, W, S, y: b.multiply(
            b.relu(b.part(x, slice(0, 1))), b.subtract(squares(b, y), b.min(squares(b, y), axes=(1,)))
        ),
        "a constant takes both signs",
    ),
    "gate of two ranges": (
        lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(b.max(y, **KEEP), b.min(b.matmul(y, S), **KEEP))),
        "takes both signs",
    ),
}
