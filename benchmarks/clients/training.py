"""Two hundred steps of training from a library's own start and from ours, each at its own best rate."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmarks.clients.catalogue import Client
from benchmarks.clients.verdict import first, initialised

EXAMPLES, TESTS, STEPS, PIECES = 256, 512, 200, 24
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
LOWEST, HIGHEST = 1e-6, 10.0

Start = Callable[[Client, int, tuple[Tensor, ...]], nn.Module]


@dataclass
class Runs:
    """The mean error at the end, by rate, in units of the target's variance; lower is better."""

    errors: dict[float, float] = field(default_factory=dict)

    @property
    def best(self) -> float:
        """The rate with the lowest error."""
        return min(self.errors, key=self.errors.__getitem__)

    @property
    def error(self) -> float:
        """The error at the best rate."""
        return self.errors[self.best]


def by_default(client: Client, seed: int, shown: tuple[Tensor, ...]) -> nn.Module:
    """Return a model as its library starts it; what initialises itself at its first batch has seen one."""
    torch.manual_seed(seed)
    model = client.build()
    with torch.no_grad():
        model(*shown)
    return model


def ours(client: Client, seed: int, shown: tuple[Tensor, ...]) -> nn.Module:
    """Return a model with our start; what initialises itself at its first batch has seen one."""
    model = initialised(client, seed, shown)
    with torch.no_grad():
        model(*shown)
    return model


def target(inputs: tuple[Tensor, ...], seed: int) -> Tensor:
    """Return a convex function of the first input, the log-sum-exp of random affine pieces; one value an example.

    With a context, the pieces' offsets depend on it, so that the function stays convex in the first input.
    """
    generator = torch.Generator().manual_seed(10_000 + seed)
    x = inputs[0].flatten(1)
    slopes = torch.randn(x.shape[1], PIECES, generator=generator) * 2 / x.shape[1] ** 0.5
    pieces = x @ slopes + torch.randn(PIECES, generator=generator)
    for context in inputs[1:]:
        flat = context.flatten(1)
        pieces = pieces + flat @ torch.randn(flat.shape[1], PIECES, generator=generator)
    return torch.logsumexp(pieces, 1)


def trained(client: Client, start: Start, rate: float, seed: int, steps: int = STEPS) -> float:
    """Train on standardised targets with Adam; return the mean squared error on fresh examples.

    Every client keeps its weights non-negative by itself, by a map or by clamping in its forward.
    """
    generator = torch.Generator().manual_seed(seed)
    shown, fresh = client.inputs(EXAMPLES, generator), client.inputs(TESTS, generator)
    seen, unseen = target(shown, seed), target(fresh, seed)
    centre, scale = seen.mean(), seen.std()
    model = start(client, seed, shown)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (_value(model(*shown)) - (seen - centre) / scale).square().mean()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = (_value(model(*fresh)) - (unseen - centre) / scale).square().mean()
    return float(error) if error.isfinite() else float("inf")


def at_its_best_rate(client: Client, start: Start, seeds: Sequence[int], steps: int = STEPS) -> Runs:
    """Train at each rate of the grid, and at more until the best is not at its end."""
    runs = Runs()

    def run(rate: float) -> None:
        runs.errors[rate] = statistics.mean(trained(client, start, rate, seed, steps) for seed in seeds)

    for rate in RATES:
        run(rate)
    while runs.best == min(runs.errors) and runs.best > LOWEST:
        run(_next(runs.best, 1 / 10**0.5))
    while runs.best == max(runs.errors) and runs.best < HIGHEST:
        run(_next(runs.best, 10**0.5))
    runs.errors = dict(sorted(runs.errors.items()))
    return runs


def _next(rate: float, factor: float) -> float:
    """Return a neighbour on the grid 1, 3, 10, 30, …, where a half step is rounded to 3."""
    return float(f"{rate * factor:.0e}")


def _value(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    value = first(output)
    return value.reshape(len(value), -1).mean(1)
