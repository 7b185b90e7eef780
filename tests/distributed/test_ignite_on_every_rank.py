"""The ignite projection on several ranks: each clamps its own weights or shards, with nothing sent."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("ignite")

import torch
from ignite.engine import Engine
from ignite.handlers import EMAHandler
from torch import nn

from convex_init.ignite import ConvexityGuard, NonNegProjection
from tests.distributed.test_sharded_init import Watch
from tests.distributed.test_sharded_training import batches, least, network, sharded


def trainer_for(model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(engine, batch):
        x, y = batch
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()

    return Engine(step)


def check_ranks(rank, kind):
    model = sharded() if kind == "sharded" else nn.parallel.DistributedDataParallel(network("cpu"))
    trainer = trainer_for(model)
    if kind == "wrapped":
        average = EMAHandler(model, momentum=1 - 1e-9)
        average.attach(trainer)
    ConvexityGuard(model).attach(trainer)
    handle = NonNegProjection(model).attach(trainer)  # last, and yet it runs first
    trainer.run(list(batches(10)))
    assert least(model) >= 0
    if kind == "wrapped":
        assert least(average.ema_model) >= 0
    with Watch() as seen:
        NonNegProjection(model)()
        ConvexityGuard(model)(trainer)
    assert seen.messages == 0
    handle.remove()
    with torch.no_grad():
        for parameter in (weight for name, weight in model.named_parameters() if name.endswith("layers.1.weight")):
            getattr(parameter, "to_local", lambda p=parameter: p)().sub_(1.0)
    with pytest.raises(RuntimeError, match=r"layers\.1\.weight"):
        ConvexityGuard(model)(trainer)


@pytest.mark.parametrize("kind", ["sharded", "wrapped"])
def test_every_rank_clamps_and_looks(world, kind):
    world.run(check_ranks, kind)
