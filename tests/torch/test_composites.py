"""Activations that are put together from element-wise operations: the plan checks them on a grid."""

from __future__ import annotations

import math

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
    model = Net(lambda s: s * torch.tanh(s) + s**2)  # convex, and not by any rule
    assert {layer.role for layer in ci.plan(model, torch.randn(64, 5)).layers} == {"free", "positive"}
    assert ci.certify(model, torch.randn(8, 5), search=False).verdict == "cannot tell"


def expected_relu(s, density=1.0):
    half = 0.5 * s * (1.0 + torch.erf(s / math.sqrt(2.0)))
    return half + density * torch.exp(-0.5 * s**2) / math.sqrt(2.0 * math.pi)


def by_standard_normal(s):
    normal = torch.distributions.Normal(0.0, 1.0, validate_args=False)
    return s * normal.cdf(s) + normal.log_prob(s).exp()


def huber(s, edge=1.0):
    return torch.where(s.abs() <= edge, 0.5 * s.square(), edge * (s.abs() - 0.5 * edge))


def rehu(s, d=1.0):
    return torch.max(torch.clamp(torch.sign(s) * 0.5 / d * s**2, min=0, max=0.5 * d), s - 0.5 * d)


PROVED = {
    "expected relu": expected_relu,
    "its own distribution": by_standard_normal,
    "gelu and a density": lambda s: F.gelu(s) + torch.exp(-0.5 * s * s) / math.sqrt(2.0 * math.pi),
    "huber by its size": huber,
    "huber, narrow": lambda s: huber(s, 0.3),
    "smoothed relu": CONVEX["smoothed relu"],
    "smoothed relu by signs": rehu,
    "nested choices": lambda s: torch.where(s < 0, 0 * s, torch.where(s < 1, 0.5 * s * s, s - 0.5)),
    "quadratic, then linear": lambda s: torch.where(s > 2, 4 * s - 4, torch.where(s > 0, s**2, torch.zeros_like(s))),
    "laplace": lambda s: F.relu(s) + torch.exp(-s.abs()) / 2,
    "log cosh": lambda s: s.abs() + F.softplus(-2 * s.abs()) - math.log(2.0),
}
UNPROVED = {
    "gelu": F.gelu,
    "gelu with half a density": lambda s: expected_relu(s, 0.5),
    "huber with a drop": lambda s: torch.where(s.abs() <= 1, 0.5 * s.square(), 0.9 * s.abs() - 0.4),
    "smoothed relu with a dent": lambda s: rehu(s) - 0.01 * F.relu(s - 0.5),
    "nested choices, one value at 1": lambda s: torch.where(s < 1, F.relu(s), torch.where(s > 1, s, 3 * s)),
    "laplace, too strong": lambda s: F.relu(s) + 0.6 * torch.exp(-s.abs()),
    "quadratic, then too flat": lambda s: torch.where(s > 2, 3 * s - 2, torch.where(s > 0, s**2, torch.zeros_like(s))),
}


@pytest.mark.parametrize("name", PROVED)
def test_what_is_proved_piece_by_piece_is_certified(name):
    torch.manual_seed(0)
    certificate = ci.certify(Net(PROVED[name]), torch.randn(8, 5), search=False)
    assert certificate.verdict == "convex", str(certificate)


@pytest.mark.parametrize("name", UNPROVED)
def test_what_is_not_convex_in_pieces_is_not_certified(name):
    torch.manual_seed(0)
    assert not ci.certify(Net(UNPROVED[name]), torch.randn(8, 5), search=False)


def test_what_decreases_somewhere_may_not_follow_a_convex_value():
    class Twice(Net):
        def forward(self, x):
            return F.leaky_relu(super().forward(x), 0.2).square()

    torch.manual_seed(0)
    with pytest.raises(ValueError, match="not known to be convex"):
        ci.plan(Twice(F.softplus), torch.randn(64, 5))
