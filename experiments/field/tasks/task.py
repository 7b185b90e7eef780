"""What a task is: data for every seed, and what the network must give on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.experiment import Context
from experiments.field.objectives import UNSCALED

# Inputs, targets and what else the objective needs, each ``[samples, …]``.
Parts = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Drawn:
    """The data of one seed."""

    train: Parts
    validation: Parts
    test: Parts


@dataclass(frozen=True, eq=False)
class Data:
    """The data of several seeds, stacked: ``[seeds, samples, …]``.

    Attributes:
        seeds: in the order of the leading axis.
        train: inputs, targets and what else there is.
        validation: likewise; the rate is chosen on it.
        test: likewise; without noise where the task makes its own.
        scale: what errors are divided by, ``[seeds]``: the variance of the test targets, summed over their columns.
    """

    seeds: tuple[int, ...]
    train: Parts
    validation: Parts
    test: Parts
    scale: Tensor

    def of(self, seed: int) -> tuple[Tensor, Tensor]:
        """Return training inputs and targets of a seed."""
        place = self.seeds.index(seed)
        return self.train[0][place], self.train[1][place]


Besides = Callable[[Sequence[tuple[Any, list[int]]], Sequence[int], Data], dict[str, Any]]


def _nothing(*_: object) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: in result files and tables.
        group: what it is an example of.
        objective: a name of :data:`experiments.field.objectives.OBJECTIVES`.
        draw: the data of a seed.
        quadratic: whether its networks have ½|Ax|² beside them.
        form: of its networks, a name of :data:`experiments.field.forms.FORMS`.
        decisions: leading columns of the inputs in which partially convex networks are convex.
        effort: steps and batch of the preset ``cpu``, if not those of the other tasks.
        besides: what else is measured of the trained networks: stacks with the rows that count, in the order of seeds.
    """

    name: str
    group: str
    objective: str
    draw: Callable[[int, Context], Drawn]
    quadratic: bool = False
    form: str = "dense"
    decisions: int = 0
    effort: tuple[int, int] | None = None
    besides: Besides = _nothing

    def data(self, seeds: Sequence[int], context: Context) -> Data:
        """Return the data of some seeds."""
        drawn = [self.draw(seed, context) for seed in seeds]
        train, validation, test = (
            tuple(torch.stack(part) for part in zip(*(getattr(each, name) for each in drawn), strict=True))
            for name in ("train", "validation", "test")
        )
        scale = torch.ones(len(drawn), dtype=torch.float64)
        if self.objective not in UNSCALED:
            scale = test[1].double().var(1).sum(-1)
        return Data(tuple(seeds), train, validation, test, scale)


def divided(parts: Parts, sizes: tuple[int, int, int]) -> Drawn:
    """Return samples as training, validation and test parts of these sizes."""
    pieces = [torch.split(part[: sum(sizes)], list(sizes)) for part in parts]
    train, validation, test = (tuple(piece[place] for piece in pieces) for place in range(3))
    return Drawn(train, validation, test)
