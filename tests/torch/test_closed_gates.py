"""Free maps behind a factor that starts at 0: they get numbers for when it opens, and no shift."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Gated(nn.Module):
    """Skips with a gate each, closed at first; the positive layer may have a bias of its own."""

    def __init__(self, shape, bias):
        super().__init__()
        self.first, self.skip = nn.Linear(6, 64), nn.Linear(6, 64)
        self.onward, self.last = nn.Linear(64, 64, bias=bias), nn.Linear(64, 1)
        self.gate = nn.Parameter(torch.zeros(shape))

    def forward(self, x):
        z = F.relu(self.first(x))
        z = F.relu(F.linear(z, self.onward.weight.relu(), self.onward.bias) + self.gate * self.skip(x))
        return F.linear(z, self.last.weight.relu(), self.last.bias)


class GatedForm(Gated):
    """A quadratic form that is switched on later."""

    def forward(self, x):
        z = F.relu(self.first(x))
        z = F.relu(F.linear(z, self.onward.weight.relu(), self.onward.bias))
        form = self.gate.square() * F.linear(x, self.skip.weight).square().sum(1, keepdim=True)
        return F.linear(z, self.last.weight.relu(), self.last.bias) + form


class Blended(Gated):
    """A buffer that a schedule raises from 0 to 1."""

    def __init__(self, shape, bias):
        super().__init__(shape, bias)
        del self.gate
        self.register_buffer("gate", torch.zeros(shape))


MODELS = {
    "one gate": (lambda: Gated((), True), "onward"),
    "one gate, no bias": (lambda: Gated((), False), ""),
    "a gate for each unit, no bias": (lambda: Gated((64,), False), ""),
    "a form": (lambda: GatedForm((), True), "onward"),
    "a schedule": (lambda: Blended((), True), "onward"),
}


@pytest.mark.parametrize("method", ["auto", "bounded_gain", "log_normal", "isometric"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_silent_at_first_starts_as_if_it_were_heard(name, method):
    torch.manual_seed(0)
    make, shift = MODELS[name]
    model, x = make(), torch.randn(256, 6)
    plan = ci.plan(model, x, method=method)
    layers = {layer.path: layer for layer in plan.layers}
    assert layers["onward"].shift_into == shift  # a bias behind the gate moves nothing
    assert "its factor starts at 0" in layers["skip"].note
    ci.apply_(model, x, method=method, generator=torch.Generator().manual_seed(0))
    own = F.linear(torch.randn(256, 6), model.skip.weight)
    total = own.square().sum(1).mean() if name == "a form" else own.var()
    assert 0.25 < total < 4.0
    if method != "log_normal":  # which measures nothing
        assert 0.25 < model(torch.randn(256, 6)).var() < 4.0
    assert ci.certify(model, x)
