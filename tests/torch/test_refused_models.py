"""Models and inputs of which nothing can be said, such as one without an output: refused before anything is written."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from tests.messages import Refusal, assert_refused


def x(*shape):
    return torch.randn(*(shape or (8, 4)), generator=torch.Generator().manual_seed(0))


def plain():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def without_units():
    return nn.Sequential(nn.Linear(4, 0), nn.ReLU(), nn.Linear(0, 1))


def normalised():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def embedded():
    return nn.Sequential(nn.Embedding(9, 4), plain())


def words():
    return torch.arange(6).reshape(2, 3)


class Returning(nn.Module):
    """A convex function, and what ``forward`` makes of it."""

    def __init__(self, made):
        super().__init__()
        self.a, self.b, self.made = nn.Linear(4, 8), nn.Linear(8, 1), made

    def energy(self, x):
        return self.b(F.relu(self.a(x)))

    def forward(self, x):
        return self.made(self.energy(x))


class Picky(nn.Module):
    """A model that looks at what it is given."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 1)

    def forward(self, x):
        if x.ndim != 2:
            raise ValueError(f"a batch of vectors is needed, got {x.ndim} axes")
        return self.a(x)


HERE = "test_refused_models.py:"
CALLS = (ci.plan, ci.apply_, ci.constrain_, ci.signal_report)
NO_OUTPUTS = {"nothing": lambda y: None, "a number of Python": lambda y: float(y.sum()), "a place": torch.argmax}

REFUSALS = {
    **{
        f"{what}, {call.__name__}": Refusal(
            lambda m, call=call: call(m, x()),
            ("returns no floating-point tensor", "entry="),
            model=lambda made=made: Returning(made),
            remedy=lambda m, call=call: call(m, x(), entry="energy"),
        )
        for what, made in NO_OUTPUTS.items()
        for call in CALLS
    },
    **{
        f"{name}, {call.__name__}": Refusal(
            lambda m, call=call: call(m, x()),
            ("'2.weight'", "torch.jit", "before", "exclude="),
            model=lambda compiled=compiled: compiled(plain()),
        )
        for name, compiled in {"a script": torch.jit.script, "a trace": lambda m: torch.jit.trace(m, x())}.items()
        for call in (ci.plan, ci.apply_, ci.constrain_)
    },
    "a report on the meta device": Refusal(
        lambda m: ci.signal_report(m, x()), ("no numbers", "meta device"), model=lambda: plain().to("meta")
    ),
    "a report of no units": Refusal(lambda m: ci.signal_report(m, x()), ("'0'", "no units"), model=without_units),
    "complex weights": Refusal(
        lambda m: ci.apply_(m, x().cfloat()),
        ("'0'", "complex64", "complex numbers"),
        model=lambda: plain().to(torch.complex64),
    ),
    "words": Refusal(
        lambda m: ci.plan(m, words()),
        ("no weight to initialise", "no input holds floating-point", "entry="),
        model=embedded,
        remedy=lambda m: ci.plan(m, words(), entry="1"),
    ),
    "words to certify": Refusal(
        lambda m: ci.certify(m, words()),
        ("no floating-point tensor", "x.float()", "entry="),
        model=embedded,
        remedy=lambda m: ci.certify(m, words(), entry="1"),
    ),
    "one example for a batch's statistics": Refusal(
        lambda m: ci.certify(m, x(1, 4)),
        ("example_inputs: the model fails on them", "Expected more than 1 value"),
        model=normalised,
        remedy=lambda m: ci.certify(m, x()),
    ),
    **{
        f"a model that refuses itself, {call.__name__}": Refusal(
            lambda m, call=call: call(m, x(4)), ("example_inputs: the model fails", "got 1 axes", HERE), model=Picky
        )
        for call in (*CALLS, ci.certify)
    },
    "certify NaN": Refusal(lambda m: ci.certify(m, x() * torch.nan), ("example_inputs: input '0'", "NaN"), model=plain),
    "certify no rows": Refusal(lambda m: ci.certify(m, x()[:0]), ("example_inputs: input '0'", "empty"), model=plain),
}


def numbers_of(model):
    weights = {name: (tensor.is_meta or tensor.tolist()) for name, tensor in model.state_dict().items()}
    return weights


@pytest.mark.filterwarnings("ignore")  # scripts, complex modules and tensors without elements warn
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_leads_on(name):
    assert_refused(REFUSALS[name], numbers_of)


def test_a_context_may_hold_what_is_not_finite():
    """A mask of −∞ among the inputs: only in what a model is to be convex in numbers have to be moved."""

    class Masked(nn.Module):
        def forward(self, x, mask):
            return (x + mask).amax(1)

    mask = torch.tensor([0.0, 0.0, -torch.inf, 0.0])
    assert ci.certify(Masked(), (x(), mask), convex_inputs="x")
