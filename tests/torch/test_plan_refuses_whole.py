"""A refused ``apply_`` leaves a model that is read by running as it was, and what is excluded is not touched."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Bare(nn.Module):
    """One bare weight with a bare bias between two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.out = nn.Linear(4, 8), nn.Linear(8, 1)
        self.W, self.b = nn.Parameter(torch.rand(8, 8)), nn.Parameter(torch.zeros(8))

    def forward(self, x):
        return self.out(F.relu(F.relu(self.first(x)) @ self.W.T + self.b))


class Overflowing(Bare):
    """Not finite once the weights are such that the sum varies: only a measurement can find that."""

    def forward(self, x):
        z = F.relu(self.first(x))
        return self.out(F.relu(torch.logsumexp(torch.stack([z, 2 * z]), 0) @ self.W.T + self.b) * 1e38 * 1e38)


def batch(scale=1.0):
    return scale * torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


def frozen():
    model = Bare()
    model.b.requires_grad_(False)
    return model


REFUSED = {
    "NaN in the example inputs": (
        Bare,
        {"example_inputs": batch(float("nan"))},
        ValueError,
        "example_inputs: input '0'",
    ),
    "an empty batch": (Bare, {"example_inputs": torch.zeros(0, 4)}, ValueError, "example_inputs: input '0' is empty"),
    "a map that the forward does not apply": (Bare, {"positivity": "exp"}, ValueError, "its weight is used as it is"),
    "a frozen bare bias": (frozen, {}, ValueError, r"'b': it is frozen .* exclude="),
    "calibrate": (Bare, {"calibrate": "yes"}, TypeError, "calibrate must be True, False or None"),
    "entry": (Bare, {"entry": 3}, TypeError, "entry must be the name of a method"),
    "positive, empty": (Bare, {"positive": []}, ValueError, "positive= is empty"),
    "free, no selection": (Bare, {"free": 3}, TypeError, "free must be a path"),
    "free, accepting none": (Bare, {"free": lambda path, module: False}, ValueError, "free= accepts none"),
    "a sum that is not finite": (Overflowing, {"calibrate": True}, ValueError, "not finite on example_inputs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_writes_nothing(name):
    make, arguments, error, message = REFUSED[name]
    model = make()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(error, match=message):
        ci.apply_(model, **{"example_inputs": batch(), **arguments})
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert not ci.projected_parameters(model)


def test_an_excluded_bias_is_left_alone():
    model = Bare()
    with torch.no_grad():
        model.b.fill_(0.25)
        model.out.bias.fill_(0.5)
    ci.apply_(model, batch(), exclude=["out", "b"])
    assert torch.equal(model.b, torch.full((8,), 0.25))
    assert torch.equal(model.out.bias, torch.full((1,), 0.5))


def without_outputs():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.ReLU(), nn.Linear(1, 1))
    model[2].weight, model[2].bias = nn.Parameter(torch.zeros(0, 8)), nn.Parameter(torch.zeros(0))
    model[4].weight = nn.Parameter(torch.zeros(1, 0))
    return model


@pytest.mark.parametrize("call", [ci.plan, ci.apply_])
def test_a_layer_without_elements(call):
    with pytest.raises(ValueError, match=r"'2': its weight of \(0, 8\) has no elements.*exclude="):
        call(without_outputs(), torch.randn(8, 4))


@pytest.mark.parametrize("call", [ci.plan, ci.apply_, ci.constrain_])
def test_a_weight_that_is_named_as_positive_and_as_free(call):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), ci.ConvexLinear(8, 1))
    with pytest.raises(ValueError, match=r"positive= and free= both name '2': take it out of one"):
        call(model, torch.randn(8, 4), positive="*", free=["2"])
    call(model, torch.randn(8, 4), positive="2")
