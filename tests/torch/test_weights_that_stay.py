"""Free weights behind what is no function of single numbers: the model is initialised around them, in range."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import convex_init.torch as ci

WIDTH = 64


class Centred(nn.Module):
    def forward(self, w):
        return w - w.mean(1, keepdim=True)


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).T


STAYS = {
    "weight norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
    "spectral norm": parametrizations.spectral_norm,
    "zero mean": lambda layer: parametrize.register_parametrization(layer, "weight", Centred()),
}


class Skips(nn.Module):
    """Free maps of the input beside every positive layer, which has no bias of its own."""

    def __init__(self, stays, bias=True):
        super().__init__()
        self.x = nn.ModuleList([stays(nn.Linear(6, WIDTH, bias=bias)) for _ in range(3)])
        self.z = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2)])
        self.last = nn.Linear(WIDTH, 1)

    def forward(self, x):
        z = F.relu(self.x[0](x))
        for direct, onward in zip(self.x[1:], self.z, strict=True):
            z = F.relu(direct(x) + F.linear(z, onward.weight.relu()))
        return F.linear(z, self.last.weight.relu(), self.last.bias)


class LowRank(nn.Module):
    """The first matrix is a product of two, as is that of the skip."""

    def __init__(self):
        super().__init__()
        self.U, self.V = nn.Parameter(torch.randn(WIDTH, 3)), nn.Parameter(torch.randn(3, 6) / 3)
        self.P, self.Q = nn.Parameter(torch.randn(WIDTH, 2)), nn.Parameter(torch.randn(2, 6) / 3)
        self.z, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, x):
        z = F.softplus(x @ (self.U @ self.V).T)
        z = F.softplus(F.linear(z, F.softplus(self.z.weight), self.z.bias) + F.linear(x, self.P @ self.Q))
        return F.linear(z, F.softplus(self.last.weight), self.last.bias)


class Rotated(nn.Module):
    """A flow's potential: a rotation, and a network of what it makes."""

    def __init__(self):
        super().__init__()
        self.Q = parametrizations.orthogonal(nn.Linear(6, 6, bias=False))
        self.net = Skips(lambda layer: layer)

    def forward(self, x):
        return self.net(self.Q(x))


class Definite(nn.Module):
    """A symmetric matrix in front."""

    def __init__(self):
        super().__init__()
        self.A = nn.Linear(6, 6)
        parametrize.register_parametrization(self.A, "weight", Symmetric())
        self.net = Skips(lambda layer: layer)

    def forward(self, x):
        return self.net(self.A(x))


MODELS = {
    **{name: (lambda put=put: Skips(put), 3) for name, put in STAYS.items()},
    **{f"{name}, no bias": (lambda put=put: Skips(put, bias=False), 3) for name, put in STAYS.items()},
    "low rank": (LowRank, 2),
    "rotated": (Rotated, 1),
    "symmetric": (Definite, 1),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_initialised_around_them(name):
    torch.manual_seed(0)
    make, stays = MODELS[name]
    model, x, fresh = make().eval(), torch.randn(256, 6), torch.randn(256, 6)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plan = ci.plan(model, x)
    assert len(plan.left) == stays
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    positive = [layer.path for layer in plan.layers if layer.role == "positive"]
    inside = "net." if name in ("rotated", "symmetric") else ""
    assert positive == [inside + path for path in (("z", "last") if name == "low rank" else ("z.0", "z.1", "last"))]
    for key, value in model.state_dict().items():
        if "original" in key or key in "UVPQ":
            assert torch.equal(value, before[key]), key
    for layer in ci.signal_report(model, fresh).layers:
        assert 0.25 < layer.variance < 4.0, layer.path
    assert ci.certify(model, x)
