"""A model that is sharded before it is initialised gets exactly the weights of one that is not."""

from __future__ import annotations

import contextlib
import itertools

import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import convex_init.torch as ci
from convex_init.torch.model.fans import geometry
from convex_init.torch.write import drawing


@contextlib.contextmanager
def small_blocks(size=64):
    """Blocks so small that the shards of small tensors cut many of them."""
    before, drawing.BLOCK = drawing.BLOCK, size
    try:
        yield
    finally:
        drawing.BLOCK = before


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def meshes(world_size):
    from torch.distributed.device_mesh import init_device_mesh

    yield init_device_mesh("cpu", (world_size,))
    yield init_device_mesh("cpu", (2, world_size // 2))


def placements(mesh, ndim):
    from torch.distributed.tensor import Replicate, Shard

    yield from itertools.product([Replicate(), *(Shard(d) for d in range(ndim))], repeat=mesh.ndim)


def assert_same(sharded, full):
    """Compare what is here with torch's own way to shard the full tensor."""
    from torch.distributed.tensor import distribute_tensor

    expected = distribute_tensor(full, sharded.device_mesh, sharded.placements, src_data_rank=None)
    assert torch.equal(sharded.to_local(), expected.to_local()), (full.shape, sharded.placements)


def check_every_placement(rank, world_size, shape, distribution, positivity):
    from torch.distributed.tensor import distribute_tensor

    assert drawing.BLOCK > 64
    with small_blocks():
        bias = torch.empty(shape[0])
        full = ci.icnn_(torch.empty(shape), bias, fan_in=9, distribution=distribution, positivity=positivity,
                        bias_noise=0.2, generator=seeded())[0]  # fmt: skip
        assert float(full.std()) > 0
        for mesh in meshes(world_size):
            for chosen in placements(mesh, len(shape)):
                weight = distribute_tensor(torch.full(shape, torch.nan), mesh, chosen)
                second = distribute_tensor(torch.full(shape[:1], torch.nan), mesh)
                ci.icnn_(weight, second, fan_in=9, distribution=distribution, positivity=positivity, bias_noise=0.2,
                         generator=seeded())  # fmt: skip
                assert_same(weight, full)
                assert torch.equal(second.to_local(), bias)


def check_a_method(rank, world_size, shape, chosen, positivity):
    from torch.distributed.tensor import distribute_tensor

    with small_blocks():
        options = {"fan_in": 9, "positivity": positivity, **chosen}
        if len(shape) > 2:
            options["geometry"] = geometry(nn.Conv1d(shape[1], shape[0], shape[2]))
        full = ci.icnn_(torch.empty(shape), generator=seeded(), **options)
        assert float(full.std()) > 0
        for mesh in meshes(world_size):
            for placed in placements(mesh, len(shape)):
                weight = distribute_tensor(torch.full(shape, torch.nan), mesh, placed)
                ci.icnn_(weight, generator=seeded(), **options)
                assert_same(weight, full)


@pytest.mark.parametrize(
    ("shape", "chosen", "positivity"),
    [
        ((13, 29), {"method": "isometric"}, None),
        ((29, 13), {"method": "isometric"}, "exp"),
        ((24, 24), {"method": "isometric"}, "softplus"),
        ((6, 5, 3), {"method": "isometric"}, None),
        ((13, 29), {"match_moments": True}, None),
        ((3, 200), {"match_moments": True, "distribution": "gamma"}, "exp"),
    ],
)
def test_every_method_gives_a_shard_what_one_machine_gives(world, shape, chosen, positivity):
    world.run(check_a_method, world.size, shape, chosen, positivity)


@pytest.mark.parametrize(
    ("shape", "distribution", "positivity"),
    [
        ((13, 29), "log_normal", None),
        ((13, 29), "gamma", "softplus"),
        ((29, 13), "spike_and_slab", None),
        ((300, 2), "two_point", None),
        ((1, 257), "log_normal", "exp"),  # fewer rows than ranks: some hold nothing
        ((3, 5, 3, 3), "log_normal", None),
        ((130,), "gamma", None),
    ],
)
def test_every_placement_gives_the_numbers_of_one_device(world, shape, distribution, positivity):
    world.run(check_every_placement, world.size, shape, distribution, positivity)


def check_memory_order(rank, world_size):
    from torch.distributed.tensor import DTensor, Shard

    mesh = next(iter(meshes(world_size)))
    with small_blocks():
        full = ci.icnn_(torch.empty(4, 8, 3, 3), fan_in=72, generator=seeded())
        local = torch.empty(4 // world_size, 8, 3, 3).to(memory_format=torch.channels_last)
        weight = DTensor.from_local(local, mesh, [Shard(0)])
        ci.icnn_(weight, fan_in=72, generator=seeded())
        assert_same(weight, full)
        half = DTensor.from_local(local.bfloat16(), mesh, [Shard(0)])
        ci.icnn_(half, fan_in=72, generator=seeded())
        assert_same(half, full.bfloat16())


def test_channels_last_and_half_precision(world):
    world.run(check_memory_order, world.size)


def build(kind, device):
    if kind == "icnn":
        return ci.ICNN(7, [13, 11], 3, skip=True, device=device)
    if kind == "exp":
        return ci.ICNN(7, [13, 11], 1, positivity="exp", device=device)
    if kind == "convolution":
        with torch.device(device):
            return nn.Sequential(
                nn.Conv2d(2, 6, 3), nn.ReLU(), ci.ConvexConv2d(6, 5, 3), nn.ELU(), nn.Flatten(), nn.Linear(20, 4)
            )
    if kind == "tied":
        with torch.device(device):
            model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
            model[4].weight = model[2].weight
            return model
    raise AssertionError(kind)


def check_fully_shard(rank, kind):
    from torch.distributed.fsdp import fully_shard

    with small_blocks():
        alone = ci.apply_(build(kind, "cpu"), generator=seeded(), bias_noise=0.25)
        model = build(kind, "meta")
        if kind != "tied":  # a weight that two modules share must be in one group
            for layer in [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]:
                fully_shard(layer)
        fully_shard(model)
        model.to_empty(device="cpu")
        state = torch.get_rng_state()
        ci.apply_(model, generator=seeded(), bias_noise=0.25)
        assert torch.equal(torch.get_rng_state(), state)
    expected = alone.state_dict()
    found = model.state_dict()
    assert list(found) == list(expected)
    for name, tensor in found.items():
        assert_same(tensor, expected[name])
    assert list(ci.projected_parameters(model)) == list(ci.projected_parameters(alone))


@pytest.mark.parametrize("kind", ["icnn", "exp", "convolution", "tied"])
def test_meta_then_fully_shard_then_apply(world, kind):
    world.run(check_fully_shard, kind)


def check_tensor_parallel(rank, world_size):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    mesh = init_device_mesh("cpu", (world_size // 2, 2), mesh_dim_names=("data", "tensor"))

    def network(device):
        with torch.device(device):
            return nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 8))

    with small_blocks():
        expected = ci.apply_(network("cpu"), generator=seeded(), bias_noise=0.25).state_dict()
        model = network("meta")
        ways = {"0": ColwiseParallel(), "2": RowwiseParallel(), "4": ColwiseParallel()}
        parallelize_module(model, mesh["tensor"], ways)
        fully_shard(model, mesh=mesh["data"])
        model.to_empty(device="cpu")
        ci.apply_(model, generator=seeded(), bias_noise=0.25)
    kinds = set()
    for name, tensor in model.state_dict().items():
        kinds |= {type(placement).__name__ for placement in tensor.placements}
        assert torch.equal(tensor.full_tensor(), expected[name]), (name, tensor.placements)
    return sorted(kinds)


def test_fully_shard_over_tensor_parallel_layers(world):
    kinds = world.run(check_tensor_parallel, world.size)
    if world.size == 4:  # both meshes cut dimension 0 of the column-parallel layers, the inner one first
        assert "_StridedShard" in kinds[0]


class Watch(TorchDispatchMode):
    """What happens to plain tensors, also beneath DTensors: the largest result, in elements, and the messages sent."""

    def __init__(self):
        super().__init__()
        self.elements = self.messages = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        from torch.distributed.tensor import DTensor

        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # so that it is taken apart first
        self.messages += function.namespace in ("c10d", "_c10d_functional") and "wait" not in str(function)
        result = function(*arguments, **(options or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if (
                type(value) is torch.Tensor and not value.is_meta
            ):  # and no stand-in without storage, with which DTensor works out shapes
                self.elements = max(self.elements, value.numel())
        return result


def check_memory(rank, world_size, positivity):
    from torch.distributed.fsdp import fully_shard

    side, block = 256, 1024
    model = ci.ICNN(side, [side, side], 4, positivity=positivity, device="meta")
    fully_shard(model)
    model.to_empty(device="cpu")
    with small_blocks(block), Watch() as seen:
        ci.apply_(model, generator=seeded())
    with Watch() as gathered:
        model.layers[0].weight.full_tensor()
    assert gathered.elements == side * side  # the gauge sees a full parameter
    return seen.elements


@pytest.mark.parametrize("positivity", ["projection", "exp", "softplus"])
def test_no_rank_holds_a_full_parameter(world, positivity):
    side, block = 256, 1024
    for elements in world.run(check_memory, world.size, positivity):
        assert elements <= max(block, side * side // world.size)


def check_other_seeds(rank):
    from torch.distributed.fsdp import fully_shard

    def network(device):
        return ci.ICNN(5, [9, 8], 2, device=device)

    expected = ci.apply_(network("cpu"), generator=seeded(100)).state_dict()
    model = network("meta")
    fully_shard(model)
    model.to_empty(device="cpu")
    ci.apply_(model, generator=seeded(100 + rank))
    for name, tensor in model.state_dict().items():
        assert_same(tensor, expected[name])
    torch.manual_seed(rank)  # likewise without a generator
    ci.apply_(model)
    alone = network("cpu")
    torch.manual_seed(0)
    expected = ci.apply_(alone).state_dict()
    for name, tensor in model.state_dict().items():
        assert_same(tensor, expected[name])


def test_ranks_with_different_seeds_take_that_of_the_first(world):
    world.run(check_other_seeds)


def check_messages(rank):
    from torch.distributed.fsdp import fully_shard

    model = ci.ICNN(6, [8, 8], 2, positivity="exp", device="meta")
    fully_shard(model)
    model.to_empty(device="cpu")
    with Watch() as planning:
        ci.plan(model)
    with Watch() as executing:
        ci.apply_(model, generator=seeded())
    with Watch() as gathering:
        model.layers[0].weight.full_tensor()
    assert gathering.messages > 0
    return [planning.messages, executing.messages]


def test_the_seed_is_all_that_is_sent(world):
    assert world.run(check_messages) == [[0, 1]] * world.size
