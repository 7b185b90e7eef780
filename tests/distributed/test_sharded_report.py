"""The signal report of a sharded model is that of the whole one."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import convex_init.torch as ci


def network():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))


def check_report(rank, method):
    from torch.distributed.fsdp import fully_shard

    model, x = network(), torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    for layer in model[::2]:
        fully_shard(layer)
    fully_shard(model)
    ci.apply_(model, method=method, generator=torch.Generator().manual_seed(0))
    alone = network()
    ci.apply_(alone, method=method, generator=torch.Generator().manual_seed(0))
    found, due = ci.signal_report(model, x).layers, ci.signal_report(alone, x).layers
    for a, b in zip(found, due, strict=True):
        for name in ("mean", "variance", "correlation", "gradient", "predicted_gradient"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-4, abs=1e-6, nan_ok=True), (a.path, name)
        assert a.predicted.variance == pytest.approx(b.predicted.variance, rel=1e-4, nan_ok=True)
    return [math.isnan(layer.predicted.variance) for layer in found]


@pytest.mark.parametrize(("method", "unknown"), [("log_normal", [False] * 3), ("isometric", [False, True, True])])
def test_report_of_a_sharded_model(world, method, unknown):
    assert world.run(check_report, method) == [unknown] * world.size
