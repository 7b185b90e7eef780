"""Parameters that are added to a model since it was looked at: refused, until they are looked at, too."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from convex_init.torch import certify, constrain_, project_after_step
from tests.torch.test_marks import X, mlp


def appended(model, optimizer):
    model.append(nn.ReLU())
    model.append(nn.Linear(2, 1))
    optimizer.add_param_group({"params": list(model[-1].parameters())})
    return r"6\.weight, 6\.bias"


def another_activation(model, optimizer):
    model[3] = nn.PReLU()
    optimizer.add_param_group({"params": list(model[3].parameters())})
    return r"3\.weight"


def a_gate(model, optimizer):
    model.register_parameter("gate", nn.Parameter(torch.ones(1)))
    optimizer.add_param_group({"params": [model.gate]})
    return "gate"


def normalised(model, optimizer):
    model[1] = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(12))
    optimizer.add_param_group({"params": list(model[1].parameters())})
    return r"1\.1\.weight, 1\.1\.bias"


@pytest.mark.parametrize("change", [appended, another_activation, a_gate, normalised])
@pytest.mark.parametrize("before", [True, False], ids=["attached before", "attached after"])
def test_what_is_added_without_a_mark_is_refused_until_it_is_looked_at(change, before):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    handle = project_after_step(optimizer, model) if before else None
    names = change(model, optimizer)
    message = rf"{names} was not there when it was decided.*call constrain_\(model"
    with pytest.raises(ValueError, match=message):
        optimizer.step() if before else project_after_step(optimizer, model)
    if handle is not None:
        handle.remove()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is new may lie outside of its interval
        constrain_(model.eval())
    project_after_step(optimizer, model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    optimizer.step()
    assert certify(model, X, search=False)
