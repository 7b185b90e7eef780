"""How deep each method is known to carry a signal, and that the advice names the remedy at the caller's own line."""

from __future__ import annotations

import math
import warnings

import pytest

from convex_init_core import InitSettings, depth_advice
from convex_init_core.methods.choice.depth_advice import carried_depth, warn_of_depth

CARRIED = {
    "the paper's": (InitSettings(), 4),
    "little bias noise": (InitSettings(bias_noise=0.49), 4),
    "matched": (InitSettings(match_moments=True), 5),
    "half the variance in biases": (InitSettings(bias_noise=0.5), 7),
    "both": (InitSettings(bias_noise=0.5, match_moments=True), 7),
}


@pytest.mark.parametrize("case", CARRIED)
def test_one_layer_more_than_is_known_to_work_gets_advice(case: str) -> None:
    settings, depth = CARRIED[case]
    assert carried_depth(settings) == depth
    assert depth_advice(settings, depth) == ""
    said = depth_advice(settings, depth + 1)
    assert f"through {depth} positive layers, and there are {depth + 1} in a row" in said
    assert "isometric" in said


def test_layers_with_free_skips_are_counted_by_themselves() -> None:
    settings = InitSettings()
    assert depth_advice(settings, 0, with_skips=10) == ""
    assert "known to carry 10 positive layers, and there are 11" in depth_advice(settings, 0, with_skips=11)
    assert "free skips from the input" in depth_advice(settings, 5, with_skips=11)  # those without come first


def test_the_isometric_method_carries_any_depth() -> None:
    settings = InitSettings(method="isometric")
    assert carried_depth(settings) == math.inf
    assert depth_advice(settings, 10_000, with_skips=10_000) == ""


def test_the_warning_is_in_the_name_of_the_caller() -> None:
    with pytest.warns(UserWarning, match="use method='isometric'") as caught:
        advice = warn_of_depth(InitSettings(), 5)
    assert [(str(one.message), one.filename) for one in caught] == [(advice, __file__)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert warn_of_depth(InitSettings(), 4) == ""
