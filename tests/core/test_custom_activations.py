"""Functions that a user hands in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.theory.activation import Bend

GRID = np.linspace(-30.0, 30.0, 6001)


def softmax(s: np.ndarray) -> np.ndarray:
    e = np.exp(s - s.max())
    return e / e.sum()


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda s: -s, "not non-decreasing"),
        (lambda s: np.abs(s), "not non-decreasing: it falls near s = -"),
        (lambda s: np.exp(s) - 5.0 * s, "not non-decreasing"),
        (lambda s: np.maximum(s, 0.0) - 1e-4 * s, "not non-decreasing"),
        (lambda s: np.minimum(s, 2.0), "not convex: it bends downwards near s = 2$"),
        (lambda s: np.exp(s) + 3.0 * np.tanh(s), "not convex"),
        (lambda s: s + 1e-3 * np.sin(s), "not convex"),
        (lambda s: np.where(s == 0.0, np.nan, s), "not finite at s = 0"),
        (lambda s: np.where(s > 29.0, np.inf, s), "not finite at s = 29.01"),
        (lambda s: s.sum(), "not element-wise"),
        (lambda s: s[:-1], "not element-wise"),
        (lambda s: s[None], "not element-wise"),
        (softmax, "not element-wise"),
        (np.cumsum, "not element-wise"),
        (lambda s: s - s.mean() + s.max(), "not element-wise"),
    ],
)
def test_unusable_function(function: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)'mine' is {reason}"):
        core.custom(function, name="mine")


def test_as_activation_checks_a_callable_too() -> None:
    with pytest.raises(ValueError, match="'sin' is not convex"):
        core.as_activation(np.sin)


def test_name_of_a_callable_object() -> None:
    class Doubled:
        def __call__(self, s: np.ndarray) -> np.ndarray:
            return 2.0 * s

    assert core.as_activation(Doubled()).name == "Doubled"


@pytest.mark.parametrize("where", [np.nan, np.inf, "0", None])
def test_bends_are_numbers(where: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="bends"):
        core.custom(np.exp, bends=(where,))


def test_given_derivative_is_used() -> None:
    made = core.custom(np.exp, derivative=lambda s: np.full_like(s, 7.0))
    assert made.derivative(np.zeros(2)).tolist() == [7.0, 7.0]


def test_bends_are_kept() -> None:
    turn = Bend(0.5, 0.1)
    made = core.custom(np.exp, bends=(1.0, turn))
    assert made.bends == (Bend(1.0), turn)
    assert made.kinks == (1.0,)


def test_undeclared_kink_is_noticed_by_the_moments() -> None:
    def shifted(s: np.ndarray) -> np.ndarray:
        return np.maximum(s - 0.37, 0.0)

    with pytest.raises(ValueError, match=r"shifted has a kink.*not among its bends.*custom\(function, bends="):
        core.feature_moments(core.custom(shifted), 0.5)
    with pytest.raises(ValueError, match="bends"):
        core.solve(10, shifted)
    declared = core.feature_moments(core.custom(shifted, bends=(0.37,)), 0.5)
    expected = core.feature_moments(core.relu(), 0.5, mean=-0.37)
    assert declared.cross == pytest.approx(expected.cross, rel=1e-12, abs=0.0)
    assert declared.second == pytest.approx(expected.second, rel=1e-12, abs=0.0)


def test_undeclared_sharp_turn_is_noticed_by_the_moments() -> None:
    def sharp(s: np.ndarray) -> np.ndarray:
        return np.logaddexp(0.0, 500.0 * (s - 0.37)) / 500.0

    with pytest.raises(ValueError, match="bends"):
        core.feature_moments(core.custom(sharp), 0.5)
    turn = Bend(0.37, 1.0 / 500.0)
    found = core.feature_moments(core.custom(sharp, bends=(turn,)), 0.5)
    expected = core.feature_moments(core.softplus(500.0, float("inf")), 0.5, mean=-0.37)
    assert found.second == pytest.approx(expected.second, rel=1e-11, abs=0.0)
    assert found.cross == pytest.approx(expected.cross, rel=1e-11, abs=0.0)


def test_growth_beyond_the_grid_is_refused_rather_than_cut_off() -> None:
    # E[exp(s)²] at variance 30 lives at 11 standard deviations: too far out for the panels.
    with pytest.raises(ValueError, match="second moment"):
        core.feature_moments(core.custom(np.exp), 0.5, variance=30.0)
