"""The guard sees whatever convexity depends on leave its interval, not only weights."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from convex_init.ignite import ConvexityGuard
from convex_init.torch import apply_, project_, projected_parameters
from tests.torch.kept_models import MODELS, X


@pytest.mark.parametrize("case", ["a gate", "lerp", "slopes", "scales"])
def test_the_marks_survive_copies_and_reach_the_guard(case):
    make, expected = MODELS[case]
    model = copy.deepcopy(apply_(make(), X))
    assert set(expected) <= set(projected_parameters(model))
    guard = ConvexityGuard(model)
    with torch.no_grad():
        for name in expected:
            model.get_parameter(name).fill_(-1.0)
    engine = type("Engine", (), {"state": type("State", (), {"iteration": 1})})
    with pytest.raises(RuntimeError, match=next(iter(expected)).replace(".", r"\.")):
        guard(engine)
    project_(model)
    guard(engine)


def test_an_upper_end_is_kept_and_guarded():
    model = apply_(MODELS["slopes"][0](), X)
    with torch.no_grad():
        model[1].weight.fill_(1.5)
        model[3].weight[0] = math.nan
    with pytest.raises(RuntimeError, match=r"1\.weight \(between 1.5 and 1.5, must be in \[0, 1\]\)"):
        ConvexityGuard(model)(type("Engine", (), {"state": type("State", (), {"iteration": 1})}))
    project_(model)
    assert model[1].weight.item() == 1.0
    assert model[3].weight.isnan().tolist() == [True] + [False] * 7
