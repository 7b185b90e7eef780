"""Handlers of ignite refuse what they cannot hold, and say what to pass."""

import pytest
import torch
from ignite.engine import Engine

from convex_init.ignite import ConvexityGuard, NonNegProjection, SignalMonitor
from convex_init.torch import ICNN
from tests.messages import Refusal, assert_refused


def model():
    return ICNN(4, [8], 1)


def batch():
    return torch.randn(8, 4)


REFUSALS = {
    "projection of nothing": Refusal(lambda: NonNegProjection(None), ("model", "NoneType"), TypeError),
    "projection on nothing": Refusal(
        lambda m: NonNegProjection(m).attach(None), ("engine", "Engine"), TypeError, model
    ),
    "guard on nothing": Refusal(lambda m: ConvexityGuard(m).attach(None), ("engine",), TypeError, model),
    "an action that is none": Refusal(lambda m: ConvexityGuard(m, "stop"), ("action", "'warn'"), model=model),
    "monitor of nothing": Refusal(lambda: SignalMonitor(None, batch()), ("model", "NoneType"), TypeError),
    "monitor without a logger": Refusal(
        lambda m: SignalMonitor(m, batch()).attach(Engine(lambda *_: None), None), ("logger",), TypeError, model
    ),
    "a tag that is no word": Refusal(lambda m: SignalMonitor(m, batch(), tag=3), ("tag", "3"), TypeError, model),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_leads_on(name):
    assert_refused(REFUSALS[name], lambda model: [parameter.tolist() for parameter in model.parameters()])
