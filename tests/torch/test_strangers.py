"""Every public function, called with what it is not made for: it works, or refuses, and nothing else comes out."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import convex_init.torch as ci
from tests.messages import raw_error


def x():
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def plain():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


VALUES = {
    "nothing": None,
    "a word": "abc",
    "an empty list": [],
    "an empty dict": {},
    "another shape": torch.ones(8, 5),
    "another rank": torch.ones(4),
    "one number": torch.tensor(1.0),
    "NaN": torch.full((8, 4), torch.nan),
    "no rows": torch.ones(0, 4),
    "whole numbers": torch.ones(8, 4, dtype=torch.long),
    "truths": torch.ones(8, 4, dtype=torch.bool),
    "complex": torch.ones(8, 4, dtype=torch.cfloat),
    "half": torch.ones(8, 4).half(),
    "lists": [[1.0, 2.0]],
    "NumPy": np.ones((8, 4)),
    "an object": object(),
    "a model": plain(),
    "an empty model": nn.Sequential(),
    "no forward": nn.Module(),
    "a class": nn.Linear,
    "a function": torch.relu,
    "a lambda": lambda *_: True,
    "zero": 0,
    "minus one": -1,
    "a fraction": 1.5,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "true": True,
    "meta": torch.ones(8, 4, device="meta"),
}
OPTIONS = (
    *("convex_inputs", "entry", "positive", "free", "exclude", "fed_by", "positivity", "register_missing_bias"),
    *("calibrate", "correlation", "variance", "bias_noise", "distribution", "skip_share", "method", "match_moments"),
    *("threshold", "generator"),
)
STRANGERS = {
    **{f"model of {f.__name__}": lambda v, f=f: f(v, x()) for f in (ci.plan, ci.apply_, ci.certify, ci.signal_report)},
    **{f"inputs of {f.__name__}": lambda v, f=f: f(plain(), v) for f in (ci.plan, ci.apply_, ci.certify)},
    **{f"{name} of apply_": lambda v, name=name: ci.apply_(plain(), x(), **{name: v}) for name in OPTIONS},
    "convex_inputs of certify": lambda v: ci.certify(plain(), x(), v),
    "outputs of certify": lambda v: ci.certify(plain(), x(), outputs=v),
    "loss of signal_report": lambda v: ci.signal_report(plain(), x(), v) if not callable(v) else None,
    "project_": ci.project_,
    "projected_parameters": ci.projected_parameters,
    "mark_projected": ci.mark_projected,
    "optimizer of project_after_step": lambda v: ci.project_after_step(v, ci.ICNN(4, [8])),
    "model of project_after_step": lambda v: ci.project_after_step(torch.optim.SGD(plain().parameters(), 0.1), v),
    "weight of icnn_": ci.icnn_,
    "bias of icnn_": lambda v: ci.icnn_(torch.empty(3, 4), v),
    "fan_in of icnn_": lambda v: ci.icnn_(torch.empty(3, 4), fan_in=v),
    "geometry of icnn_": lambda v: ci.icnn_(torch.empty(3, 4), geometry=v, method="isometric"),
    "in_features of ICNN": lambda v: ci.ICNN(v, [8]),
    "hidden of ICNN": lambda v: ci.ICNN(4, v),
    "activation of ICNN": lambda v: ci.ICNN(4, [8], activation=v),
    "positivity of ICNN": lambda v: ci.ICNN(4, [8], positivity=v),
    "in_channels of ConvexConv2d": lambda v: ci.ConvexConv2d(v, 3, 3),
    "fed_by of ConvexLinear": lambda v: ci.ConvexLinear(4, 8, fed_by=v),
    "start of level_set_path": lambda v: ci.level_set_path(ci.ICNN(4, [8]), v, x()),
    "minimiser of level_set_path": lambda v: ci.level_set_path(ci.ICNN(4, [8]), x(), x(), minimiser=v),
    "tolerance of level_set_path": lambda v: ci.level_set_path(ci.ICNN(4, [8]), x(), x(), tolerance=v),
    "output of level_set_path": lambda v: ci.level_set_path(ci.ICNN(4, [8]), x(), x(), output=v),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_meets_no_raw_error(name):
    raw = {}
    for what, value in VALUES.items():
        given = copy.deepcopy(value) if isinstance(value, nn.Module | torch.Tensor) else value
        raw[what] = raw_error(lambda: STRANGERS[name](given))  # noqa: B023  # called at once
    assert not {what: error for what, error in raw.items() if error}
