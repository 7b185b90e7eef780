"""Lines of graphs: values side by side, each with weights of its own."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.lines.expressions import MIXED, PLUS, eight_bits


def both(b: Builder, x: Node) -> Node:
    """Features beside the input."""
    return b.concatenate(b.relu(x), x, axis=1)


def bent(b: Builder, x: Node) -> Node:
    return b.concatenate(b.relu(x), b.tanh(x), axis=1)


CONVEX = {
    "a weight for two parts": lambda b, x, W, S, y: b.linear(both(b, x), b.parameter("B", np.hstack([PLUS, MIXED]))),
    "a weight of two parts": lambda b, x, W, S, y: b.linear(both(b, x), b.concatenate(b.exp(S), S, axis=1)),
    "parts behind moves": lambda b, x, W, S, y: b.linear(
        b.transpose(b.transpose(b.reshape(both(b, x), (3, 1, 8)), axes=(2, 1, 0)), axes=(2, 1, 0)),
        b.parameter("B", np.hstack([PLUS, MIXED])),
    ),
    "channels of two parts": lambda b, x, W, S, y: b.convolve(
        b.reshape(both(b, x), (3, 8, 1)), b.parameter("B", np.hstack([PLUS, MIXED])[:, :, None])
    ),
    "gates for two parts": lambda b, x, W, S, y: b.multiply(
        both(b, x), b.parameter("g", [1.0, 0.0, 2.0, 3.0, -1.0, 1.0, -2.0, 0.0])
    ),
    "a part cut back out": lambda b, x, W, S, y: b.part(
        b.concatenate(b.relu(x), b.negate(b.relu(x)), axis=1), slice(None), slice(0, 4)
    ),
    "a part that was bent elsewhere": lambda b, x, W, S, y: b.part(bent(b, x), slice(None), slice(0, 4)),
    "a part, scaled": lambda b, x, W, S, y: b.part(b.multiply(2.0, bent(b, x)), slice(None), slice(1, 4)),
    "one of a stack": lambda b, x, W, S, y: b.part(b.stack(b.tanh(x), b.relu(x), axis=0), slice(1, 2)),
}

REFUSED = {
    "a weight for two parts, exchanged": (
        lambda b, x, W, S, y: b.linear(both(b, x), b.parameter("B", np.hstack([MIXED, PLUS]))),
        "'B' for inputs 0 to 3 goes down to",
    ),
    "channels of two parts in groups": (
        lambda b, x, W, S, y: b.convolve(
            b.reshape(both(b, x), (3, 8, 1)), b.parameter("B", np.vstack([MIXED, PLUS])[:, :, None]), groups=2
        ),
        "'B' goes down to",
    ),
    "gates for two parts, exchanged": (
        lambda b, x, W, S, y: b.multiply(both(b, x), np.array([-1.0, 0.0, 2.0, 3.0, 1.0, 1.0, 2.0, 0.0])),
        "goes down to -1",
    ),
    "a gate for one of two parts": (
        lambda b, x, W, S, y: b.multiply(both(b, x), np.array([[1.0], [-1.0], [1.0]])),
        "goes down to -1",
    ),
    "both parts of a cut": (
        lambda b, x, W, S, y: b.part(b.concatenate(b.relu(x), b.negate(b.relu(x)), axis=1), slice(None), slice(3, 5)),
        "joins a convex and a concave value",
    ),
    "parts that a reshape mixes": (
        lambda b, x, W, S, y: b.contract(
            b.parameter("B", np.hstack([PLUS, MIXED])), b.reshape(both(b, x), (8, 3)), axes=((1,), (0,))
        ),
        "'B' goes down to",
    ),
    "the part that is bent": (lambda b, x, W, S, y: b.part(bent(b, x), slice(None), slice(3, 5)), "tanh"),
    "parts of which one is scaled down": (
        lambda b, x, W, S, y: b.part(
            b.multiply(b.concatenate(b.relu(x), x, axis=1), np.arange(-4.0, 4.0)), slice(None), slice(0, 4)
        ),
        "goes down to",
    ),
    "eight bits of two parts": (
        lambda b, x, W, S, y: b.part(eight_bits(b, b.concatenate(x, b.relu(x), axis=1)), slice(None), slice(0, 4)),
        "rounds to float8_e4m3fn",
    ),
    "eight bits of two parts before a layer": (
        lambda b, x, W, S, y: b.linear(
            eight_bits(b, b.concatenate(b.relu(x), x, axis=1)),
            b.parameter("B", np.hstack([np.ones((2, 4)), [[1.0, -1.0, 1.0, -1.0]] * 2])),
        ),
        "rounds to float8_e4m3fn",
    ),
}
