"""Averages, compiled steps and copies of a trained model: convex, or told from one that is not, as `certify` sees it.

The target is concave, so that each step pushes weights below 0; each way is run without the projection, too.
"""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn, update_bn

from convex_init.torch import apply_, certify, constrain_, project_after_step, projected_parameters
from tests.torch.networks import generator

FEATURES, STEPS = 4, 12
X = torch.randn(32, FEATURES, generator=generator(1))
Y = -X.square().sum(1, keepdim=True)


def unmarked():
    return nn.Sequential(
        nn.Linear(FEATURES, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 12), nn.BatchNorm1d(12), nn.ReLU(),
        nn.Linear(12, 1),
    )  # fmt: skip


def network():
    return apply_(unmarked(), X, generator=generator())


def adam(model, project, **options):
    optimizer = torch.optim.Adam(model.parameters(), 0.05, **options)
    if project:
        project_after_step(optimizer, model)
    return optimizer


def update(model, optimizer, x=X, y=Y):
    optimizer.zero_grad()
    loss = (model(x) - y).square().mean()
    loss.backward()
    optimizer.step()
    return loss


def averaged(make_options):
    def train(project):
        model = network()
        optimizer, average = adam(model, project), AveragedModel(model, **make_options())
        for _ in range(STEPS):
            update(model, optimizer)
            average.update_parameters(model)
        before = average.module[4].running_mean.clone()
        update_bn(X.split(16), average)
        assert not torch.equal(average.module[4].running_mean, before)
        return average

    return train


def with_options(**options):
    def train(project):
        model = network()
        optimizer = adam(model, project, **options)
        for _ in range(STEPS):
            update(model, optimizer)
        return model

    return train


def in_groups(project):
    """A group for the free layer, one for the scales and biases, and one that is added while the model trains."""
    model = network()
    plain = [p for name, p in model.named_parameters() if p.ndim == 1 and not name.startswith("0.")]
    kernels = [model[3].weight, model[6].weight]
    groups = [{"params": model[0].parameters()}, {"params": plain, "lr": 0.2}, {"params": kernels[:1]}]
    optimizer = torch.optim.AdamW(groups, 0.05, weight_decay=0.1)
    optimizer.add_param_group({"params": kernels[1:], "lr": 0.3})
    if project:
        project_after_step(optimizer, model)
    for _ in range(STEPS):
        update(model, optimizer)
    return model


def accumulated(project):
    model = network()
    optimizer = adam(model, project)
    for _ in range(STEPS):
        for x, y in zip(X.split(8), Y.split(8), strict=True):
            (model(x) - y).square().mean().div(4).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def compiled(backend):
    def train(project):
        torch.compiler.reset()
        model = network()
        optimizer = adam(model, project)
        step = torch.compile(lambda: update(model, optimizer), backend=backend)
        for _ in range(STEPS):
            step()
        return model

    return train


def compiled_model(project):
    torch.compiler.reset()
    model = network()
    optimizer, forward = adam(model, project), torch.compile(model, backend="aot_eager")
    for _ in range(STEPS):
        update(forward, optimizer)
    return forward


def through_pickle(pair):
    return pickle.loads(pickle.dumps(pair))


def continued(through):
    """Train, copy model and optimizer together, attach to the copy, train on."""

    def train(project):
        model = network()
        optimizer = adam(model, True)
        for _ in range(STEPS // 2):
            update(model, optimizer)
        again, second = through((model, optimizer))
        if project:
            project_after_step(second, again)
        for _ in range(STEPS // 2):
            update(again, second)
        assert all(bool((p >= 0).all()) for p in projected_parameters(model).values())  # a copy leaves it alone
        return again

    return train


def resumed(project):
    """A new process has the states only: ``constrain_`` marks what ``apply_`` would, and draws nothing."""
    model = network()
    optimizer = adam(model, True)
    for _ in range(STEPS // 2):
        update(model, optimizer)
    again = unmarked()
    again.load_state_dict(model.state_dict())
    if project:
        constrain_(again, X)
    second = adam(again, project)
    second.load_state_dict(optimizer.state_dict())
    for _ in range(STEPS // 2):
        update(again, second)
    return again


WAYS = {
    "stochastic weight average": averaged(lambda: {"multi_avg_fn": get_swa_multi_avg_fn()}),
    "plain average": averaged(dict),
    "exponential average": averaged(lambda: {"multi_avg_fn": get_ema_multi_avg_fn(0.9)}),
    "exponential average of buffers": averaged(
        lambda: {"multi_avg_fn": get_ema_multi_avg_fn(0.9), "use_buffers": True}
    ),
    "fused": with_options(fused=True),
    "foreach": with_options(foreach=True),
    "one tensor at a time": with_options(amsgrad=True, foreach=False),
    "groups": in_groups,
    "accumulated": accumulated,
    "step compiled, eager": compiled("eager"),
    "step compiled, aot_eager": compiled("aot_eager"),
    "model compiled": compiled_model,
    "deepcopy": continued(copy.deepcopy),
    "pickle": continued(through_pickle),
    "resumed": resumed,
}


def inner(model):
    return getattr(model, "module", getattr(model, "_orig_mod", model))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:torch")
@pytest.mark.parametrize("way", WAYS)
def test_non_negative_and_certified_and_not_without_the_projection(way):
    model = WAYS[way](project=True)
    kept = projected_parameters(inner(model))
    assert set(kept) == {"3.weight", "4.weight", "6.weight"}
    assert all(bool((p >= 0).all()) for p in kept.values())
    certificate = certify(model.eval(), X)
    assert certificate, certificate
    lost = WAYS[way](project=False)
    assert not certify(lost.eval(), X)


@pytest.mark.gpu
def test_a_capturable_optimizer():
    """Its steps may be recorded as a CUDA graph, and it refuses parameters on a CPU."""
    model = network().cuda()
    optimizer = adam(model, True, capturable=True)
    for _ in range(STEPS):
        update(model, optimizer, X.cuda(), Y.cuda())
    assert all(bool((p >= 0).all()) for p in projected_parameters(model).values())
    certificate = certify(model.eval(), X.cuda())
    assert certificate, certificate


@pytest.mark.parametrize("through", [copy.deepcopy, through_pickle])
def test_attaching_to_a_copy_says_what_is_wrong(through):
    """The old optimizer with the new model, and twice; a pair that was copied apart has no weight in common."""
    model = network()
    optimizer = adam(model, True)
    again, second = through(model), through(optimizer)
    for one in (optimizer, second):
        with pytest.raises(
            ValueError, match=r"does not hold the projected weights 3\.weight.*pass the model's current"
        ):
            project_after_step(one, again)
    third = torch.optim.Adam(again.parameters(), 0.05)
    third.load_state_dict(optimizer.state_dict())
    project_after_step(third, again)
    with pytest.raises(ValueError, match="already attached"):
        project_after_step(third, again)
