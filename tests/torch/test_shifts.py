"""Which bias takes the shift, where the nearest one cannot: in a square, cancelled, in front of a normalisation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Network(nn.Module):
    """A hidden positive layer, and one at the end."""

    def __init__(self, hidden_bias=True, last_bias=True):
        super().__init__()
        self.first, self.q = nn.Linear(6, 64), nn.Linear(6, 4)
        self.hidden, self.last = nn.Linear(64, 64, bias=hidden_bias), nn.Linear(64, 1, bias=last_bias)
        self.norm = nn.BatchNorm1d(64, affine=False)

    def between(self, s):
        return F.softplus(s)

    def net(self, x):
        z = self.between(F.linear(F.softplus(self.first(x)), F.softplus(self.hidden.weight), self.hidden.bias))
        return F.linear(z, F.softplus(self.last.weight), self.last.bias)

    def forward(self, x):
        return self.net(x)


class Distance(Network):
    """The squared distance to a learnt plane is added."""

    def forward(self, x):
        return self.net(x) + 0.5 * self.q(x).pow(2).sum(1, keepdim=True)


class FromAPoint(Network):
    """Half the squared distance to a learnt point, with a bias within the square."""

    def forward(self, x):
        return self.net(x) + 0.05 * ((x - self.q.weight[0]) ** 2).sum(1, keepdim=True)


class AtRest(Network):
    """0 at the origin, and so the last bias is gone."""

    def forward(self, x):
        return self.net(x) - self.net(torch.zeros_like(x))


class AtRestOnce(Network):
    def forward(self, x):
        return self.net(x) - self.net(x.new_zeros(1, 6))


class InFrontOfANorm(Network):
    def between(self, s):
        return F.relu(self.norm(s))


MODELS = {
    "a square": (lambda: Distance(), "hidden", "last"),
    "a square, no other bias": (lambda: Distance(last_bias=False), "hidden", ""),
    "a point": (lambda: FromAPoint(), "hidden", "last"),
    "at rest": (lambda: AtRest(), "hidden", ""),
    "at rest, one point": (lambda: AtRestOnce(), "hidden", ""),
    "a normalisation": (lambda: InFrontOfANorm(), "", "last"),
}


@pytest.mark.parametrize("count", [6, 20, 256])
@pytest.mark.parametrize("name", MODELS)
def test_the_plan_names_one_that_moves_the_sum_or_none(name, count):
    torch.manual_seed(0)
    make, hidden, last = MODELS[name]
    model, x, fresh = make().eval(), torch.randn(count, 6), torch.randn(4096, 6)
    layers = {layer.path: layer for layer in ci.plan(model, x).layers}
    assert (layers["hidden"].shift_into, layers["last"].shift_into) == (hidden, last)
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    output = model(fresh)
    assert (0.25 if count > 6 else 0.03) < output.var() < 4.0
    if last:  # with a few examples the mean is the theory's, or that of these few
        assert output.mean().abs() < (0.5 if count >= 32 else 2.0) * output.std()
    assert ci.certify(model, x)


class Beside(Network):
    """Half the square of the input, of variance 3, is there whatever the weights are."""

    def forward(self, x):
        return self.net(x) + 0.5 * (x**2).sum(1, keepdim=True)


def test_the_plan_says_what_no_weight_takes_away():
    torch.manual_seed(0)
    layers = {layer.path: layer for layer in ci.plan(Beside(), torch.randn(512, 6)).layers}
    assert "which no weight of the plan takes away" in layers["last"].note
    assert "which no weight of the plan takes away" not in layers["hidden"].note
    small = {layer.path: layer for layer in ci.plan(Beside(), 0.5 * torch.randn(512, 6)).layers}
    assert "which no weight of the plan takes away" not in small["last"].note
