"""Arguments out of their domain: each message begins with the argument's name and holds the value."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.signal.fixed_point import feature_sum, feature_sum_derivative

BAD_VALUES = {
    "fan_in": (0, 0.5, -3, math.nan, math.inf),
    "correlation": (0.0, 1.0, -0.5, 1.5, math.nan, math.inf),
    "variance": (0.0, -1.0, math.nan, math.inf),
    "bias_noise": (-0.1, 1.0, 1.5, math.nan),
    "skip_share": (-1e-9, 1.0, 2.0, math.nan),
}
NO_NUMBERS = ("0.5", None, True, [0.5], 0.5j, np.array([0.5]))
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = {
    "solve": (
        core.solve,
        {"fan_in": 10, "activation": "relu"},
        ("fan_in", "correlation", "variance", "bias_noise", "skip_share"),
    ),
    "solve_centred": (core.solve_centred, {"fan_in": 10}, ("fan_in",)),
    "solve_free": (core.solve_free, {"fan_in": 10}, ("fan_in", "variance")),
    "stability": (core.stability, {"fan_in": 10}, ("fan_in", "correlation", "variance", "bias_noise")),
    "stable_fan_in": (core.stable_fan_in, {}, ("correlation", "variance")),
    "InitSettings": (core.InitSettings, {}, ("correlation", "variance", "bias_noise", "skip_share")),
    "feature_sum": (feature_sum, {"fan_in": 10, "activation": "relu", "correlation": 0.5}, ("fan_in", "variance")),
    "feature_sum_derivative": (
        feature_sum_derivative,
        {"fan_in": 10, "activation": "relu", "correlation": 0.5},
        ("fan_in", "variance"),
    ),
}
OUT_OF_DOMAIN = [
    (call, argument, value)
    for call, (_, _, names) in CALLS.items()
    for argument in names
    for value in BAD_VALUES[argument]
]
WRONG_TYPE = [
    (call, argument, value) for call, (_, _, names) in CALLS.items() for argument in names for value in NO_NUMBERS
]


@pytest.mark.parametrize(("call", "argument", "value"), OUT_OF_DOMAIN)
def test_out_of_domain(call: str, argument: str, value: float) -> None:
    function, arguments, _ = CALLS[call]
    with pytest.raises(ValueError, match=rf"^{argument} must .*got {value:g}"):
        function(**{**arguments, argument: value})


@pytest.mark.parametrize(("call", "argument", "value"), WRONG_TYPE, ids=str)
def test_wrong_type(call: str, argument: str, value: Any) -> None:
    function, arguments, _ = CALLS[call]
    with pytest.raises(TypeError, match=rf"^{argument} must be a real number.*{type(value).__name__}"):
        function(**{**arguments, argument: value})


@pytest.mark.parametrize(("beta", "gamma"), [(0.5, 0.5), (0.9, 0.2)])
def test_shares_that_leave_nothing(beta: float, gamma: float) -> None:
    with pytest.raises(ValueError, match=r"bias_noise \+ skip_share must stay below 1"):
        core.solve(10, bias_noise=beta, skip_share=gamma)


def test_constant_activation() -> None:
    with pytest.raises(ValueError, match="activation flat is constant"):
        core.solve(10, core.custom(np.ones_like, name="flat"))


def test_refused_activation() -> None:
    for function in (core.solve, core.solve_centred, core.stability):
        with pytest.raises(ValueError, match=r"activation 'tanh'.*concave"):
            function(10, "tanh")


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), Fraction(1, 2)])
def test_any_real_number_will_do(value: Any) -> None:
    assert core.solve(np.int64(10), "relu", value) == core.solve(10, "relu", 0.5)


def test_messages_offer_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"0 forces the weight mean to 0.*the paper uses 0\.5"):
        core.solve(10, correlation=0.0)
    with pytest.raises(ValueError, match="count the inputs"):
        core.solve(0)
