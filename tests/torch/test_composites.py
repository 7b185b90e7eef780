"""Activations that are put together from element-wise operations: the plan checks them on a grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Net(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.first, self.second, self.activation = nn.Linear(5, 16), nn.Linear(16, 2), activation

    def forward(self, x):
        return F.linear(self.activation(self.first(x)), self.second.weight.exp(), self.second.bias)


CONVEX = {
    "smoothed relu": lambda s: s.clamp(0, 0.5) ** 2 + (s - 0.5).clamp(min=0),
    "squared leaky relu": lambda s: F.leaky_relu(s, 0.2).square(),
    "softplus from its parts": lambda s: s.relu() + torch.log(1 + torch.exp(-s.abs())),
}
NOT_CONVEX = {
    "smoothed step": lambda s: s.clamp(0, 1),
    "tanh": torch.tanh,
    "bent down": lambda s: s.clamp(0, 0.5) ** 2 - 0.1 * (s - 0.5).clamp(min=0),
    "by units": lambda s: s.clamp(0, 1) * torch.linspace(-1, 1, 16),
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_composites_are_accepted(name):
    torch.manual_seed(0)
    found = {layer.path: layer.role for layer in ci.plan(Net(CONVEX[name]), torch.randn(64, 5)).layers}
    assert found == {"first": "free", "second": "positive"}


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_others_are_refused(name):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="not known to be convex"):
        ci.plan(Net(NOT_CONVEX[name]), torch.randn(64, 5))


def test_a_grid_is_no_certificate():
    torch.manual_seed(0)
    certificate = ci.certify(Net(CONVEX["smoothed relu"]), torch.randn(8, 5), search=False)
    assert certificate.verdict == "cannot tell"


def test_what_decreases_somewhere_may_not_follow_a_convex_value():
    class Twice(Net):
        def forward(self, x):
            return F.leaky_relu(super().forward(x), 0.2).square()

    torch.manual_seed(0)
    with pytest.raises(ValueError, match="not known to be convex"):
        ci.plan(Twice(F.softplus), torch.randn(64, 5))
