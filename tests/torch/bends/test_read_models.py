"""Models that are no chain of modules: they get what a chain gets, numbers in their code accounted for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import apply_, plan, signal_report
from convex_init_core.methods.bends.bend_spread import Bends
from tests.torch.bends.models import SPREAD, Unread, X, chain
from tests.torch.networks import generator


def test_a_model_that_is_read_by_running_gets_what_a_chain_gets():
    model = Unread()
    apply_(model, X, **SPREAD, generator=generator())
    layers = (model.free, model.first, model.second, model.last)
    same = plan(nn.Sequential(layers[0], *chain(*layers[1:])), **SPREAD).layers
    found = plan(model, X, **SPREAD).layers
    assert [layer.recipe for layer in found[1:]] == [layer.recipe for layer in same[1:]]
    bends = Bends(0.5, 2)
    for layer in (model.first, model.second):
        assert layer.weight.sum(1).detach().numpy() == pytest.approx(bends.gain)
        assert layer.bias.detach().numpy() == pytest.approx(-bends.shift)
    assert model.last.bias.detach().numpy() == pytest.approx(same[-1].recipe.bias.mean)
    assert plan(model, X, **SPREAD).settings.threshold == 0.5


class Cnn(nn.Module):
    """A network as people write them: blocks, pooling, and a bias that is a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(3 if k == 0 else 12, 12, 3, padding=1) for k in range(5))
        self.shift = nn.Parameter(torch.zeros(12, 1, 1))
        self.plain = nn.Conv2d(12, 12, 3, padding=1, bias=False)
        self.head = nn.Linear(12 * 16, 4)

    def forward(self, x):
        for block in self.blocks:
            x = block(x).relu()
        x = nn.functional.dropout(self.plain(x) + self.shift, training=self.training).relu()
        return self.head(nn.functional.max_pool2d(x, 2).flatten(1))


def test_a_cnn_that_is_read_by_running():
    model, bends = Cnn(), Bends(0.5, 5)
    x = torch.randn(8, 3, 8, 8, generator=generator(1))
    apply_(model, x, **SPREAD, generator=generator())
    for layer in (*model.blocks[1:], model.plain):
        assert layer.weight.sum((1, 2, 3)).detach().numpy() == pytest.approx(bends.gain)
    for bias in (*(block.bias for block in model.blocks[1:]), model.shift):
        assert bias.detach().numpy() == pytest.approx(-bends.shift)
    assert model.head.bias.detach().numpy() == pytest.approx(plan(model, x, **SPREAD).layers[-1].recipe.bias.mean)


def test_a_missing_bias_can_be_added_where_the_model_is_run():
    model = Unread(bias=False)
    apply_(model, X, **SPREAD, register_missing_bias=True)
    assert model.first.bias.detach().numpy() == pytest.approx(-Bends(0.5, 2).shift)


class Shifted(Unread):
    """A number in the code, and a bias that is subtracted."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(6))
        self.plain = nn.Linear(6, 6, bias=False)

    def forward(self, x):
        z = (self.first((self.free(x) + 5.0).relu()) - 0.7).relu()
        return self.last((self.plain(z) - self.shift).relu()) + 1.5


@pytest.mark.parametrize("settings", [SPREAD, {"method": "isometric"}, {"method": "bounded_gain"}])
def test_numbers_in_the_code_and_factors_of_biases_are_accounted_for(settings):
    model, plain = Shifted(), Unread()
    apply_(model, X, **settings, calibrate=False, generator=generator())
    layers = (plain.free, plain.first, plain.second, plain.last)
    due = [layer.recipe.bias.mean for layer in plan(nn.Sequential(layers[0], *chain(*layers[1:])), **settings).layers]
    if settings["method"] == "isometric":
        assert model.free.bias.detach().numpy() == pytest.approx(-5.0)
        assert model.first.bias.detach().numpy() == pytest.approx(due[1] + 0.7)
        assert model.shift.detach().numpy() == pytest.approx(-due[2])
        assert model.last.bias.detach().numpy() == pytest.approx(due[3] - 1.5)
    else:  # the budget of a model that is run holds the mean back, so its shifts are others
        assert model.free.bias.detach().numpy() == pytest.approx(-5.0)
        first, shift = model.first.bias[0].item() - 0.7, model.shift[0].item()
        assert first < 0.0 < shift


class Doubly(Shifted):
    """The same bias, added twice."""

    def forward(self, x):
        z = self.first(self.free(x).relu()).relu()
        return self.last((self.plain(z) + self.shift + self.shift).relu())


def test_a_bias_that_is_added_twice_holds_half():
    model = Doubly()
    apply_(model, X, **SPREAD, generator=generator())
    assert model.shift.detach().numpy() == pytest.approx(-0.5 * Bends(0.5, 2).shift)


def test_the_report_knows_of_numbers_in_the_code():
    model = Shifted()
    apply_(model, X, calibrate=False, generator=generator())
    free = signal_report(model, X).layers[0]
    assert free.predicted.mean == pytest.approx(0.0, abs=0.3)  # 5 from the code, -5 from the bias
    assert free.mean == pytest.approx(free.predicted.mean, abs=0.6)
