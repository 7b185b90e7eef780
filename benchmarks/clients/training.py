"""Two hundred steps of training from a library's own start and from ours, each at its own best rate."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.clients.catalogue import Client
from benchmarks.clients.protocol import EXAMPLES, PIECES, STEPS, TESTS, Runs, over_rates
from benchmarks.clients.verdict import first, initialised

Start = Callable[[Client, int, tuple[Tensor, ...]], nn.Module]


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
    """Return a convex function of the first input, one value an example.

    Of vectors it is the log-sum-exp of random affine pieces; with a context, the pieces' offsets depend on it, and it
    stays convex in the first input. Of images it is the mean of |x| and of their total variation.
    """
    x, contexts = inputs[0], inputs[1:]
    if x.ndim == 4:
        steps = x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))
        return x.abs().mean((1, 2, 3)) + steps
    generator = torch.Generator().manual_seed(10_000 + seed)
    pieces = torch.randn(PIECES, generator=generator).expand(len(x), -1)
    for part, reach in ((x, 2.0), *((context, 1.0) for context in contexts)):
        slopes = torch.randn(part.shape[1], PIECES, generator=generator) * reach / part.shape[1] ** 0.5
        pieces = pieces + part @ slopes
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
    return over_rates(lambda rate: statistics.mean(trained(client, start, rate, seed, steps) for seed in seeds))


def _value(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    value = first(output)
    return value.reshape(len(value), -1).mean(1)
