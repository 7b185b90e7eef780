"""Training on several ranks: projection on local shards, checkpoints, and ranks that stay equal."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import convex_init.torch as ci
from tests.distributed.test_sharded_init import Watch, assert_same, seeded


def network(device, **options):
    return ci.ICNN(6, [11, 10], 1, skip=True, device=device, **options)


def sharded(**options):
    from torch.distributed.fsdp import fully_shard

    model = network("meta", **options)
    for layer in model.layers:
        fully_shard(layer)
    fully_shard(model)
    model.to_empty(device="cpu")
    return ci.apply_(model, generator=seeded())


def batches(count):
    generator = seeded(5)
    for _ in range(count):
        x = torch.randn(32, 6, generator=generator)
        yield x, x[:, :1] - x[:, 1:2].square()  # concave in part, so that weights are pushed below 0


def train(model, optimizer, count):
    for x, y in batches(count):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()


def least(model):
    """Smallest marked weight that is held here."""
    parts = [getattr(p, "to_local", lambda p=p: p)() for p in ci.projected_parameters(model).values()]
    return min(float(part.min()) for part in parts if part.numel())


def check_projection(rank):
    alone = ci.apply_(network("cpu"), generator=seeded())
    step = torch.optim.SGD(alone.parameters(), 0.1)
    ci.project_after_step(step, alone)
    train(alone, step, 10)

    model = sharded()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    handle = ci.project_after_step(optimizer, model)
    train(model, optimizer, 10)
    assert least(model) >= 0
    clamped = sum(int((p.to_local() == 0).sum()) for p in ci.projected_parameters(model).values())
    for name, tensor in model.state_dict().items():  # all ranks see the same data, so this is the same training
        torch.testing.assert_close(tensor.full_tensor(), alone.state_dict()[name])
    handle.remove()
    train(model, optimizer, 3)
    return [clamped, least(model)]


def test_projection_after_the_step_of_a_sharded_model(world):
    clamped, lows = zip(*world.run(check_projection), strict=True)
    assert sum(clamped) > 0
    assert min(lows) < 0  # so it was the projection that kept them up


def check_project_once(rank):
    model = sharded()
    for parameter in ci.projected_parameters(model).values():
        parameter.data.to_local().sub_(1.0)
    with torch.no_grad():
        model(torch.zeros(2, 6))  # leaves gathered weights in the root module
    assert not hasattr(model.skips[0].weight, "to_local")
    with Watch() as seen:
        ci.project_(model)
    assert seen.messages == 0
    assert least(model) == 0
    before = {name: tensor.to_local().clone() for name, tensor in model.state_dict().items()}
    ci.project_(list(ci.projected_parameters(model).values()))
    assert all(torch.equal(tensor.to_local(), before[name]) for name, tensor in model.state_dict().items())
    x = torch.randn(3, 6, generator=seeded())
    whole = network("cpu")
    whole.load_state_dict({name: tensor.full_tensor() for name, tensor in model.state_dict().items()})
    torch.testing.assert_close(model(x), whole(x))  # the next forward gathers the projected weights


def test_project_between_a_forward_and_the_next(world):
    world.run(check_project_once)


def check_stale_optimizer(rank):
    from torch.distributed.fsdp import fully_shard

    model = network("cpu")
    early = torch.optim.SGD(model.parameters(), 0.1)
    fully_shard(model)
    with pytest.raises(ValueError, match="optimizer does not hold"):
        ci.project_after_step(early, model)


def test_an_optimizer_made_before_sharding_is_refused(world):
    world.run(check_stale_optimizer)


def check_checkpoint(rank, folder):
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    model = sharded()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    ci.project_after_step(optimizer, model)
    train(model, optimizer, 4)
    state, optimizer_state = get_state_dict(model, optimizer)
    dcp.save({"model": state, "optimizer": optimizer_state}, checkpoint_id=folder)
    train(model, optimizer, 3)

    again = sharded()
    second = torch.optim.Adam(again.parameters(), 0.05)
    ci.project_after_step(second, again)  # also before loading: the shards that are there are clamped
    state, optimizer_state = get_state_dict(again, second)
    dcp.load({"model": state, "optimizer": optimizer_state}, checkpoint_id=folder)
    set_state_dict(again, second, model_state_dict=state, optim_state_dict=optimizer_state)
    train(again, second, 3)
    assert least(again) >= 0
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a.to_local(), b.to_local()), name

    whole = network("cpu")  # another number of devices: none
    dcp.load({"model": (state := whole.state_dict())}, checkpoint_id=folder)
    whole.load_state_dict(state)
    assert list(ci.projected_parameters(whole)) == list(ci.projected_parameters(model))
    return float(sum(parameter.double().sum() for parameter in whole.parameters()))


def test_distributed_checkpoint(world, tmp_path):
    assert len(set(world.run(check_checkpoint, str(tmp_path)))) == 1


def check_positivity_map(rank):
    alone = ci.apply_(network("cpu", positivity="softplus"), generator=seeded())
    step = torch.optim.SGD(alone.parameters(), 0.1)
    train(alone, step, 5)
    model = sharded(positivity="softplus")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    train(model, optimizer, 5)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor.full_tensor(), alone.state_dict()[name])


def test_a_positivity_map_trains_sharded_as_it_does_alone(world):
    world.run(check_positivity_map)


def check_data_parallel(rank, world_size):
    torch.manual_seed(rank)  # so that ranks begin with different weights
    model = network("cpu")
    wrapped = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.Adam(wrapped.parameters(), 0.05)
    with Watch() as seen:
        handle = ci.project_after_step(optimizer, wrapped)
        ci.project_(wrapped)
    assert seen.messages == 0
    average = AveragedModel(wrapped)

    def train_here(count):
        """Two micro-batches for each step; the gradients of the first are not exchanged by themselves."""
        for x, y in batches(count):
            optimizer.zero_grad()
            for part in range(2):
                mine = slice(rank + part * world_size, None, 2 * world_size)
                with nullcontext() if part else wrapped.no_sync():
                    (wrapped(x[mine]) - y[mine]).square().mean().backward()
            optimizer.step()
            average.update_parameters(wrapped)

    train_here(8)
    kept = copy.deepcopy(model)
    for one in (wrapped, average.module):
        assert least(one) >= 0
        certificate = ci.certify(one.module, torch.zeros(4, 6))
        assert certificate, str(certificate)
    handle.remove()
    train_here(4)
    assert not ci.certify(model, torch.zeros(4, 6))  # so it was the projection that kept it convex
    model.load_state_dict(kept.state_dict())
    return [[float(p.double().sum()), float(p.double().square().sum())] for p in model.parameters()]


def test_data_parallel_ranks_stay_equal(world):
    found = world.run(check_data_parallel, world.size)
    assert all(weights == found[0] for weights in found)


def check_replicated(rank, world_size):
    """Hybrid sharding: shards along one axis of the mesh, copies along the other."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = network("meta")
    fully_shard(model, mesh=init_device_mesh("cpu", (world_size // 2, 2), mesh_dim_names=("copies", "shards")))
    model.to_empty(device="cpu")
    ci.apply_(model, generator=seeded(3 + rank))
    expected = ci.apply_(network("cpu"), generator=seeded(3)).state_dict()
    for name, tensor in model.state_dict().items():
        assert_same(tensor, expected[name])


def test_hybrid_sharding(world):
    world.run(check_replicated, world.size)
