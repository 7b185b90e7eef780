"""Softplus written against overflow and sizes of values whose sign is known; memory that is filled in parts."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import convex_init.torch as ci  # noqa: E402
from tests.cvxpy.agreement import NEAR, worst  # noqa: E402


class Of(nn.Module):
    """A function of a free layer."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(3, 4), function

    def forward(self, x):
        return self.function(self.layer(x))


def stable(v, beta=1.0):
    """Softplus as it is written by hand."""
    return v.relu() + torch.log1p(torch.exp(-v.abs() * beta)) / beta


def in_parts(x):
    """Memory that held NaN before, if it is used again, is written to in three steps."""
    torch.full((x.shape[0], 8), float("nan"), dtype=x.dtype)
    buffer = x.new_empty(x.shape[0], 8)
    buffer[:, 2:6] = x
    buffer[:, :2] = x[:, :2]
    buffer[:, 6:] = buffer[:, 2:4]
    return buffer


CASES = {
    "of a clamped value": lambda z: stable(z.clamp(min=0.25)),
    "of a size": lambda z: stable(torch.maximum(z, 2.0 * z.abs())),
    "of a sum of features": lambda z: stable(z.relu().cumsum(1) + 0.5, 2.0),
    "of a cross entropy": lambda z: stable(F.cross_entropy(z, torch.zeros(len(z), dtype=int), reduction="none"), 0.5),
    "of a norm": lambda z: stable(z.norm(dim=1)),
    "of itself": lambda z: stable(stable(z), 3.0),
    "inside of another function": lambda z: torch.log1p(torch.exp(stable(z.clamp(min=0.0)) + z)),
    "the larger of a value and its negative": lambda z: torch.maximum(z.exp(), -z.exp()) + z,
    "the smaller of them": lambda z: -torch.minimum(stable(z), -stable(z)).sum(1),
    "a distance from the origin": lambda z: torch.cdist(-z.square(), torch.zeros(1, 4, dtype=z.dtype)),
    "circular padding": lambda z: F.pad(stable(z)[:, None], (1, 2), mode="circular").sum((1, 2)),
    "a buffer filled in parts": lambda z: in_parts(z.relu()).exp(),
}


@pytest.mark.parametrize("name", CASES)
def test_a_certified_function(name):
    torch.manual_seed(0)
    model, example = Of(CASES[name]).double(), torch.randn(1, 3, dtype=torch.float64)
    assert ci.certify(model, example)

    def run(at):
        with torch.no_grad():
            return model(torch.as_tensor(at)[None]).numpy()

    assert worst(model, (3,), run, example) < NEAR


def test_elements_that_nothing_was_written_to_are_not_used():
    def function(z):
        buffer = z.new_empty(z.shape[0], 5)
        buffer[:, :4] = z
        return buffer[:, :4].relu()

    model, example = Of(function).double(), torch.randn(1, 3, dtype=torch.float64)

    def run(at):
        with torch.no_grad():
            return model(torch.as_tensor(at)[None]).numpy()

    assert worst(model, (3,), run, example) < NEAR
