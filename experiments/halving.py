"""Successive halving: all settings of a grid for a little, the best of them for longer, and so on.

Settings of equal shapes are trained at once, as one stack with a rate and an L2 of each network's own, whatever their
pre-processing: whitening changes no shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.networks import build
from experiments.stacked import Stack
from experiments.training import AT_ONCE, Batches


@dataclass(frozen=True)
class Setting:
    """One point of the grid."""

    hidden: tuple[int, ...]
    lr: float
    l2: float
    kind: int
    """Which of the pre-processed inputs it is trained with."""


@dataclass(frozen=True)
class Tried:
    """What a setting reached in a rung: its best share of right classes in validation, and after which epoch."""

    best: float
    epoch: int


@dataclass(frozen=True)
class Data:
    """Inputs by pre-processing ``[kinds, samples, features]`` and classes ``[samples]``, of both parts."""

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor


class RatedAdam:
    """Adam for a stack, with a rate and a weight decay (added to the gradient) for each network.

    Args:
        stack: networks; those with equal rates and decays best stand side by side.
        rates: rate and decay of each.
    """

    def __init__(self, stack: Stack, rates: Sequence[tuple[float, float]]) -> None:
        """Divide the stack; see the class."""
        self.parameters = list(stack.parameters.values())
        starts = [place for place in range(len(rates)) if place == 0 or rates[place] != rates[place - 1]]
        self.slices = [slice(a, b) for a, b in zip(starts, [*starts[1:], len(rates)], strict=True)]
        self.parts = [[parameter.detach()[part] for parameter in self.parameters] for part in self.slices]
        groups = [
            {"params": parts, "lr": rates[part.start][0], "weight_decay": rates[part.start][1]}
            for parts, part in zip(self.parts, self.slices, strict=True)
        ]
        self.adam = torch.optim.Adam(groups, fused=self.parameters[0].device.type in ("cpu", "cuda"))

    def step(self) -> None:
        """Take a step and forget the gradients."""
        for parts, slice_ in zip(self.parts, self.slices, strict=True):
            for part, parameter in zip(parts, self.parameters, strict=True):
                part.grad = None if parameter.grad is None else parameter.grad[slice_]
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None


def trained(
    method: str, settings: Sequence[Setting], data: Data, epochs: int, batch_size: int, seed: int
) -> list[Tried]:
    """Train networks of one shape from one draw of the weights, and return what each reached."""
    order = sorted(range(len(settings)), key=lambda place: (settings[place].lr, settings[place].l2))
    sorted_ = [settings[place] for place in order]
    inputs, classes = data.train.shape[-1], int(data.train_labels.max()) + 1
    generators = [torch.Generator().manual_seed(seed) for _ in sorted_]
    stack = Stack([build(method, inputs, sorted_[0].hidden, classes, each) for each in generators])
    optimizer = RatedAdam(stack, [(each.lr, each.l2) for each in sorted_])
    kinds = torch.tensor([each.kind for each in sorted_])
    shares = []
    batches = Batches(data.train.shape[1], batch_size, seed, data.train.device)
    for _ in range(epochs):
        for batch in batches:
            outputs = stack(data.train[:, batch][kinds])
            targets = data.train_labels[batch].repeat(stack.size)
            loss = nn.functional.cross_entropy(outputs.flatten(0, 1), targets) * stack.size
            loss.backward()  # type: ignore[no-untyped-call]  # no network has a part in another's loss
            optimizer.step()
            if stack.projected:
                with torch.no_grad():
                    torch._foreach_clamp_min_(stack.projected, 0.0)
        shares.append(_right(stack, data, kinds))
    best, at = torch.stack(shares).max(0)  # of equal ones the first epoch
    found = {place: Tried(float(best[rank]), int(at[rank]) + 1) for rank, place in enumerate(order)}
    return [found[place] for place in range(len(settings))]


@torch.no_grad()
def _right(stack: Stack, data: Data, kinds: Tensor) -> Tensor:
    """Share of the validation samples that each network has right; 0 where an output is not finite."""
    right = torch.zeros(stack.size, dtype=torch.float64)
    finite = torch.ones(stack.size, dtype=torch.bool)
    at_once = AT_ONCE // stack.size + 1
    parts = zip(torch.split(data.validation, at_once, 1), torch.split(data.validation_labels, at_once), strict=True)
    for inputs, labels in parts:
        outputs = stack(inputs[kinds])
        right += (outputs.argmax(-1) == labels).sum(-1)
        finite &= outputs.isfinite().flatten(1).all(1)
    return torch.where(finite, right / len(data.validation_labels), 0.0)


def halved(
    method: str, settings: Sequence[Setting], data: Data, rungs: Sequence[int], batch_size: int, seed: int
) -> list[list[Tried]]:
    """Return, for each setting, what it reached in the rungs that it was in.

    Args:
        method: of the networks.
        settings: the grid.
        data: to train with and to choose by.
        rungs: epochs of each rung; behind each but the last the best third of each rate goes on, and is trained anew.
            Small rates start slowly and would all fall at once if they had to stand against large ones.
        batch_size: of each step.
        seed: of the weights and the order, the same for all.
    """
    found: list[list[Tried]] = [[] for _ in settings]
    left = list(range(len(settings)))
    for rung, epochs in enumerate(rungs):
        shapes: dict[tuple[int, ...], list[int]] = {}
        for place in left:
            shapes.setdefault(settings[place].hidden, []).append(place)
        for members in shapes.values():
            reached = trained(method, [settings[place] for place in members], data, epochs, batch_size, seed)
            for place, tried in zip(members, reached, strict=True):
                found[place].append(tried)
        if rung < len(rungs) - 1:
            left = [place for of_rate in _by_rate(left, settings) for place in _best_third(of_rate, found)]
    return found


def _by_rate(places: Sequence[int], settings: Sequence[Setting]) -> list[list[int]]:
    rates = dict.fromkeys(settings[place].lr for place in places)
    return [[place for place in places if settings[place].lr == rate] for rate in rates]


def _best_third(places: Sequence[int], found: Sequence[Sequence[Tried]]) -> list[int]:
    """Those with the best validation in their last rung; of equal ones the first of the grid."""
    best = sorted(places, key=lambda place: (-found[place][-1].best, place))
    return sorted(best[: math.ceil(len(best) / 3)])
