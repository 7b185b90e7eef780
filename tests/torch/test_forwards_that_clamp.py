"""Models that make their own weights non-negative while they run, in the ways that people write it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.hidden, self.last = nn.Linear(6, 32), nn.Linear(32, 32), nn.Linear(32, 1)

    def clamp(self):
        raise NotImplementedError

    def forward(self, x):
        with torch.no_grad():
            self.tighten(self.hidden.weight)
            self.tighten(self.last.weight)
        return self.last(F.softplus(self.hidden(F.softplus(self.first(x)))))


def by_a_mask(w):
    w[w < 0] = 0


def by_a_mask_of_data(w):
    w.data[w.data <= 0.0] = 0.0


def by_a_mask_and_a_small_number(w):
    w[w < 1e-4] = 1e-4


def by_a_product(w):
    w.mul_(w > 0)


def by_a_copy(w):
    w.copy_(w.relu())


def by_another_tensor(w):
    w.data = w.data.clamp(min=0)


def by_filling(w):
    w.masked_fill_(w < 0, 0)


WAYS = [by_a_mask, by_a_mask_of_data, by_a_mask_and_a_small_number, by_a_product, by_a_copy, by_another_tensor]
WAYS.append(by_filling)


def frozen(model):
    model.last.bias.requires_grad_(False).fill_(2.0)
    return model


@pytest.mark.parametrize("bias", ["learnt", "frozen"])
@pytest.mark.parametrize("way", WAYS)
def test_they_are_planned_started_and_trained_without_a_projection(way, bias):
    torch.manual_seed(0)
    model, x = Network(), torch.randn(128, 6)
    model.tighten = way
    if bias == "frozen":
        frozen(model)
    plan = ci.plan(model, x)
    assert [(layer.path, layer.role) for layer in plan.layers] == [
        ("first", "free"),
        ("hidden", "positive"),
        ("last", "positive"),
    ]
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    assert all(0.25 < layer.variance < 4.0 for layer in ci.signal_report(model, torch.randn(128, 6)).layers)
    if bias == "frozen":
        assert model.last.bias.item() == 2.0
        assert "its frozen bias 'last.bias' stays as it is" in plan.layers[-1].note
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    with pytest.raises(ValueError, match="the model's own forward clamps, need no projection"):
        ci.project_after_step(optimizer, model)
    for _ in range(20):
        optimizer.zero_grad()
        (model(x) - x.norm(dim=1, keepdim=True)).square().mean().backward()
        optimizer.step()
    assert ci.certify(model, x)


def test_a_relu_that_is_written_with_a_mask():
    class Written(Network):
        def forward(self, x):
            z = self.first(x)
            z[z < 0] = 0
            return F.linear(z, self.last.weight.abs(), self.last.bias)

    model, x = Written(), torch.randn(64, 6)
    del model.hidden
    last = ci.plan(model, x).layers[-1]
    assert (last.role, str(last.recipe.activation)) == ("positive", "relu")
    assert ci.certify(ci.apply_(model, x), x)
