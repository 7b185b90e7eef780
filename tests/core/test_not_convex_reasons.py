"""Every reason that the core gives for refusing a well-known activation, checked on the function itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, log_expit, ndtr

import convex_init_core as core
from convex_init_core.theory.activations import NOT_CONVEX

Function = Callable[[np.ndarray], np.ndarray]


def gelu(s: np.ndarray) -> np.ndarray:
    return s * ndtr(s)


def gelu_by_tanh(s: np.ndarray) -> np.ndarray:
    u = np.sqrt(2.0 / np.pi) * (s + 0.044715 * s**3)
    return s * expit(2.0 * u)  # (1 + tanh u)/2, without its cancellation


def silu(s: np.ndarray) -> np.ndarray:
    return s * expit(s)


def mish(s: np.ndarray) -> np.ndarray:
    return s * np.tanh(np.logaddexp(0.0, s))


def selu(s: np.ndarray) -> np.ndarray:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(s > 0.0, s, alpha * np.expm1(np.minimum(s, 0.0)))


def hard_swish(s: np.ndarray) -> np.ndarray:
    return s * np.clip(s + 3.0, 0.0, 6.0) / 6.0


def hard_sigmoid(s: np.ndarray) -> np.ndarray:
    return np.clip(s / 6.0 + 0.5, 0.0, 1.0)


def softsign(s: np.ndarray) -> np.ndarray:
    return s / (1.0 + np.abs(s))


def soft_shrink(s: np.ndarray) -> np.ndarray:
    return np.sign(s) * np.maximum(np.abs(s) - 0.5, 0.0)


def hard_shrink(s: np.ndarray) -> np.ndarray:
    return np.where(np.abs(s) > 0.5, s, 0.0)


def threshold(s: np.ndarray) -> np.ndarray:
    return np.where(s > 1.0, s, 0.0)


def glu(s: np.ndarray) -> np.ndarray:
    first, second = np.array_split(s, 2)
    return first[: second.size] * expit(second)


_RNG = np.random.default_rng(0)


def rrelu(s: np.ndarray) -> np.ndarray:
    return np.where(s > 0.0, s, _RNG.uniform(1 / 8, 1 / 3, s.shape) * s)


@dataclass(frozen=True)
class Claim:
    """What a reason says: intervals of decrease and concavity, (place, slope before, slope after) of drops, jumps."""

    function: Function
    decreasing: tuple[tuple[float, float], ...] = ()
    concave: tuple[tuple[float, float], ...] = ()
    drops: tuple[tuple[float, float, float], ...] = ()
    jumps: tuple[float, ...] = ()
    variants: tuple[Function, ...] = field(default=())


# 8 stands for infinity: further out the smooth functions are flat to the last digit.
CLAIMS = {
    "tanh": Claim(np.tanh, concave=((0.0, 8.0),)),
    "sigmoid": Claim(expit, concave=((0.0, 8.0),)),
    "gelu": Claim(gelu, decreasing=((-8.0, -0.75),), concave=((-8.0, -1.42), (1.42, 8.0)), variants=(gelu_by_tanh,)),
    "silu": Claim(silu, decreasing=((-8.0, -1.28),), concave=((-8.0, -2.40), (2.40, 8.0))),
    "mish": Claim(mish, decreasing=((-8.0, -1.20),), concave=((-8.0, -2.3), (1.6, 8.0))),
    "selu": Claim(selu, drops=((0.0, 1.7581, 1.0507),)),
    "relu6": Claim(lambda s: np.clip(s, 0.0, 6.0), drops=((6.0, 1.0, 0.0),)),
    "hardtanh": Claim(lambda s: np.clip(s, -1.0, 1.0), drops=((1.0, 1.0, 0.0),)),
    "hardswish": Claim(hard_swish, decreasing=((-3.0, -1.5),), drops=((3.0, 1.5, 1.0),)),
    "hardsigmoid": Claim(hard_sigmoid, drops=((3.0, 1 / 6, 0.0),)),
    "logsigmoid": Claim(log_expit, concave=((-8.0, 8.0),)),
    "softsign": Claim(softsign, concave=((0.0, 8.0),)),
    "tanhshrink": Claim(lambda s: s - np.tanh(s), concave=((-8.0, 0.0),)),
    "softshrink": Claim(soft_shrink, drops=((-0.5, 1.0, 0.0),)),
    "hardshrink": Claim(hard_shrink, jumps=(-0.5, 0.5)),
    "threshold": Claim(threshold, jumps=(1.0,)),
    "glu": Claim(glu),
    "rrelu": Claim(rrelu),
}
SAME_AS = {
    "swish": "silu",
    "hard_tanh": "hardtanh",
    "hard_swish": "hardswish",
    "hard_silu": "hardswish",
    "hard_sigmoid": "hardsigmoid",
    "log_sigmoid": "logsigmoid",
}


def second_differences(function: Function, low: float, high: float) -> np.ndarray:
    return np.diff(function(np.linspace(low, high, 1001)), 2)


ROUNDING = 4 * np.spacing(8.0)  # of a second difference of values up to 8


def test_every_refused_name_has_a_witness() -> None:
    assert set(NOT_CONVEX) == set(CLAIMS) | set(SAME_AS)
    for alias, name in SAME_AS.items():
        assert NOT_CONVEX[alias] == NOT_CONVEX[name]


@pytest.mark.parametrize("name", CLAIMS)
def test_reason_is_true(name: str) -> None:
    claim = CLAIMS[name]
    for function in (claim.function, *claim.variants):
        for low, high in claim.decreasing:
            assert np.all(np.diff(function(np.linspace(low, high, 1001))) < 0.0)
        for low, high in claim.concave:
            assert np.all(second_differences(function, low, high) <= ROUNDING)
            assert second_differences(function, low, high).min() < -1e-7
        for place, before, after in claim.drops:
            h = 1e-6
            left, at, right = function(np.array([place - h, place, place + h]))
            assert (at - left) / h == pytest.approx(before, abs=1e-4)
            assert (right - at) / h == pytest.approx(after, abs=1e-4)
            assert after < before
        for place in claim.jumps:
            left, right = function(np.array([place - 1e-9, place + 1e-9]))
            assert right - left > 0.1


@pytest.mark.parametrize("name", CLAIMS)
def test_each_is_refused_as_a_function_too(name: str) -> None:
    with pytest.raises(ValueError, match=r"not (convex|non-decreasing|element-wise)"):
        core.custom(CLAIMS[name].function, name=name)


def said(number: float, digits: int = 2) -> str:
    return f"{number:.{digits}f}".replace("-", "−")


def minimum(function: Function) -> float:
    def slope(s: float) -> float:
        return float(function(np.array(s + 1e-5)) - function(np.array(s - 1e-5)))

    return float(brentq(slope, -2.0, -0.2))


def inflection(function: Function, low: float, high: float) -> float:
    def bend(s: float) -> float:
        h = 1e-3
        return float(function(np.array(s + h)) - 2.0 * function(np.array(s)) + function(np.array(s - h)))

    return float(brentq(bend, low, high))


@pytest.mark.parametrize("name", ["gelu", "silu", "mish"])
def test_printed_minimum(name: str) -> None:
    assert f"decreases below s = {said(minimum(CLAIMS[name].function))}" in NOT_CONVEX[name]


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_printed_inflections(name: str) -> None:
    right, left = inflection(CLAIMS[name].function, 1.0, 4.0), inflection(CLAIMS[name].function, -4.0, -1.0)
    assert right == pytest.approx(-left, abs=1e-5)
    assert f"concave beyond |s| = {said(right)}" in NOT_CONVEX[name]


def test_printed_selu_slopes() -> None:
    slopes = np.diff(selu(np.array([-1e-7, 0.0, 1e-7]))) / 1e-7
    assert f"from {said(slopes[0])} to {said(slopes[1])} at 0" in NOT_CONVEX["selu"]
