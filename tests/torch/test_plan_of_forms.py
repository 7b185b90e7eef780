"""Quadratic forms whose matrix is made of weights: definite by how it is made, whatever will be drawn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import convex_init.torch as ci


class Form(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.S, self.T = nn.Parameter(torch.randn(4, 6)), nn.Parameter(torch.randn(6, 3))
        self.b, self.linear, self.form = nn.Parameter(torch.randn(6)), nn.Linear(4, 6), form

    def forward(self, x):
        return self.form(self, x)


def through(v, matrix):
    return ((v @ matrix) * v).sum(-1)


DEFINITE = {
    "features and their own matrix": lambda m, x: through(x @ m.S, m.S.T @ m.S),
    "moved by a number": lambda m, x: through(x @ m.S + 1, m.S.T @ m.S),
    "moved by a parameter": lambda m, x: through(x @ m.S + m.b, m.S.T @ m.S),
    "a layer, another's matrix": lambda m, x: through(m.linear(x), m.S.T @ m.S),
    "a layer and its matrix": lambda m, x: through(m.linear(x), m.linear.weight @ m.linear.weight.T),
    "a root of its own": lambda m, x: through(x @ m.S - m.b, m.T @ m.T.T),
    "einsum": lambda m, x: torch.einsum("bi,ij,bj->b", x @ m.S + 1, m.T @ m.T.T, x @ m.S + 1),
}
INDEFINITE = {
    "two frames": lambda m, x: ((x @ m.S @ (m.T @ m.T.T)) * m.linear(x)).sum(-1),
    "a matrix that is no square": lambda m, x: through(x @ m.S, m.T @ m.S[:3]),
    "less than nothing": lambda m, x: through(x @ m.S, m.S.T @ m.S - 9.0 * torch.eye(6)),
}


@pytest.mark.parametrize("name", DEFINITE)
def test_a_form_that_is_definite_by_its_making_is_planned_and_stays_convex(name):
    torch.manual_seed(0)
    model, x = Form(DEFINITE[name]), torch.randn(64, 4)
    assert ci.certify(model, x, search=False)
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    assert ci.certify(model, x, search=False)


def test_minus_a_definite_form_is_concave():
    model, x = Form(lambda m, x: -through(x @ m.S + 1, m.S.T @ m.S)), torch.randn(64, 4)
    assert "concave" in str(ci.certify(model, x, search=False))


@pytest.mark.parametrize("name", INDEFINITE)
def test_a_form_that_may_have_either_sign_is_not(name):
    torch.manual_seed(0)
    model, x = Form(INDEFINITE[name]), torch.randn(64, 4)
    assert not ci.certify(model, x, search=False)
    with pytest.raises(ValueError, match="nothing was written"):
        ci.plan(model, x)
