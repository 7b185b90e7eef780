"""A number for each channel, whose products are summed over channels and positions: a weight, not a gain."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Regulariser(nn.Module):
    """Filters, a convex profile, and a learnt strength of each channel."""

    def __init__(self, strength, reduce):
        super().__init__()
        self.filters = nn.Conv2d(1, 12, 5, padding=2, bias=False)
        self.raw, self.strength, self.reduce = nn.Parameter(torch.zeros(12)), strength, reduce

    def forward(self, x):
        y = self.filters(x)
        profile = F.softplus(y, beta=4) + F.softplus(-y, beta=4)
        return self.reduce(self.strength(self.raw).view(1, -1, 1, 1) * profile)


class Sequences(nn.Module):
    """The same of sequences, with features behind."""

    def __init__(self):
        super().__init__()
        self.first, self.raw = nn.Linear(3, 12), nn.Parameter(torch.zeros(12, 1))

    def forward(self, x):
        z = F.softplus(self.first(x)).transpose(1, 2)
        return (F.softplus(self.raw) * z).mean((1, 2))


MODELS = {
    "exp, sum": (lambda: Regulariser(torch.exp, lambda s: s.sum((1, 2, 3))), (1, 9, 9), "81·exp"),
    "softplus, mean": (lambda: Regulariser(F.softplus, lambda s: s.mean((1, 2, 3))), (1, 9, 9), "0.0833333·softplus"),
    "square, flat": (lambda: Regulariser(torch.square, lambda s: s.flatten(1).sum(1)), (1, 9, 9), None),
    "sequences": (Sequences, (7, 3), "0.0833333·softplus"),
}


@pytest.mark.parametrize("count", [12, 128])
@pytest.mark.parametrize("name", MODELS)
def test_it_is_in_the_plan_and_the_output_in_range(name, count):
    torch.manual_seed(0)
    make, shape, through = MODELS[name]
    model, x = make(), torch.randn(count, *shape)
    layer = ci.plan(model, x).layers[-1]
    assert (layer.name, layer.role, layer.recipe.statistics.fan_in) == ("raw", "positive", 12)
    assert through in (None, str(layer.recipe.positivity))
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    assert 0.25 < model(torch.randn(256, *shape)).var() < 4.0
    assert ci.certify(model, x)
