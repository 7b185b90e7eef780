"""Lines of graphs: by a comparison, which is a kink, a jump or a drop of the slope."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.lines.expressions import eight_bits


def elu_by_choice(b: Builder, x: Node) -> Node:
    left = b.subtract(b.exp(b.minimum(x, 0.0)), 1.0)
    return b.where(b.compare(x, ">", 0.0), x, left)


CONVEX = {
    "relu by a choice": lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, 0.0),
    "relu by a choice of zeros": lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, np.zeros((3, 4))),
    "relu by a choice, number first": lambda b, x, W, S, y: b.where(b.compare(0.0, "<", x), x, 0.0),
    "relu of a product computed twice": lambda b, x, W, S, y: b.where(
        b.compare(b.matmul(x, S), ">", 0.0), b.matmul(x, S), 0.0
    ),
    "leaky relu by a choice": lambda b, x, W, S, y: b.matmul(
        b.where(b.compare(x, ">=", 0.0), x, b.multiply(0.2, x)), W
    ),
    "leaky relu, other way round": lambda b, x, W, S, y: b.matmul(
        b.where(b.compare(x, "<", 0.0), b.multiply(0.2, x), x), W
    ),
    "elu by a choice": lambda b, x, W, S, y: b.matmul(elu_by_choice(b, x), W),
    "relu by a mask": lambda b, x, W, S, y: b.matmul(b.multiply(x, b.cast(b.compare(x, ">", 0.0))), W),
    "squared relu by a choice": lambda b, x, W, S, y: b.matmul(
        b.where(b.compare(x, ">", 0.0), b.power(x, 2.0), 0.0), W
    ),
    "huber by a choice": lambda b, x, W, S, y: b.where(
        b.compare(x, ">", 0.1), b.subtract(b.multiply(0.2, x), 0.01), b.square(x)
    ),
}

REFUSED = {
    "choice that jumps": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, b.subtract(x, 1.0)),
        "jumps from -1 to 0",
    ),
    "choice that jumps a little": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, b.add(x, 1e-10)),
        "jumps from 1e-10 to 0",
    ),
    "choice that bends down": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), b.multiply(0.2, x), x),
        "slope drops from 1 to 0.2",
    ),
    "choice by another value": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), b.matmul(x, S), x),
        "truth values",
    ),
    "choice by several numbers": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", np.array([0.0, 0.0, 1.0, 0.0])), x, 0.0),
        "truth values",
    ),
    "choice of a bounded value that ends before": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, b.expm1(b.minimum(x, -1.0))),
        "truth values",
    ),
    "eight bits in a choice": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), eight_bits(b, x), 0.0),
        "truth values",
    ),
}
