"""Random computations from allowed and forbidden pieces, for the fuzz of the certificate.

Every value is a tensor of shape (rows, 4). A piece takes values made so far and makes one more, in one of the many ways
in which people write it; what it does to convexity is known by construction and kept beside the value, independently
of the calculus: see :class:`~tests.core.graphs.truth.Truth`.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from tests.core.graphs.truth import Truth
from tests.torch.random_graphs.bases import Bases
from tests.torch.random_graphs.containers import CONTAINERS
from tests.torch.random_graphs.functions import Functions
from tests.torch.random_graphs.kinds import Kinds
from tests.torch.random_graphs.linear import Linear
from tests.torch.random_graphs.pieces import Pieces, Run
from tests.torch.random_graphs.several import Several

NAMES = [
    *("linear", "linear", "linear", "rising", "rising", "rising", "blocks", "convolution", "image", "moved", "moved"),
    *("even", "whole", "spread", "by_hand", "falling", "forbidden", "summed", "summed", "extreme", "product"),
    *("product", "in_place", "normalised", "residual"),
    *("arguments", "where_pieces", "aliases", "scales", "sizes", "casts", "forms", "stabilised", "masks", "losses"),
    *("bases", "hidden", "hooks"),
]


class RandomGraph(Linear, Functions, Several, Kinds, Bases, nn.Module):
    """A random computation; ``truth`` is what it is by construction.

    Args:
        source: of all choices; a failing graph can be shrunk if it is hypothesis's.
        well_behaved: whether to avoid pieces that break convexity.
        steps: at most so many pieces.
    """

    def __init__(self, source: random.Random, well_behaved: bool, steps: int = 6):
        super().__init__()
        self.exact, self.container = False, source.choice(list(CONTAINERS))
        self.source = source
        self.numbers = torch.Generator().manual_seed(source.randrange(2**31))
        self.truths, self.steps, self.names = [Truth("affine")], [], []
        self.weights = nn.ParameterList()
        for _ in range(source.randint(1, steps)):
            for _ in range(6 if well_behaved else 1):
                name = source.choice(NAMES)
                step, truth = getattr(self, name)(len(self.truths) - 1)
                if truth.shape != "?":
                    break
            if well_behaved and truth.shape == "?":
                continue
            self.add(name, step, truth)
        if self.truths[-1].shape == "concave" and (well_behaved or source.random() < 0.5):
            last = len(self.truths) - 1
            self.add("negated", lambda z, y: -z[last], self.truths[-1].scaled(-1))
        del self.source, self.numbers

    def add(self, name: str, step: Run, truth: Truth) -> None:
        self.names.append(name)
        self.steps.append(step)
        self.truths.append(truth)

    @property
    def truth(self) -> Truth:
        return self.truths[-1]

    def forward(self, x: Tensor, context: object) -> Tensor:
        return self.trail(x, CONTAINERS[self.container][1](context))[-1]

    def context(self, y: Tensor) -> object:
        """The context as the model takes it."""
        return CONTAINERS[self.container][0](y)

    def trail(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """All values that are made on the way."""
        Pieces.running = self
        made = [x]
        for step in self.steps:
            made.append(step(made, y))
        return made
