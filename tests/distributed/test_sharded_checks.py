"""What is refused on sharded models, with nothing written."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import convex_init.torch as ci


def network(device="meta", bias=True):
    with torch.device(device):
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4, bias=bias))


def sharded(**options):
    from torch.distributed.fsdp import fully_shard

    model = network(**options)
    fully_shard(model)
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.125)
    return model


def assert_refused(model, reason, **options):
    with pytest.raises(ValueError, match=reason):
        ci.apply_(model, **options)
    for parameter in model.parameters():
        assert bool((parameter.to_local() == 0.125).all())


def check_refusals(rank):
    from torch.distributed.fsdp import fully_shard

    model = sharded()
    model[2].weight.requires_grad_(False)
    assert_refused(model, r"'2'.*frozen")
    assert_refused(sharded(bias=False), "register_missing_bias cannot add", register_missing_bias=True)
    assert_refused(sharded(), "correlation", correlation=2.0)

    on_meta = network()
    fully_shard(on_meta)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ci.apply_(on_meta)
    assert any("meta device" in str(warning.message) for warning in caught)
    assert all(parameter.is_meta for parameter in on_meta.parameters())


def test_frozen_missing_bias_and_meta(world):
    world.run(check_refusals)


def check_partial(rank, world_size):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial

    mesh = init_device_mesh("cpu", (world_size,))
    layer = nn.Linear(8, 4)
    layer.weight = nn.Parameter(DTensor.from_local(torch.full((4, 8), 0.125), mesh, [Partial()]))
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), layer)
    with pytest.raises(ValueError, match=r"'2'.*partial sum.*redistribute"):
        ci.apply_(model)
    with pytest.raises(ValueError, match=r"partial sum.*redistribute"):
        ci.icnn_(layer.weight.detach())
    assert bool((layer.weight.to_local() == 0.125).all())


def test_partial_sums(world):
    world.run(check_partial, world.size)


def check_wrapped(rank):
    from torch.distributed.fsdp import FullyShardedDataParallel

    model = network("cpu")
    before = [parameter.clone() for parameter in model.parameters()]
    wrapped = nn.parallel.DistributedDataParallel(model)
    with pytest.raises(ValueError, match="before wrapping"):
        ci.apply_(wrapped)
    assert [layer.path for layer in ci.plan(wrapped).layers] == [layer.path for layer in ci.plan(model).layers]
    flattened = FullyShardedDataParallel(network("cpu"), use_orig_params=True, device_id=torch.device("cpu"))
    with pytest.raises(ValueError, match="fully_shard"):
        ci.apply_(flattened.module)
    return all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)) or rank > 0


def test_wrappers_that_came_too_early(world):
    assert all(world.run(check_wrapped))


class Scaled(nn.Module):
    """Each unit of a branch has a learnt factor, and its activation a learnt slope: laws depend on both."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        self.factor, self.bend = nn.Parameter(torch.linspace(-2.0, 0.0, 8)), nn.PReLU(8, init=0.5)

    def forward(self, x):
        return self.last(self.bend(self.factor.exp() * self.second(self.bend(self.first(x)))))


def check_the_plan(rank):
    from torch.distributed.fsdp import fully_shard

    torch.manual_seed(0)
    model, x = Scaled(), torch.randn(16, 6)
    whole = str(ci.plan(model, x, calibrate=False))
    assert "prelu(0.5)" in whole
    fully_shard(model)
    assert str(ci.plan(model, x, calibrate=False)) == whole


def test_a_sharded_model_has_the_plan_of_the_whole_one(world):
    world.run(check_the_plan)
