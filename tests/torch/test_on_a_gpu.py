"""The contract on a CUDA device, whose generators and kernels are others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, apply_, icnn_, plan, project_, project_after_step, projected_parameters
from convex_init_core.weights.laws import DISTRIBUTIONS
from tests.contract.convexity import convexity_violation
from tests.contract.law_bounds import assert_follows
from tests.torch.networks import MAPS, as_numpy, generator, positive_linear

pytestmark = pytest.mark.gpu


def on_gpu(seed: int) -> torch.Generator:
    return torch.Generator("cuda").manual_seed(seed)


@pytest.mark.parametrize(("fan_in", "fan_out"), [(1, 400_000), (784, 784), (100_000, 20)])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_weights_follow_the_law(distribution, fan_in, fan_out):
    model = positive_linear(fan_in, fan_out).cuda()
    apply_(model, distribution=distribution, generator=generator())
    recipe = plan(model, distribution=distribution).layers[0].recipe
    assert_follows(model[1].weight.detach().double().cpu().numpy(), recipe.weight, epsilon=2.0**-22)
    assert model[1].bias.detach().cpu().numpy() == pytest.approx(recipe.statistics.bias_mean, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
@pytest.mark.parametrize("positivity", MAPS)
def test_weights_follow_the_law_through_every_map(positivity, distribution, dtype):
    model = positive_linear(120, 1500, positivity, dtype).cuda()
    apply_(model, distribution=distribution, generator=generator(1))
    recipe = plan(model, distribution=distribution).layers[0].recipe
    weights = model[1].weight.detach().double().cpu().numpy()
    assert_follows(weights, recipe.weight, positivity, max(float(torch.finfo(dtype).eps), 2.0**-22))


@pytest.mark.parametrize("make", [generator, on_gpu])
def test_generators_of_either_device(make):
    def drawn(seed: int) -> torch.Tensor:
        return icnn_(torch.empty(50, 40, device="cuda"), generator=make(seed))

    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    assert torch.equal(drawn(0), drawn(0))
    assert not torch.isclose(drawn(0), drawn(1)).any()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])


def test_a_model_on_both_devices():
    model = nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 30).cuda())
    apply_(model, generator=generator())
    project_(model)
    assert model[2].weight.min() > 0.0
    assert model[0].weight.std().item() == pytest.approx(5**-0.5, rel=0.3)


@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}, {"fused": True, "capturable": True}])
def test_projection_after_every_step(options):
    model = ICNN(3, (24, 20, 16), 1, device="cuda")
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, **options)
    project_after_step(optimizer, model)
    x = 2.0 * torch.randn(256, 3, generator=generator()).cuda()
    y = torch.sin(2.0 * x).sum(1, keepdim=True)
    for _ in range(60):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
    assert all(weight.min() >= 0.0 for weight in projected_parameters(model).values())
    assert convexity_violation(as_numpy(model.cpu()), 3) <= 1e-12


def test_a_gradient_scaler_and_half_precision():
    model = ICNN(3, (24, 20), 1, device="cuda")
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    project_after_step(optimizer, model)
    scaler = torch.amp.GradScaler("cuda")
    for _ in range(5):
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.float16):
            loss = model(torch.randn(64, 3, device="cuda")).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert all(weight.min() >= 0.0 for weight in projected_parameters(model).values())
