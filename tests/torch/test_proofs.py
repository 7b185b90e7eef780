"""Honest models get their certificate, and their neighbours that bend down do not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import convex_init.torch as ci
from tests.torch.proofs import CONVEX, INF, MASK, Line, gram


def certificate_of(function):
    line = Line(function)
    return ci.certify(line, (torch.randn(3, 4), torch.randn(3, 4)), 0, search=False)


@pytest.mark.parametrize("name", CONVEX)
@pytest.mark.filterwarnings("ignore:index_reduce")
def test_certified(name):
    certificate = certificate_of(CONVEX[name])
    assert certificate, str(certificate)
    # A second opinion on the table itself.
    model, ends, y = Line(CONVEX[name]), 3.0 * torch.randn(2, 30, 3, 4), torch.randn(3, 4)

    def flat(x):
        found = model(x, y)
        return torch.cat([part.flatten() for part in (found if isinstance(found, tuple) else (found,))])

    with torch.no_grad():
        for a, b in zip(*ends, strict=True):
            above = flat(0.5 * (a + b)) - 0.5 * (flat(a) + flat(b))
            assert float(above.nan_to_num(-1.0, -1.0, -1.0).max()) < 1e-4


def stabilised(x, m, again, axis=1):
    return torch.log(torch.exp(x - m).sum(axis, keepdim=True)) + again


REFUSED = {
    "where of another shape": lambda x, W, S, y: torch.where(x > 0, x, torch.ones_like(x)),
    "where of zeros that are not": lambda x, W, S, y: torch.where(x > 0, x, 0.1 * torch.ones_like(x) * W[0]),
    "minus infinity under a minimum": lambda x, W, S, y: F.relu(x).masked_fill(MASK, -INF).amin(1),
    "an infinite weight": lambda x, W, S, y: F.relu(x) @ torch.log(torch.zeros_like(W) * W),
    "minus a maximum with a mask": lambda x, W, S, y: -x.masked_fill(MASK, -INF).amax(1),
    "nan in a mask": lambda x, W, S, y: x.masked_fill(MASK, float("nan")).amax(1),
    "second of the largest": lambda x, W, S, y: x.topk(2, 1).values[:, 1],
    "first k of a sort": lambda x, W, S, y: x.sort(1).values[:, :2].sum(1),
    "two different maps": lambda x, W, S, y: (x @ S) * (x @ W),
    "a map and its shift": lambda x, W, S, y: (x @ S) * (x @ S + 1.0).roll(1, 1),
    "einsum of two orders": lambda x, W, S, y: torch.einsum("bi,bj->b", x, x.flip(1)),
    "einsum with a transpose": lambda x, W, S, y: torch.einsum("ij,ji->i", x[:3, :3], x[:3, :3]),
    "einsum over one only": lambda x, W, S, y: torch.einsum("bi,bj->bij", x, x),
    "einsum with weights below 0": lambda x, W, S, y: torch.einsum("bi,bi,i->b", x, x, S[0]),
    "einsum of an indefinite form": lambda x, W, S, y: torch.einsum("bi,ij,bj->b", x, S + S.T, x),
    "form with context": lambda x, W, S, y: (x * (x @ gram(S) * y)).sum(1),
    "form summed over rows": lambda x, W, S, y: (x * (x @ gram(S))).sum(0),
    "form of shifted rows": lambda x, W, S, y: (x * (x.roll(1, 0) @ gram(S))).sum(),
    "form with a feature": lambda x, W, S, y: (x * (x @ gram(S) + F.relu(x))).sum(1),
    "minus a form": lambda x, W, S, y: (x * (W[0] - x @ gram(S))).sum(1),
    "difference of forms": lambda x, W, S, y: (x * (x @ gram(S)) - 50 * x * x).sum(1),
    "bilinear that is indefinite": lambda x, W, S, y: F.bilinear(x, x, (S + S.T)[None]),
    "bilinear of one that is not": lambda x, W, S, y: F.bilinear(x, x, torch.stack([gram(S), S + S.T])),
    "bilinear of two": lambda x, W, S, y: F.bilinear(x, x @ S, gram(S)[None]),
    "one minus twice a share": lambda x, W, S, y: F.relu(x) * (1 - 2 * torch.sigmoid(y)),
    "context minus another's least": lambda x, W, S, y: F.relu(x) * (y - (y @ S).min()),
    "context minus the least of columns": lambda x, W, S, y: F.relu(x[:3, :3]) * (y[:3, :3] - y[:3, :3].amin(1)),
    "range of two": lambda x, W, S, y: F.relu(x) * (y.max() - (y @ S).min()),
    "range of other rows": lambda x, W, S, y: F.relu(x) * (y.amax(0) - y.amin(1).sum()),
    "stabilised by two": lambda x, W, S, y: stabilised(x, x.amax(1, True), x.amin(1, True)),
    "stabilised, added twice": lambda x, W, S, y: stabilised(-x.abs(), x.amax(1, True), 0.5 * x.amax(1, True)),
    "stabilised over another axis": lambda x, W, S, y: stabilised(
        x[:3, :3], x[:3, :3].amax(1), x[:3, :3].amax(1, True)
    ),
    "stabilised by what is summed": lambda x, W, S, y: stabilised(x, x, x.amax(1, True)) - 3 * x.abs(),
    "stabilised at another heat": lambda x, W, S, y: (
        0.2 * torch.log(torch.exp((x - x.amax(1, True)) / 0.1).sum(1, True)) + x.amax(1, True)
    ),
    "stabilised with weights below 0": lambda x, W, S, y: (
        torch.log((S[0] * torch.exp(x - x.amax(1, True))).sum(1, True)) + x.amax(1, True)
    ),
    "stabilised softplus of another": lambda x, W, S, y: F.relu(x) + torch.log1p(torch.exp(-(x @ S).abs())),
    "stabilised softplus, twice as steep": lambda x, W, S, y: F.relu(x) + torch.log1p(torch.exp(-2 * x.abs())),
    "stabilised softplus, half of it": lambda x, W, S, y: 0.5 * F.relu(x) + torch.log1p(torch.exp(-x.abs())),
    "stabilised softplus of the wrong sign": lambda x, W, S, y: torch.log1p(torch.exp(-x.abs())) - F.relu(x),
    "log of a share": lambda x, W, S, y: torch.log(torch.sigmoid(x)),
    "log of one minus a share": lambda x, W, S, y: -torch.log(1 - torch.sigmoid(x)),
    "log of one minus a feature's share": lambda x, W, S, y: -torch.log(1 - torch.sigmoid(-x.abs())),
    "log of two minus a share": lambda x, W, S, y: -torch.log(2 - torch.sigmoid(x)),
    "a slice of the other part": lambda x, W, S, y: torch.cat([F.relu(x), torch.tanh(x)], 1)[:, 4:],
    "a slice of both": lambda x, W, S, y: torch.cat([F.relu(x), torch.tanh(x)], 1)[:, 3:5],
    "a slice of a product": lambda x, W, S, y: (torch.cat([F.relu(x), x], 1) * torch.arange(-4.0, 4.0))[:, :4],
    "the other of a stack": lambda x, W, S, y: torch.stack([F.relu(x), torch.tanh(x)]).unbind(0)[1],
    "a slice across a reshape": lambda x, W, S, y: torch.cat([F.relu(x), torch.tanh(x)], 1).view(3, 4, 2)[..., 0],
    "minus cross entropy": lambda x, W, S, y: -F.cross_entropy(x, torch.tensor([0, 1, 2])),
    "cross entropy of features": lambda x, W, S, y: F.cross_entropy(x.abs(), torch.tensor([0, 1, 2])),
    "cross entropy with targets from the input": lambda x, W, S, y: F.cross_entropy(x, x.argmax(1)),
    "cross entropy with weights below 0": lambda x, W, S, y: F.cross_entropy(x, torch.tensor([0, 1, 2]), weight=S[0]),
    "likelihood of features": lambda x, W, S, y: F.nll_loss(x.abs(), torch.tensor([0, 1, 2])),
    "bce with large targets": lambda x, W, S, y: F.binary_cross_entropy_with_logits(x.abs(), 2 * torch.ones(3, 4)),
    "bce with weights below 0": lambda x, W, S, y: F.binary_cross_entropy_with_logits(x, torch.ones(3, 4), weight=S[0]),
    "minus a variance": lambda x, W, S, y: -torch.var_mean(x, 1)[0],
    "variance of features": lambda x, W, S, y: torch.var_mean(x.abs(), 1)[0],
    "reduced to the least": lambda x, W, S, y: torch.zeros(3, 4).scatter_reduce(1, torch.zeros(3, 4).long(), x, "amin"),
    "reduced to a product": lambda x, W, S, y: torch.ones(3, 4).scatter_reduce(1, torch.zeros(3, 4).long(), x, "prod"),
    "reduced at places of the input": lambda x, W, S, y: torch.zeros(3, 4).scatter_reduce(1, x.argsort(1), x, "amax"),
    "reduced onto a concave value": lambda x, W, S, y: (-x.abs()).scatter_reduce(
        1, torch.zeros(3, 4).long(), x, "amax"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    assert not certificate_of(REFUSED[name])


def test_gates_of_context_with_two_branches():
    def forward(x, W, S, y):
        gate = torch.sigmoid(y @ S)
        return gate * F.relu(x) + (1 - gate) * x.square()

    assert certificate_of(forward)
