"""Marks where torch keeps no account, and optimizers made without the ``__init__`` of torch's."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from convex_init.torch import apply_, certify, project_after_step, projected_parameters
from tests.torch.networks import generator

X = torch.randn(16, 4, generator=generator())


def mlp() -> nn.Sequential:
    return apply_(
        nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2)), generator=generator()
    )


def attached(model, lr=0.5):
    optimizer = torch.optim.SGD(model.parameters(), lr)
    return optimizer, project_after_step(optimizer, model)


class InAList(nn.Module):
    """Its second layer lies where torch does not look for modules."""

    def __init__(self, kind):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 1)
        self.inner = kind(nn.Linear(8, 8))

    def layer(self):
        return self.inner["a"] if isinstance(self.inner, dict) else self.inner[0]

    def forward(self, x):
        return self.last(self.layer()(self.first(x).relu()).relu())


@pytest.mark.parametrize("kind", [lambda layer: [layer], lambda layer: (layer,), lambda layer: {"a": layer}])
def test_a_layer_in_a_plain_container_is_projected_as_it_is_planned(kind):
    x = torch.randn(16, 4, generator=generator())
    model = apply_(InAList(kind), x, generator=generator())
    with pytest.raises(ValueError, match=r"not hold the projected weights inner\.\w\.weight"):
        attached(model)
    optimizer = torch.optim.SGD([*model.parameters(), *model.layer().parameters()], 1.0)
    project_after_step(optimizer, model)
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert certify(model, x)
    assert len(projected_parameters(model)) == 2
    model.inner = kind(nn.Linear(8, 8))
    with pytest.raises(ValueError, match=r"inner\.\w\.weight was marked.*replaced"):
        optimizer.step()


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")  # torch's own, in its check
def test_a_scripted_model_keeps_its_marks():
    model = torch.jit.trace(mlp(), X)
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    project_after_step(optimizer, model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 9.0)
    optimizer.step()
    assert all(float(weight.min()) == 0.0 for weight in projected_parameters(model).values())


# Optimizers made without the ``__init__`` of torch's.


class Wrapper(torch.optim.Optimizer):
    """As Lookahead is often written: all but ``step`` is that of another optimizer."""

    def __init__(self, inner, hooks):
        self.inner, self.param_groups, self.state, self.defaults = inner, inner.param_groups, inner.state, {}
        if hooks:
            self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks = OrderedDict(), OrderedDict()

    def step(self, closure=None):
        return self.inner.step(closure)


class OwnStep(torch.optim.SGD):
    def step(self, closure=None):
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.sub_(1.0)


def bare_steps(model, optimizer):
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 9.0)
    optimizer.step()  # and no zero_grad, which would make the step run hooks
    return [float(weight.min()) for weight in projected_parameters(model).values()]


def test_an_optimizer_without_hooks_is_refused_with_a_remedy_that_works():
    model = mlp()
    inner = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match=r"Wrapper has no hooks.*the optimizer that it wraps.*project_\(model\)"):
        project_after_step([Wrapper(inner, False)], model)
    project_after_step(inner, model)
    assert bare_steps(model, Wrapper(inner, False)) == [0.0, 0.0]


def test_an_optimizer_whose_step_runs_no_hooks_yet_runs_ours():
    class Late(Wrapper):
        pass

    model = mlp()
    optimizer = Late(torch.optim.SGD(model.parameters(), 0.1), True)
    project_after_step(optimizer, model)
    assert bare_steps(model, optimizer) == [0.0, 0.0]


def test_an_own_step_of_an_optimizer_runs_them():
    model = mlp()
    optimizer = OwnStep(model.parameters(), 0.1)
    project_after_step(optimizer, model)
    optimizer.step()
    assert all(float(weight.min()) == 0.0 for weight in projected_parameters(model).values())
