"""``r + φ(s − r)`` is certified where it is convex and falls in neither, and nowhere else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convex_init.torch import certify


class Line(nn.Module):
    """A line of two convex values, ``s`` and ``r``, of shapes (batch, 3) and (batch, 1)."""

    def __init__(self, line):
        super().__init__()
        self.line = line

    def forward(self, x):
        return self.line(x[:, :3].exp(), x[:, 3:].square().sum(1, keepdim=True))


CONVEX = {
    "relu": lambda s, r: r + F.relu(s - r),
    "the other way round": lambda s, r: F.relu(s - r) + r,
    "clamp": lambda s, r: r + (s - r).clamp(min=0.0),
    "clamp elsewhere": lambda s, r: (s - r).clamp(min=-2.0) + r,
    "leaky relu": lambda s, r: r + F.leaky_relu(s - r, 0.3),
    "elu": lambda s, r: r + F.elu(s - r),
    "celu": lambda s, r: r + F.celu(s - r, 3.0),
    "softplus": lambda s, r: r + F.softplus(s - r),
    "sharp softplus": lambda s, r: r + F.softplus(s - r, 4.0),
    "both as large": lambda s, r: r.expand(-1, 3) + F.relu(s - r.expand(-1, 3)),
    "of two of one size": lambda s, r: s + F.elu(2.0 * s - s),
    "in a sum": lambda s, r: s + (r + F.elu(s - r)),
    "in front of a maximum": lambda s, r: torch.maximum(r + F.elu(s - r), s),
}
NOT = {
    "minus the carrier": lambda s, r: F.relu(s - r) - r,
    "twice the bend": lambda s, r: r + 2.0 * F.relu(s - r),
    "half the carrier": lambda s, r: 0.5 * r + F.relu(s - r),
    "another carrier": lambda s, r: (r + s.sum(1, keepdim=True)) + F.relu(s - r),
    "the sum": lambda s, r: s + F.relu(s - r),
    "a concave one": lambda s, r: r + F.relu(-s - r),
    "a concave carrier": lambda s, r: -r + F.relu(s + r),
    "steep left": lambda s, r: r + F.leaky_relu(s - r, 1.5),
    "falling left": lambda s, r: r + F.leaky_relu(s - r, -0.5),
    "steep elu": lambda s, r: r + F.elu(s - r, 3.0),
    "selu": lambda s, r: r + F.selu(s - r),
    "squared": lambda s, r: r + F.relu(s - r).square(),
    "coarse softplus": lambda s, r: r + F.softplus(s - r, threshold=2.0),
    "clamp from above": lambda s, r: r + (s - r).clamp(max=0.0),
    "hardtanh": lambda s, r: r + F.hardtanh(s - r),
    "elsewhere": lambda s, r: s.flip(1) + F.relu(s - s.flip(1) - r),
    "turned": lambda s, r: s[:3].T + F.relu(s[:3] - s[:3] * 2.0),
    "rounded apart": lambda s, r: r.half().float() + F.relu(s - r),
}


@pytest.mark.parametrize("name", CONVEX)
def test_certified(name):
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    certificate = certify(Line(CONVEX[name]), x)
    assert certificate, certificate


@pytest.mark.parametrize("name", NOT)
def test_not_certified(name):
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    assert certify(Line(NOT[name]), x).verdict != "convex"


def test_monotone_in_what_both_are_monotone_in():
    class Rising(nn.Module):
        def forward(self, x, y):
            return y.exp() + F.elu(x.exp() - y.exp())

    both = torch.randn(4, 3), torch.randn(4, 3)
    assert certify(Rising(), both, monotone={"0": "non-decreasing", "1": "non-decreasing"})
    assert not certify(Rising(), both, monotone={"1": "non-increasing"})
