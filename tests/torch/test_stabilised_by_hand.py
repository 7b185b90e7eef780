"""Log-sum-exp and log-add-exp that people write out so that nothing overflows; and what is close but wrong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Network(nn.Module):
    """Units behind a positive layer and a skip, and an end."""

    def __init__(self, end):
        super().__init__()
        self.first, self.onward, self.skip = nn.Linear(6, 32), nn.Linear(32, 16), nn.Linear(6, 16, bias=False)
        self.last, self.end = nn.Linear(4, 1), end

    def forward(self, x):
        z = F.linear(F.softplus(self.first(x)), F.softplus(self.onward.weight), self.onward.bias) + self.skip(x)
        return self.end(self, z)


def pairs(model, z):
    while z.shape[1] > 1:
        a, b = z.chunk(2, 1)
        z = torch.maximum(a, b) + torch.log1p(torch.exp(-(a - b).abs()))
    return z


def pools(model, z):
    z = z.view(-1, 4, 4)
    m = z.max(-1, keepdim=True)[0]
    h = (z - m).exp().sum(-1).log() + m[..., 0]
    return F.linear(h, model.last.weight.relu(), model.last.bias)


def floor(model, z):
    m = z.max(1, keepdim=True).values
    return m[:, 0] + (z - m).exp().sum(1).clamp(min=1e-12).log()


def halves(model, z):
    a, b = z[:, :8], z[:, 8:]
    m = torch.maximum(a, b).detach()
    return (m + torch.log(torch.exp(a - m) + torch.exp(b - m))).sum(1)


def epsilon(model, z, number=1e-8, temperature=1.0):
    m = z.amax(1, keepdim=True)
    return (m + temperature * torch.log(((z - m) / temperature).exp().sum(1, keepdim=True) + number)).squeeze(1)


CONVEX = {
    "pairs in a tree": pairs,
    "pools, one column of the maximum": pools,
    "a floor inside the logarithm": floor,
    "two exponentials": halves,
    "a small number inside the logarithm": epsilon,
    "at a temperature": lambda model, z: epsilon(model, z, temperature=0.3),
    "a large number": lambda model, z: epsilon(model, z, number=2.0),
}


@pytest.mark.parametrize("name", CONVEX)
def test_it_is_planned_started_and_certified(name):
    torch.manual_seed(0)
    model, x = Network(CONVEX[name]), torch.randn(64, 6)
    roles = {layer.path: layer.role for layer in ci.plan(model, x).layers}
    last = {"last": "positive"} if name.startswith("pools") else {}
    assert roles == {"first": "free", "onward": "positive", "skip": "skip", **last}
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    assert all(0.25 < layer.variance < 4.0 for layer in ci.signal_report(model, torch.randn(64, 6)).layers)
    assert ci.certify(model, x)


def taken_away(model, z):
    m = z.amax(1, keepdim=True)
    return (m + torch.log((z - m).exp().sum(1, keepdim=True) - 1e-3)).squeeze(1)


def capped(model, z):
    m = z.amax(1, keepdim=True)
    return (m + torch.log((z - m).exp().sum(1, keepdim=True).clamp(max=1.5))).squeeze(1)


def below(model, z):
    m = z.amin(1, keepdim=True)
    return (m + torch.log((z - m).exp().sum(1, keepdim=True) + 1.0)).squeeze(1)


def smaller(model, z):
    a, b = z.chunk(2, 1)
    return (torch.minimum(a, b) + torch.log1p(torch.exp(-(a - b).abs()))).sum(1)


def another(model, z):
    a, b = z.chunk(2, 1)
    return (torch.maximum(a, b) + torch.log1p(torch.exp(-(a - b.flip(1)).abs()))).sum(1)


def too_much(model, z):
    a, b = z.chunk(2, 1)
    return (torch.maximum(a, b) + 3 * torch.log1p(torch.exp(-(a - b).abs()))).sum(1)


def one_of_two(model, z):
    a, b = z.chunk(2, 1)
    m, n = torch.maximum(a, b), a.amax(1, keepdim=True).expand(-1, 8)
    return (m + torch.log(torch.exp(a - m) + torch.exp(b - n))).sum(1)


WRONG = {
    "a number is taken away": taken_away,
    "a ceiling inside the logarithm": capped,
    "beside a concave shift": below,
    "the smaller one": smaller,
    "of other differences": another,
    "three times the logarithm": too_much,
    "two shifts": one_of_two,
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_close_to_it_gets_no_certificate(name):
    torch.manual_seed(0)
    model, x = Network(WRONG[name]), torch.randn(64, 6)
    assert not ci.certify(model, x, search=False)
    with pytest.raises(ValueError, match="not known to be convex") as refusal:
        ci.plan(model, x)
    assert "would not be convex" not in str(refusal.value)
