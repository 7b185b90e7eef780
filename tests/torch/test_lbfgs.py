"""L-BFGS under the projection: an experiment that says why the closure projects, and how far that is sure to go.

Fifteen calls at a learning rate of 1, as torch has it by default, on a target that a convex function can follow, one
that it cannot, and one that pushes against the bounds all the time.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, apply_, project_, project_after_step, projected_parameters
from tests.torch.networks import generator

TARGETS = {
    "convex": lambda x: x.abs().sum(1, keepdim=True),
    "neither": lambda x: x[:, :1] * x[:, 1:2],
    "concave": lambda x: -x.square().sum(1, keepdim=True),
}


def problem(seed, target, **options):
    draw = generator(seed)
    model = apply_(ICNN(4, [8, 8], 1), method="bounded_gain", generator=draw)  # exact zeros make it slow
    x = torch.randn(32, 4, generator=draw)
    y = TARGETS[target](x)
    optimizer = torch.optim.LBFGS(model.parameters(), **options)

    def closure():
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        return loss

    return model, optimizer, closure


def lowest(model):
    return min(float(weight.detach().min()) for weight in projected_parameters(model).values())


def with_adam(seed, target):
    model, _, closure = problem(seed, target)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    project_after_step(optimizer, model)
    for _ in range(300):
        model.zero_grad()
        loss = closure()
        optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
@pytest.mark.parametrize("target", TARGETS)
def test_it_converges_and_stays_non_negative(target, line_search):
    for seed in range(2):
        model, optimizer, closure = problem(seed, target, lr=1.0, line_search_fn=line_search)
        project_after_step(optimizer, model)
        for _ in range(15):
            optimizer.step(closure)
            assert lowest(model) >= 0.0
        # As good as Adam after about as many evaluations; the margin is for the other local minima.
        assert float(closure().detach()) < 1.6 * with_adam(seed, target)


@pytest.mark.parametrize("max_iter", [1, 5])
def test_few_iterations_in_a_call(max_iter):
    for seed in range(2):
        model, optimizer, closure = problem(seed, "convex", lr=1.0, max_iter=max_iter, line_search_fn="strong_wolfe")
        project_after_step(optimizer, model)
        start = float(closure().detach())
        for _ in range(100 // max_iter):
            optimizer.step(closure)
        assert float(closure().detach()) < start


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_projecting_after_the_call_alone_runs_away(line_search):
    """What the closure is for: the same training with the projection between the calls."""
    runs = []
    for seed in range(4):
        model, optimizer, closure = problem(seed, "neither", lr=1.0, line_search_fn=line_search)
        start = float(closure().detach())
        for _ in range(30):
            optimizer.step(closure)
            project_(model)
        end = float(closure().detach())
        runs.append(not math.isfinite(end) or end > start)
    assert any(runs)


def test_a_weight_at_0_comes_back_when_the_loss_asks_for_it():
    model, optimizer, closure = problem(0, "convex", line_search_fn="strong_wolfe")
    with torch.no_grad():
        model.layers[1].weight[:, 0] = 0.0
    project_after_step(optimizer, model)
    for _ in range(10):
        optimizer.step(closure)
    assert bool((model.layers[1].weight[:, 0] > 0).any())


def test_the_closure_sees_projected_weights_and_may_be_a_keyword():
    model, optimizer, closure = problem(0, "concave", lr=1.0)
    handle = project_after_step(optimizer, model)
    seen = []

    def watched():
        seen.append(lowest(model))
        return closure()

    for _ in range(3):
        optimizer.step(closure=watched)
    assert len(seen) > 5
    assert min(seen) == 0.0
    seen.clear()
    handle.remove()
    for _ in range(3):
        optimizer.step(watched)
    assert min(seen) < 0.0


def test_other_models_of_the_optimizer_are_left_alone():
    model = apply_(ICNN(4, [8], 1), generator=generator())
    free = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS([*model.parameters(), *free.parameters()], line_search_fn="strong_wolfe")
    project_after_step(optimizer, model)
    x = torch.randn(32, 4, generator=generator())

    def closure():
        optimizer.zero_grad()
        loss = (model(x) + free(x) + x.square().sum(1, keepdim=True)).square().mean()
        loss.backward()
        return loss

    with torch.no_grad():
        free.weight.fill_(-1.0)
    for _ in range(3):
        optimizer.step(closure)
    assert lowest(model) >= 0.0
    assert bool((free.weight < 0).any())
