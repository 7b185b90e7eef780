"""Which weights a model's own methods keep non-negative, found by trying them on a copy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from convex_init.torch.model.clamping_methods import kept_non_negative
from convex_init.torch.model.modules import all_modules


def kept_by_methods_of(model):
    return kept_non_negative(model, all_modules(model))


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.b(F.softplus(self.a(x)))


class InPlace(Base):
    def tidy_up(self):
        self.b.weight.data.clamp_(min=0)


class NewTensor(Base):
    @torch.no_grad()
    def shrink(self, at_least=0.0):
        self.b.weight = nn.Parameter(torch.clamp(self.b.weight, min=at_least))


class ThroughApply(Base):
    def constrain(self):
        def relu(module):
            if isinstance(module, nn.Linear) and module.in_features == 8:
                module.weight.data = module.weight.data.relu()

        self.apply(relu)


class OfAnotherOne(Base):
    """The method is that of a part."""

    class Positive(nn.Linear):
        def project(self):
            self.weight.data.abs_()

    def __init__(self):
        super().__init__()
        self.b = self.Positive(8, 2)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (InPlace, "tidy_up()"),
        (NewTensor, "shrink()"),
        (ThroughApply, "constrain()"),
        (OfAnotherOne, "b.project()"),
    ],
)
def test_a_method_that_clamps_is_found_and_the_model_left_alone(kind, method):
    torch.manual_seed(0)
    model = kind()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert kept_by_methods_of(model) == {"b.weight": method}
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    found = {layer.path: layer for layer in ci.plan(model, torch.randn(4, 5)).layers}
    assert f"kept non-negative by {method}" in found["b"].note
    assert method not in found["a"].note


class Dangerous(Base):
    """Methods that must not be called, or that show nothing when they are."""

    called: list[str] = []  # noqa: RUF012

    def save_clamped(self):
        self.called.append("save_clamped")
        torch.save(self.b.weight.clamp(min=0), "nowhere")

    def clamp_to(self, limit):
        self.called.append("clamp_to")
        self.b.weight.data.clamp_(min=limit)

    def train_clamped(self):
        self.called.append("train_clamped")
        self.b.weight.sum().backward()
        self.b.weight.data.clamp_(min=0)

    def clamp_and_fail(self):
        self.b.weight.data.clamp_(min=0)
        raise RuntimeError("no")

    def report(self):
        self.called.append("report")
        print(self.b.weight.clamp(min=0).sum())

    def unrelated(self):
        self.called.append("unrelated")


def test_methods_that_reach_beyond_the_model_are_not_called():
    Dangerous.called.clear()
    assert kept_by_methods_of(Dangerous()) == {}
    assert Dangerous.called == []


def test_a_method_that_does_nothing_is_no_evidence():
    class Bounded(Base):
        def clip(self):
            self.b.weight.data.clamp_(-1, 1)

    assert kept_by_methods_of(Bounded()) == {}
    assert kept_by_methods_of(Base()) == {}


def test_only_what_would_be_negative_otherwise_counts():
    class OnlyTheBias(Base):
        def clip(self):
            self.b.bias.data.clamp_(min=0)

    assert kept_by_methods_of(OnlyTheBias()) == {"b.bias": "clip()"}


def test_the_global_generator_is_left_alone():
    class Redrawn(Base):
        def clamp_anew(self):
            self.b.weight.data.copy_(torch.rand(2, 8).clamp(min=0))

    model = Redrawn()
    before = torch.get_rng_state()
    kept_by_methods_of(model)
    assert torch.equal(before, torch.get_rng_state())


def test_a_layer_that_is_kept_non_negative_though_it_sees_the_input_is_a_contradiction():
    class Contradiction(Base):
        def clip(self):
            for layer in (self.a, self.b):
                layer.weight.data.clamp_(min=0)

    with pytest.raises(ValueError, match=r"'a': .*clip\(\)"):
        ci.plan(Contradiction(), torch.randn(4, 5))
    named = ci.plan(Contradiction(), torch.randn(4, 5), positive=["a", "b"], fed_by={"a": "identity"})
    assert [layer.role for layer in named.layers] == ["positive", "positive"]
