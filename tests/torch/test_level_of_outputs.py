"""Outputs that move as one with their last sum start at the mean that is wanted, 0 by default."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci

SEEN, H, SHOWN = 6, 32, 512


class Behind(nn.Module):
    """Two layers, and a function of the last sum."""

    def __init__(self, function, bias=True):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(SEEN, H), nn.Linear(H, H, bias=bias), function

    def forward(self, x):
        return self.function(self.last(F.relu(self.first(x))))


class Affine(nn.Module):
    """Max-affine, or the like: one free layer."""

    def __init__(self, function):
        super().__init__()
        self.planes, self.function = nn.Linear(SEEN, H), function

    def forward(self, x):
        return self.function(self.planes(x))


def by_hand(s):
    highest = s.max(-1, keepdim=True).values
    return (highest + (s - highest).exp().sum(-1, keepdim=True).log()).squeeze(-1)


MOVED = {
    "log-sum-exp": lambda s: s.logsumexp(-1),
    "log-sum-exp by hand": by_hand,
    "maximum": lambda s: s.amax(-1),
    "several maxima": lambda s: s.unflatten(-1, (4, -1)).amax(-1),
    "a sum of maxima": lambda s: s.unflatten(-1, (4, -1)).amax(-1).sum(-1),
    "scaled": lambda s: 2.5 * s.amax(-1, keepdim=True) - 1.0,
    "a temperature": lambda s: 0.1 * (s / 0.1).logsumexp(-1),
    "the mean of the largest": lambda s: s.topk(3, dim=-1).values.mean(-1) + s.amax(-1),
    "one maximum of another": lambda s: torch.maximum(s[:, 0], s[:, 1:].amax(-1)),
}
NOT_MOVED = {
    "an activation": lambda s: F.softplus(s).sum(-1),
    "a spread": lambda s: s.amax(-1) - s.mean(-1),
    "a maximum and 0": lambda s: s.amax(-1).relu(),
    "a square beside it": lambda s: s.amax(-1) + s[:, 0].square(),
}


def mean_of(model, x, **options):
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0), **options)
    with torch.no_grad():
        return float(model(x).mean())


@pytest.fixture
def x():
    return torch.randn(SHOWN, SEEN, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("build", [Behind, Affine])
def test_it_starts_at_mean_0(name, build, x):
    assert abs(mean_of(build(MOVED[name]), x)) < 5e-3


@pytest.mark.parametrize("name", MOVED)
def test_it_starts_at_the_mean_that_is_wanted(name, x):
    assert mean_of(Affine(MOVED[name]), x, output_mean=6.4) == pytest.approx(6.4, abs=1e-2)


@pytest.mark.parametrize("name", NOT_MOVED)
def test_what_does_not_move_as_one_is_left(name, x):
    model = Affine(NOT_MOVED[name])
    try:
        plan = ci.plan(model, x)
    except ValueError:
        return  # it is not convex
    assert not any("is set by the bias" in layer.why for layer in plan.layers)
    assert plan.biases["planes.bias"].mean == 0.0
    with pytest.raises(ValueError, match="leave it out, or scale the output outside"):
        ci.plan(model, x, output_mean=1.0)


def test_its_scale_is_not_set(x):
    with pytest.raises(ValueError, match="stands between it and the output; pass output_mean= alone"):
        ci.plan(Affine(MOVED["maximum"]), x, targets=torch.randn(100))


def test_a_row_of_the_plan_says_so(x):
    (row,) = ci.plan(Affine(MOVED["maximum"]), x).layers
    assert row.why.endswith("the mean of amax is set by the bias 'planes.bias'")


def test_few_examples_leave_it_as_it_is():
    few = torch.randn(8, SEEN, generator=torch.Generator().manual_seed(1))
    assert mean_of(Affine(MOVED["maximum"]), few) > 1.0


@pytest.mark.parametrize("options", [{"method": "log_normal"}, {"calibrate": False}])
def test_the_letter_of_the_paper_leaves_it_as_it_is(options, x):
    assert mean_of(Affine(MOVED["maximum"]), x, **options) > 1.0


def test_without_a_bias_nothing_is_set(x):
    assert mean_of(Behind(MOVED["maximum"], bias=False), x) > 0.5


class Tied(Behind):
    def __init__(self, function):
        super().__init__(function)
        self.first = nn.Linear(SEEN, H)
        self.last.bias = self.first.bias


def test_a_mean_that_cannot_be_set_is_refused_and_nothing_is_written(x):
    cases = [
        (Tied(MOVED["maximum"]), x, {}, "needs a bias that moves the output and nothing else"),
        (Affine(MOVED["maximum"]), x[:8], {}, "is set by measuring: pass 32 example_inputs"),
        (Affine(MOVED["maximum"]), None, {}, "is set by measuring"),
        (Affine(MOVED["maximum"]), x, {"calibrate": False}, "leave calibrate=False out"),
    ]
    for model, shown, options, message in cases:
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        with pytest.raises(ValueError, match=message):
            ci.apply_(model, shown, output_mean=6.4, **options)
        assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
