"""What all pieces of random models share: random choices, parameters, and the weights of the model that runs."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.core.graphs.truth import Truth

WIDTH, CONTEXT = 4, 2
Run = Callable[[list[Tensor], Tensor], Tensor]
Made = tuple[Run, Truth]


class Pieces:
    """A piece is a method that takes the place of a value and makes a step that computes one more, with its truth."""

    running: Pieces  # whose weights the steps take, so that a copy of a model uses its own
    source: random.Random
    numbers: torch.Generator
    truths: list[Truth]
    weights: nn.ParameterList
    exact: bool  # whether casts to narrow types are left out, to check what a certificate up to rounding says

    @staticmethod
    def is_exact() -> bool:
        """Whether the model that runs leaves out casts to narrow types."""
        return Pieces.running.exact

    def one(self, *made: Made) -> Made:
        return made[self.source.randrange(len(made))]

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.numbers, dtype=torch.float64)

    def parameter(self, *shape: int) -> Callable[[], Tensor]:
        place = len(self.weights)
        self.weights.append(nn.Parameter(0.7 * self.randn(*shape)))
        return lambda: Pieces.running.weights[place]

    def other(self, last: int) -> int:
        return self.source.randint(0, last)

    def weight(self, *shape: int) -> tuple[Callable[[], Tensor], int]:
        """A weight through some map, and its sign: 1, −1, or 0 for both."""
        raw = self.parameter(*shape)
        kind = self.source.choice(
            ["abs_", "abs_", "softplus", "exp", "square", "relu", "clamp", "abs", "scaled", "negative", "signed", "one"]
        )
        if kind in ("abs_", "negative", "one"):
            with torch.no_grad():
                tensor = self.weights[-1].abs_()
                if kind == "negative":
                    tensor.neg_()
                if kind == "one":  # a single negative weight
                    tensor.view(-1)[0] = -1e-2
        made: dict[str, tuple[Callable[[], Tensor], int]] = {
            "abs_": (raw, 1),
            "negative": (raw, -1),
            "signed": (raw, 0),
            "one": (raw, 0),
            "softplus": (lambda: F.softplus(raw()), 1),
            "exp": (lambda: raw().exp(), 1),
            "square": (lambda: raw() ** 2, 1),
            "relu": (lambda: F.relu(raw()), 1),
            "clamp": (lambda: raw().clamp(min=0.0), 1),
            "abs": (lambda: raw().abs(), 1),
            "scaled": (lambda: raw().exp().transpose(0, -1).contiguous().transpose(0, -1) / shape[-1], 1),
        }
        return made[kind]
