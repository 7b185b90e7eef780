"""The finite difference that stands in for a missing derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convex_init_core.theory.numerical_derivative import numerical_derivative

S = np.linspace(-5.0, 5.0, 401)


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (np.exp, np.exp),
        (lambda s: np.logaddexp(0.0, s), lambda s: 1.0 / (1.0 + np.exp(-s))),
        (lambda s: 3.0 * s - 2.0, lambda s: np.full_like(s, 3.0)),
        (lambda s: s**6, lambda s: 6.0 * s**5),
    ],
)
def test_smooth_function(function: Any, slope: Any) -> None:
    found = numerical_derivative(function, S)
    # Rounding of the values, divided by the step of 4e-3, is all that is left.
    scale = np.abs(function(S)).max() + 1.0
    np.testing.assert_allclose(found, slope(S), rtol=1e-10, atol=1e-12 * scale)


KINKS = (-0.5, 1.0)


def bent(s: np.ndarray) -> np.ndarray:
    right = np.maximum(s - 1.0, 0.0)
    return np.exp(0.5 * s) + 2.0 * np.maximum(s + 0.5, 0.0) + right**2 + 3.0 * right


def slope_right_of(s: np.ndarray) -> np.ndarray:
    right = np.where(s >= 1.0, 2.0 * (s - 1.0) + 3.0, 0.0)
    return 0.5 * np.exp(0.5 * s) + np.where(s >= -0.5, 2.0, 0.0) + right


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-6, 3.9e-3, 4e-3, 4.1e-3, 0.011, 0.013, 0.5])
@pytest.mark.parametrize("kink", KINKS)
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_next_to_a_kink(distance: float, kink: float, side: float) -> None:
    s = np.array([kink + side * distance])
    np.testing.assert_allclose(numerical_derivative(bent, s, kinks=KINKS), slope_right_of(s), rtol=1e-9)


def test_without_the_kink_it_would_be_wrong() -> None:
    s = np.array([1.001])
    assert abs(numerical_derivative(bent, s) - slope_right_of(s))[0] > 0.1


def test_kinks_in_any_order_and_any_shape_of_input() -> None:
    s = np.linspace(-2.0, 2.0, 24).reshape(2, 3, 4)
    found = numerical_derivative(bent, s, kinks=(1.0, -0.5))
    assert found.shape == s.shape
    np.testing.assert_allclose(found, slope_right_of(s), rtol=1e-9)


def test_stays_exact_far_out() -> None:
    s = np.array([-1e4, 1e4])
    np.testing.assert_allclose(numerical_derivative(lambda x: 2.0 * x, s), 2.0, rtol=1e-8)
