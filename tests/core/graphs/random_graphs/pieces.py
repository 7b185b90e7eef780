"""What all pieces of random graphs share: random choices, parameters, and the values that are made so far."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.truth import Truth

WIDTH, CONTEXT, ROWS = 4, 2, 64
Made = tuple[Node, Truth]
ROW = {"axes": (1,), "keepdims": True}
ALL = slice(None)


class Pieces:
    """A piece is a method that takes a value with its truth and makes one more; the graph has the builder."""

    b: Builder
    source: random.Random
    rng: np.random.Generator
    x: Node
    y: Node
    made: list[Made]

    def wide(self, row: Node) -> Node:
        return self.b.broadcast(row, (ROWS, WIDTH))

    def parameter(self, *shape: int, sign: int = 0) -> Node:
        numbers = 0.7 * self.rng.standard_normal(shape)
        return self.b.parameter(f"p{len(self.b.graph.nodes)}", numbers if sign == 0 else sign * np.abs(numbers))

    def one_of(self, *makers: Callable[[], Made]) -> Made:
        return self.source.choice(makers)()

    def other(self) -> Made:
        return self.made[self.source.randrange(len(self.made))]

    def weight(self, *shape: int) -> tuple[Node, int]:
        """A weight through some map, and its sign: 1, −1, or 0 for both."""
        b = self.b

        def single() -> tuple[Node, int]:
            numbers = np.abs(self.rng.standard_normal(shape))
            numbers.flat[0] = -1e-2
            return b.parameter(f"p{len(b.graph.nodes)}", numbers), 0

        return self.source.choice(
            (
                lambda: (self.parameter(*shape, sign=1), 1),
                lambda: (self.parameter(*shape, sign=-1), -1),
                lambda: (self.parameter(*shape), 0),
                single,
                lambda: (b.softplus(self.parameter(*shape)), 1),
                lambda: (b.softplus(self.parameter(*shape), beta=-1.0), -1),
                lambda: (b.divide(b.exp(self.parameter(*shape)), float(shape[-1])), 1),
                lambda: (b.square(self.parameter(*shape)), 1),
                lambda: (b.maximum(self.parameter(*shape), 0.0), 1),
                lambda: (b.abs(self.parameter(*shape)), 1),
            )
        )()
