"""Successive halving: networks with rates of their own beside each other, and who goes on."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn.functional import cross_entropy

from experiments.catalogue.grid import winner
from experiments.halving import Data, RatedAdam, Setting, halved, trained
from experiments.networks import build
from experiments.stacked import Stack

RATES = ((1e-2, 0.0), (1e-2, 0.0), (1e-3, 0.1), (1e-3, 0.0))


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(3)
    plain = torch.randn(160, 12, generator=generator)
    kinds = torch.stack([plain, 3.0 * plain.flip(1)])
    labels = plain[:, :4].argmax(1)
    return Data(kinds[:, :100], labels[:100], kinds[:, 100:], labels[100:])


@pytest.mark.parametrize("method", ["ICNN", "exp-ICNN + init", "ICNN + skip"])
def test_each_network_steps_with_its_own_rate_and_decay(method, data):
    def networks():
        return [build(method, 12, [8, 8], 4, torch.Generator().manual_seed(seed)) for seed in range(4)]

    stack, alone = Stack(networks()), networks()
    optimizer = RatedAdam(stack, RATES)
    others = [
        torch.optim.Adam(each.parameters(), lr=lr, weight_decay=l2) for each, (lr, l2) in zip(alone, RATES, strict=True)
    ]
    for _ in range(3):
        losses = [cross_entropy(each(data.train[0]), data.train_labels) for each in alone]
        together = sum(cross_entropy(each, data.train_labels) for each in stack(data.train[0].expand(4, -1, -1)))
        torch.testing.assert_close(together, sum(losses), rtol=1e-4, atol=0.0)
        together.backward()
        optimizer.step()
        for loss, other in zip(losses, others, strict=True):
            other.zero_grad()
            loss.backward()
            other.step()
    for place, each in enumerate(alone):
        for name, parameter in each.named_parameters():
            torch.testing.assert_close(stack.parameters[name][place], parameter, rtol=1e-3, atol=1e-4)


def test_a_setting_reaches_the_same_in_any_company(data):
    settings = [Setting((8,), lr, l2, kind) for lr, l2, kind in ((1e-2, 0.0, 1), (1e-3, 0.1, 0), (1e-2, 0.0, 0))]
    together = trained("ICNN + init", settings, data, 2, 16, 0)
    alone = [trained("ICNN + init", [setting], data, 2, 16, 0)[0] for setting in settings]
    assert [each.epoch for each in together] == [each.epoch for each in alone]
    # One of 60 samples may be at the boundary of two classes.
    assert [each.best for each in together] == pytest.approx([each.best for each in alone], abs=1.5 / 60)
    assert len({each.best for each in together}) > 1


def test_weights_that_must_not_be_negative_are_projected(data, monkeypatch):
    kept = []
    monkeypatch.setattr("experiments.halving.Stack", lambda networks: kept.append(Stack(networks)) or kept[-1])
    trained("ICNN", [Setting((8,), 1e-2, 0.0, 0)], data, 1, 16, 0)
    (stack,) = kept
    assert [float(weight.detach().min()) for weight in stack.projected] == [0.0]


def test_a_diverged_network_has_nothing_right(data):
    found = trained("non-convex", [Setting((8,), 1e30, 0.0, 0), Setting((8,), 1e-2, 0.0, 0)], data, 1, 16, 0)
    assert found[0].best == 0.0 < found[1].best


def test_the_best_third_of_each_rate_goes_on(data):
    choices = itertools.product(((4,), (8,)), (1e-2, 1e-5), (0.0, 0.1), (0, 1))
    settings = [Setting(hidden, lr, l2, kind) for hidden, lr, l2, kind in choices]
    found = halved("ICNN", settings, data, [1, 2, 3], 16, 0)
    for rate in (1e-2, 1e-5):
        of_rate = [tried for setting, tried in zip(settings, found, strict=True) if setting.lr == rate]
        assert sorted(len(tried) for tried in of_rate) == [1] * 5 + [2] * 2 + [3]
        for rung in (1, 2):
            stayed = [tried[rung - 1].best for tried in of_rate if len(tried) > rung]
            fell = [tried[rung - 1].best for tried in of_rate if len(tried) == rung]
            assert min(stayed) >= max(fell)


def test_the_winner_is_one_of_the_last_rung():
    tried = [{"validation": [0.9]}, {"validation": [0.5, 0.7], "lr": 1}, {"validation": [0.6, 0.7], "lr": 2}]
    assert winner(tried)["lr"] == 1
