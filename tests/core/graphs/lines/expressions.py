"""Graphs of one expression, of x (3, 4) and weights W ≥ 0, S of both signs (4, 4), and what several tables say."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder

RNG = np.random.default_rng(0)
PLUS, MIXED = RNG.uniform(size=(4, 4)), RNG.standard_normal((4, 4))
LAST, KEEP = (1,), {"axes": (1,), "keepdims": True}
MASK = np.array([True, False, False, True])


def line(function) -> Builder:
    """A graph of one expression, with context y (3, 4)."""
    b = Builder()
    x, y = b.input("x", (3, 4)), b.input("y", (3, 4))
    b.output(function(b, x, b.parameter("W", PLUS), b.parameter("S", MIXED), y))
    return b


def clamp(b: Builder, x: Node, low: float, high: float) -> Node:
    return b.minimum(b.maximum(x, low), high)


def column(b: Builder, x: Node, i: int) -> Node:
    return b.part(x, slice(None), slice(i, i + 1))


def eight_bits(b: Builder, x: Node) -> Node:
    return b.cast(b.cast(x, "float8_e4m3fn"), "float64")
