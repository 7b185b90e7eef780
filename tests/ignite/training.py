"""A small trainer whose steps push marked weights below 0."""

from __future__ import annotations

import torch
from ignite.engine import Engine

from convex_init.torch import ICNN, apply_, projected_parameters


def network():
    return apply_(ICNN(4, [8, 8], 1), method="bounded_gain", generator=torch.Generator().manual_seed(0))


def data(batches=12):
    x = torch.randn(batches, 16, 4, generator=torch.Generator().manual_seed(1))
    return [(batch, -batch.square().sum(1, keepdim=True)) for batch in x]


def trainer_for(model, lr=0.05, accumulate=1):
    """Adam on a concave target; one step for every ``accumulate`` iterations."""
    optimizer = torch.optim.Adam(model.parameters(), lr)

    def step(engine, batch):
        x, y = batch
        loss = (model(x) - y).square().mean() / accumulate
        loss.backward()
        if engine.state.iteration % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    engine = Engine(step)
    engine.optimizer = optimizer
    return engine


def least(model):
    """Smallest marked weight."""
    return min(weight.amin().item() for weight in projected_parameters(model).values())
