"""Train a stack, and try a method at every rate of the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.field.networks import Shape
from experiments.field.objectives import OBJECTIVES
from experiments.field.stack import Stack, StackedAdam
from experiments.field.starts import Method, built
from experiments.field.tasks.task import Data, Task

GRID = (3e-3, 1e-2, 3e-2)
BEYOND = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, *GRID, 1e-1, 3e-1, 1.0)
AT_ONCE = 512  # samples of each network in one evaluation


@dataclass(frozen=True)
class Schedule:
    """How long: ``steps`` of Adam on ``batch`` samples, and at how many of them the networks are tested.

    With ``until`` the training is broken off there, as one that goes on is then.
    """

    steps: int
    batch: int
    tests: int = 10
    until: int | None = None

    def tested(self) -> list[int]:
        """Return the steps after which the networks are tested, from 0, closer together at first."""
        return sorted({round(self.steps * (place / self.tests) ** 1.5) for place in range(self.tests + 1)})

    def factor(self, step: int) -> float:
        """Return what rates are multiplied with: 1 for two thirds of the steps, then falling to 0."""
        return min(1.0, 3.0 * (1.0 - step / self.steps))


@dataclass(frozen=True)
class Course:
    """Errors of each network at the tested steps, ``[networks, tests]``, in variances of the target."""

    validation: Tensor
    test: Tensor
    stack: Stack


def trained(
    task: Task, shape: Shape, method: Method, pairs: Sequence[tuple[float, int]], schedule: Schedule, data: Data
) -> Course:
    """Train one network for each pair of rate and seed, those of one rate side by side, and return their courses."""
    seeds = [seed for _, seed in pairs]
    known = {seed: built(shape, method, *data.of(seed), seed) for seed in dict.fromkeys(seeds)}
    stack = Stack([known[seed] for seed in seeds])
    optimizer = StackedAdam(stack, [rate for rate, _ in pairs], method.positive_share)
    objective = OBJECTIVES[task.objective]
    places = torch.tensor([data.seeds.index(seed) for seed in seeds])
    samples = data.train[0].shape[1]
    orders = {seed: _order(seed, samples, schedule) for seed in known}
    # Rows of the training data of all seeds, one behind the other, ``[steps, networks · batch]``.
    order = torch.stack([orders[seed] + samples * data.seeds.index(seed) for seed in seeds], 1).flatten(1)
    flat = [part.flatten(0, 1) for part in data.train]
    validation, test = [], []
    tested = set(schedule.tested())
    for step in range(schedule.steps + 1):
        if step in tested:
            validation.append(_error(task, stack, data.validation, places) / data.scale[places])
            test.append(_error(task, stack, data.test, places) / data.scale[places])
            if not bool(validation[-1].isfinite().any()):
                break
        if step in (schedule.steps, schedule.until):
            break
        batch = [part.index_select(0, order[step]).view(stack.size, schedule.batch, *part.shape[1:]) for part in flat]
        objective(stack, batch).sum().backward()  # type: ignore[no-untyped-call]  # no network in another's loss
        optimizer.step(schedule.factor(step))
        stack.clamp()
    missing = len(tested) - len(test)
    ends = [torch.full_like(test[-1], math.nan)] * missing
    return Course(torch.stack([*validation, *ends], 1), torch.stack([*test, *ends], 1), stack)


def _order(seed: int, samples: int, schedule: Schedule) -> Tensor:
    """Which samples each step takes, ``[steps, batch]``: with replacement, the same for every method and rate."""
    generator = torch.Generator().manual_seed(3000 + seed)
    return torch.randint(samples, (schedule.steps, schedule.batch), generator=generator)


@torch.no_grad()
def _error(task: Task, stack: Stack, parts: Sequence[Tensor], places: Tensor) -> Tensor:
    total, count = torch.zeros(len(places), dtype=torch.float64), parts[0].shape[1]
    for first in range(0, count, AT_ONCE):
        batch = [part[places, first : first + AT_ONCE] for part in parts]
        total += OBJECTIVES[task.objective](stack, batch).detach().double() * batch[0].shape[1]
    return total / count


def explored(
    task: Task, shape: Shape, method: Method, seeds: Sequence[int], schedule: Schedule, data: Data, few: int = 2
) -> dict[str, object]:
    """Return what a method reaches at its best rate.

    The grid is tried on the first ``few`` seeds, and extended until the rate with the least validation error (the
    median of these seeds) is not at its end; the other seeds are trained at that rate only.
    """
    first = list(seeds[:few])
    found: dict[float, tuple[Tensor, Tensor, Stack, list[int]]] = {}
    todo: Sequence[float] = GRID
    while todo:
        course = trained(task, shape, method, [(rate, seed) for rate in todo for seed in first], schedule, data)
        for place, rate in enumerate(todo):
            rows = range(place * len(first), (place + 1) * len(first))
            found[rate] = (course.validation[list(rows)], course.test[list(rows)], course.stack, list(rows))
        best = min(sorted(found), key=lambda rate: _middle(found[rate][0][:, -1]))
        place = BEYOND.index(best)
        beside = [BEYOND[other] for other in (place - 1, place + 1) if 0 <= other < len(BEYOND)]
        todo = [rate for rate in beside if rate not in found]
    validation, test = found[best][:2]
    rest = list(seeds[few:])
    stacks = [(found[best][2], found[best][3])]
    if rest:
        course = trained(task, shape, method, [(best, seed) for seed in rest], schedule, data)
        validation, test = torch.cat([validation, course.validation]), torch.cat([test, course.test])
        stacks.append((course.stack, list(range(len(rest)))))
    return {
        "rate": best,
        "test": test[:, -1].tolist(),
        "validation": validation[:, -1].tolist(),
        "start": test[:, 0].tolist(),
        "tested": schedule.tested(),
        "courses": test.tolist(),
        "rates": {f"{rate:g}": _middle(found[rate][0][:, -1]) for rate in sorted(found)},
        **task.besides(stacks, list(seeds), data),
    }


def _middle(values: Tensor) -> float:
    """The median, of two the mean; infinite where one of them is not a number."""
    ordered = torch.nan_to_num(values, nan=math.inf, posinf=math.inf).sort().values
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half]))
