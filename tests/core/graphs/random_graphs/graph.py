"""Random graphs from allowed and forbidden pieces, for the fuzz of the judge.

Every value has the shape (ROWS, 4). A piece takes values made so far and makes one more; what it does to convexity is
known by construction and kept beside the value: see :class:`~tests.core.graphs.truth.Truth`.
"""

from __future__ import annotations

import random

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.random_graphs.bases import Bases
from tests.core.graphs.random_graphs.functions import Functions
from tests.core.graphs.random_graphs.kinds import Kinds
from tests.core.graphs.random_graphs.linear import Linear
from tests.core.graphs.random_graphs.pieces import CONTEXT, ROWS, WIDTH, Made
from tests.core.graphs.random_graphs.several import Several
from tests.core.graphs.truth import Truth

NAMES = [
    *("linear", "linear", "linear", "rising", "rising", "rising", "blocks", "convolution", "moved", "moved"),
    *("even", "whole", "whole", "falling", "forbidden", "summed", "summed", "extreme", "product", "product"),
    *("normalised", "residual"),
    *("arguments", "where_pieces", "forms", "stabilised", "masks", "gates", "bases", "hidden"),
]


class RandomGraph(Linear, Functions, Several, Kinds, Bases):
    """A random computation of x (ROWS, 4) and context y (ROWS, 2); ``truth`` is what it is by construction.

    Args:
        source: of all choices; a failing graph can be shrunk if it is hypothesis's.
        well_behaved: whether to avoid pieces that break convexity.
        steps: at most so many pieces.
    """

    def __init__(self, source: random.Random, well_behaved: bool, steps: int = 6):
        self.source, self.b = source, Builder()
        self.rng = np.random.default_rng(source.randrange(2**31))
        self.x, self.y = self.b.input("x", (ROWS, WIDTH)), self.b.input("y", (ROWS, CONTEXT))
        self.made: list[Made] = [(self.x, Truth("affine"))]
        self.names: list[str] = []
        for _ in range(source.randint(1, steps)):
            for _ in range(6 if well_behaved else 1):
                name = source.choice(NAMES)
                node, truth = getattr(self, name)(*self.made[-1])
                if truth.shape != "?":
                    break
            if well_behaved and truth.shape == "?":
                continue
            self.add(name, node, truth)
        node, truth = self.made[-1]
        if truth.shape == "concave" and (well_behaved or source.random() < 0.5):
            self.add("negated", self.b.negate(node), truth.scaled(-1))
        self.b.output(self.made[-1][0])

    def add(self, name: str, node: Node, truth: Truth) -> None:
        self.names.append(name)
        self.made.append((node, truth))

    @property
    def truth(self) -> Truth:
        return self.made[-1][1]
