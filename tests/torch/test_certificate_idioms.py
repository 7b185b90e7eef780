"""What people write, one line each: convex and certified, or refused with the reason."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Line(nn.Module):
    """One expression of the input ``x`` (3, 4), with weights ``W`` ≥ 0 and ``S`` of both signs, both (4, 4)."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.W, self.S = nn.Parameter(torch.rand(4, 4)), nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return self.function(x, self.W, self.S)


CONVEX = {
    "half a squared relu": lambda x, W, S: 0.5 * F.relu(x @ S).pow(2).sum(-1, keepdim=True),
    "softplus through 0": lambda x, W, S: F.softplus(x) - F.softplus(torch.zeros(1)),
    "squareplus": lambda x, W, S: (x + torch.sqrt(x**2 + 4)) / 2,
    "smoothed leaky relu": lambda x, W, S: 0.2 * x + 0.8 * F.softplus(x),
    "maxout": lambda x, W, S: (x @ torch.cat([S, W], 1)).view(3, 4, 2).max(-1)[0],
    "softmax of weights": lambda x, W, S: F.relu(x) @ torch.softmax(S, 1),
    "spectral norm": lambda x, W, S: F.relu(x) @ (W / torch.linalg.matrix_norm(S, 2)),
    "squared weights": lambda x, W, S: F.relu(x) @ S**2,
    "squared norm": lambda x, W, S: F.relu(x).sum(1) + 0.1 * x.norm(dim=1) ** 2,
    "quadratic form": lambda x, W, S: ((x @ (S @ S.T)) * x).sum(1),
    "quadratic form of an affine map": lambda x, W, S: form(x @ S + 1.0, S.T @ S),
    "total variation": lambda x, W, S: (x[:, 1:] - x[:, :-1]).abs().sum(1),
    "group lasso": lambda x, W, S: x.view(3, 2, 2).norm(dim=-1).sum(1),
    "pinball loss": lambda x, W, S: torch.max(0.3 * x, -0.7 * x),
    "hinge loss": lambda x, W, S: F.relu(1 - x * torch.tensor([1.0, -1.0, 1.0, -1.0])).mean(),
    "softmax regression": lambda x, W, S: torch.logsumexp(x, 1) - x[:, 0],
    "relu by a choice": lambda x, W, S: torch.where(x > 0, x, 0.0),
    "leaky relu by a choice": lambda x, W, S: torch.where(x >= 0, x, 0.2 * x) @ W,
    "leaky relu, other way round": lambda x, W, S: torch.where(x < 0, 0.2 * x, x) @ W,
    "elu by a choice": lambda x, W, S: torch.where(x > 0, x, torch.exp(x.clamp(max=0)) - 1) @ W,
    "relu by a mask": lambda x, W, S: (x * (x > 0).float()) @ W,
    "squared relu by a choice": lambda x, W, S: torch.where(x > 0, x**2, 0.0) @ W,
    "rows of a table": lambda x, W, S: F.relu(x) * F.embedding(torch.tensor([0, 1, 2]), W),
    "bilinear in the context": lambda x, W, S: F.bilinear(x, torch.ones(3, 4), S.expand(5, 4, 4).contiguous()),
    "addmm": lambda x, W, S: torch.addmm(x, F.relu(x), W, beta=0.5, alpha=2),
    "written column by column": lambda x, W, S: columns(x),
    "the largest two": lambda x, W, S: x.topk(2, 1).values.sum(1),
    "a prefix of the sorted": lambda x, W, S: x.sort(1, descending=True)[0][:, :3].sum(1),
    "scaled by its weights' norm": lambda x, W, S: F.relu(x) @ (W / W.sum(0, keepdim=True).clamp(min=1e-6)),
    "weights through their own network": lambda x, W, S: F.relu(x) @ F.softplus(torch.tanh(S) @ W),
    "minus a concave function": lambda x, W, S: -torch.minimum(x, x @ S),
    "log-cosh": lambda x, W, S: torch.log(torch.cosh(0.3 * x)),
}

REFUSED = {
    "group sort": (lambda x, W, S: (x @ S).view(3, 2, 2).sort(-1)[0], "picks by rank"),
    "indefinite form": (lambda x, W, S: ((x @ (S + S.T)) * x).sum(1), "negative eigenvalue"),
    "form of a convex value": (lambda x, W, S: form(F.relu(x), S @ S.T), "but not non-decreasing"),
    "part of a form": (lambda x, W, S: (x * (x @ (S @ S.T))).cumsum(1), "both depend on the input"),
    "form over the rows": (lambda x, W, S: (x * (x @ (S @ S.T))).sum(0), "both depend on the input"),
    "third largest": (lambda x, W, S: x.topk(3, 1).values[:, 2], "picks by rank"),
    "the smallest two": (lambda x, W, S: x.topk(2, 1, largest=False).values.sum(1), "is concave"),
    "choice that jumps": (lambda x, W, S: torch.where(x > 0, x, x - 1.0), "jumps from -1 to 0"),
    "choice that bends down": (lambda x, W, S: torch.where(x > 0, 0.2 * x, x), "slope drops from 1 to 0.2"),
    "choice by another value": (lambda x, W, S: torch.where(x > 0, x @ S, x), "truth values"),
    "hard swish": (lambda x, W, S: F.hardswish(x), "hardswish is neither convex nor concave"),
    "attention": (lambda x, W, S: F.scaled_dot_product_attention(x[None], x[None], x[None]), "input"),
    "softmax": (lambda x, W, S: torch.softmax(x, 1), "not convex in all its elements"),
    "gated": (lambda x, W, S: F.glu(x), "multiplies two values"),
    "bicubic": (lambda x, W, S: F.interpolate(F.relu(x)[None, None], (8, 8), mode="bicubic"), "negative coefficients"),
    "product of entries": (lambda x, W, S: x.relu().prod(1), "multiplies values"),
    "inverse": (lambda x, W, S: 1.0 / (1.0 + x.abs()), "argument lives"),
}


def form(z, matrix):
    return 0.5 * (z * F.linear(z, matrix)).sum(-1)


def columns(x):
    out = torch.zeros(3, 4)
    for i in range(4):
        out[:, i] = F.relu(x[:, i]) + out[:, i - 1]
    return out


@pytest.mark.parametrize("name", CONVEX)
def test_what_is_convex_is_certified(name):
    certificate = ci.certify(Line(CONVEX[name]), torch.randn(3, 4), search=False)
    assert certificate, str(certificate)
    # A second opinion on the table itself.
    model, ends = Line(CONVEX[name]), torch.randn(2, 100, 3, 4)
    for a, b in zip(*ends, strict=True):
        with torch.no_grad():
            above = model(0.5 * (a + b)) - 0.5 * (model(a) + model(b))
        assert float(above.max()) < 1e-4


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_convex_is_refused_with_the_reason(name):
    function, reason = REFUSED[name]
    certificate = ci.certify(Line(function), torch.randn(3, 4), search=False)
    assert not certificate
    assert reason in str(certificate)
