"""After 200 steps of each way to train, no effective weight is negative and the network is convex.

The target is concave, so that training pushes weights below 0: the same recipes without projection fail both checks.
"""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from convex_init.torch import ICNN, apply_, project_after_step, projected_parameters
from tests.contract.convexity import convexity_violation
from tests.torch.networks import generator

STEPS, FEATURES = 200, 6
# Rounding of float32 in sums of tens of terms of the size of the outputs: a few times 2^-24 · sqrt(40) of it.
TOLERANCE = 1e-5


def network(**options):
    return apply_(ICNN(FEATURES, [20, 20], 1, **options), generator=generator())


def batches(count=STEPS):
    source = generator(1)
    for _ in range(count):
        x = torch.randn(32, FEATURES, generator=source)
        yield x, torch.cos(x).sum(1, keepdim=True) - x.square().sum(1, keepdim=True)


def loss_of(model, x, y):
    return (model(x) - y).square().mean()


def adam(model, project, **options):
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 0.01, **options)
    if project:
        project_after_step(optimizer, model)
    return optimizer


def plain(project, model=None, step=None, **options):
    model = network() if model is None else model
    optimizer = adam(model, project, **options)
    step = optimizer.step if step is None else step(optimizer)
    for x, y in batches():
        optimizer.zero_grad()
        loss_of(model, x, y).backward()
        step()
    return model


def scaled_with_skips(project):
    model = network()
    optimizer = adam(model, project)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=5)
    skipped = 0
    for k, (x, y) in enumerate(batches()):
        optimizer.zero_grad()
        scaler.scale(loss_of(model, x, y)).backward()
        if k % 17 == 3:
            model.layers[1].weight.grad[0, 0] = torch.inf
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < before
    assert skipped >= STEPS // 17
    return model


def accumulated(project):
    model = network()
    optimizer = adam(model, project)
    for k, (x, y) in enumerate(batches(4 * STEPS)):
        (loss_of(model, x, y) / 4).backward()
        if k % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    return model


def averaged(project, **options):
    model = network()
    optimizer = adam(model, project)
    average = AveragedModel(model, **options)
    for x, y in batches():
        optimizer.zero_grad()
        loss_of(model, x, y).backward()
        optimizer.step()
        average.update_parameters(model)
    return average


def exponential_average(project):
    return averaged(project, multi_avg_fn=get_ema_multi_avg_fn(0.9))


def swa(project):
    return averaged(project)


def fused(project):
    return plain(project, fused=True)


def compiled_step(project):
    # The graph is captured as for any backend and run as it is: a backend that generates code needs a C++ compiler.
    return plain(project, step=lambda optimizer: torch.compile(optimizer.step, backend="eager"))


def frozen(project):
    model = network()
    model.layers[0].requires_grad_(False)
    model.layers[2].requires_grad_(False)
    before = model.layers[2].weight.clone()
    plain(project, model)
    assert torch.equal(model.layers[2].weight, before)
    return model


def tied(project):
    def square():
        return nn.Linear(20, 20)

    model = nn.Sequential(
        nn.Linear(FEATURES, 20), nn.ReLU(), square(), nn.ReLU(), square(), nn.ReLU(), nn.Linear(20, 1)
    )
    model[4].weight = model[2].weight
    apply_(model, generator=generator())
    assert list(projected_parameters(model)) == ["2.weight", "6.weight"]
    return plain(project, model)


def lbfgs(project):
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), 0.05, max_iter=2)
    if project:
        project_after_step(optimizer, model)
    for x, y in batches():

        def closure(x=x, y=y):
            optimizer.zero_grad()
            loss = loss_of(model, x, y)
            loss.backward()
            return loss

        optimizer.step(closure)
    return model


RECIPES = [
    plain, scaled_with_skips, accumulated, exponential_average, swa, fused, compiled_step, frozen, tied, lbfgs,
]  # fmt: skip


def least(model):
    inner = model.module if isinstance(model, AveragedModel) else model
    return min(weight.detach().amin().item() for weight in projected_parameters(inner).values())


def violation(model):
    @torch.no_grad()
    def outputs(x):
        return model(torch.from_numpy(x).float()).double().numpy()

    return convexity_violation(outputs, FEATURES, segments=1000)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("recipe", RECIPES)
def test_convex_after_200_steps(recipe):
    model = recipe(project=True)
    assert least(model) >= 0.0
    assert violation(model) < TOLERANCE


@pytest.mark.parametrize("recipe", [plain, scaled_with_skips, exponential_average, tied])
def test_without_projection_it_is_not(recipe):
    model = recipe(project=False)
    assert least(model) < 0.0
    assert violation(model) > 100 * TOLERANCE


@pytest.mark.parametrize("positivity", ["exp", "softplus", "square"])
def test_a_positivity_map_needs_none(positivity):
    model = plain(project=False, model=network(positivity=positivity))
    assert all(layer.weight.detach().amin().item() >= 0.0 for layer in model.layers[1:])
    assert violation(model) < TOLERANCE


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile generates C++ and needs a compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_step_compiled_to_native_code():
    model = plain(project=True, step=lambda optimizer: torch.compile(optimizer.step))
    assert least(model) >= 0.0
    assert violation(model) < TOLERANCE


@pytest.mark.gpu
def test_two_parameter_groups_on_two_devices():
    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.whole = network()
            for layer in self.whole.layers[1:]:
                layer.cuda()

        def forward(self, x):
            s = torch.relu(self.whole.layers[0](x.cpu())).cuda()
            return self.whole.layers[2](torch.relu(self.whole.layers[1](s))).cpu()

    model = Split()
    groups = [list(model.whole.layers[0].parameters()), list(model.whole.layers[1:].parameters())]
    optimizer = torch.optim.Adam([{"params": group} for group in groups], 0.01)
    project_after_step(optimizer, model)
    for x, y in batches():
        optimizer.zero_grad()
        loss_of(model, x, y).backward()
        optimizer.step()
    assert least(model) >= 0.0
    assert violation(model) < TOLERANCE
