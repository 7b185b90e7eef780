"""The closed forms (7), (21)–(23), (28) as the paper writes them, the general quadrature, and mpmath: all agree."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import mpmath as mp
import pytest

import convex_init_core as core

SLOPES = (0.0, 0.01, 0.2, 0.5, 1.0)
CORRELATIONS = (-1.0, -0.9, 0.0, 1e-3, 0.3, 0.5, 0.99, 1.0 - 1e-9, 1.0)
ROUNDING = 1e-13


def by_quadrature(slope: float) -> core.Activation:
    """A leaky ReLU that hides its slope, so that the general route is taken."""
    return replace(core.leaky_relu(slope), name="hidden", negative_slope=None)


def arc(rho: float) -> float:
    return math.sqrt(1.0 - rho * rho) + rho * math.acos(-rho)


def test_without_more_said_the_signal_is_standard() -> None:
    for moments in (core.feature_moments, core.derivative_moments):
        for activation in (core.leaky_relu(0.2), core.softplus()):
            assert moments(activation, 0.4) == moments(activation, 0.4, 1.0, 0.0)


@pytest.mark.parametrize("variance", [0.3, 1.0, 17.0])
@pytest.mark.parametrize("slope", SLOPES)
def test_moments_of_one(slope: float, variance: float) -> None:
    for activation in (core.leaky_relu(slope), by_quadrature(slope)):
        found = core.feature_moments(activation, 0.5, variance)
        assert found.mean == pytest.approx((1 - slope) * math.sqrt(variance / (2 * math.pi)), rel=ROUNDING, abs=1e-15)
        assert found.second == pytest.approx((1 + slope**2) * variance / 2, rel=ROUNDING, abs=0.0)
        assert found.variance == pytest.approx(found.second - found.mean**2, rel=ROUNDING, abs=0.0)


@pytest.mark.parametrize("rho", CORRELATIONS)
@pytest.mark.parametrize("slope", SLOPES)
def test_kernel_of_leaky_relu(slope: float, rho: float) -> None:
    variance = 2.7
    expected = (1 - slope) ** 2 * variance / (2 * math.pi) * arc(rho) + slope * variance * rho
    for activation in (core.leaky_relu(slope), by_quadrature(slope)):
        # arccos loses half the digits at |ρ| → 1, for the closed form and this test alike.
        assert core.feature_moments(activation, rho, variance).cross == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("rho", CORRELATIONS)
@pytest.mark.parametrize("slope", SLOPES)
def test_derivative_kernel_of_leaky_relu(slope: float, rho: float) -> None:
    expected = (1 - slope) ** 2 * math.acos(-rho) / (2 * math.pi) + slope
    for activation in (core.leaky_relu(slope), by_quadrature(slope)):
        found = core.derivative_moments(activation, rho, 2.7)
        assert found.cross == pytest.approx(expected, rel=1e-12, abs=1e-13)
        assert found.mean == pytest.approx(0.5 * (1 + slope), rel=ROUNDING, abs=0.0)
        assert found.second == pytest.approx(0.5 * (1 + slope**2), rel=ROUNDING, abs=0.0)


@pytest.mark.parametrize("rho", [-0.9, -1e-12, 1e-15, 1e-9, 1e-4, 0.3, 0.999])
@pytest.mark.parametrize("slope", SLOPES)
def test_covariance_without_cancellation(slope: float, rho: float) -> None:
    with mp.workdps(50):
        r, a = mp.mpf(rho), mp.mpf(slope)
        bracket = mp.sqrt(1 - r * r) + r * mp.acos(-r) - 1
        expected = float((1 - a) ** 2 / (2 * mp.pi) * bracket + a * r)
    assert core.feature_moments(core.leaky_relu(slope), rho).covariance == pytest.approx(expected, rel=1e-13, abs=0.0)


def test_relu_at_one_half_is_the_papers() -> None:
    """k(1/2) = (3√3 + 2π)/12π, from which (11) and (12) follow."""
    expected = (3 * math.sqrt(3) + 2 * math.pi) / (12 * math.pi)
    assert core.feature_moments(core.relu(), 0.5).cross == pytest.approx(expected, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.3, 1.0])
def test_identity(rho: float) -> None:
    for mean in (0.0, -1.2):
        found = core.feature_moments(core.identity(), rho, 3.0, mean)
        assert found.mean == pytest.approx(mean, abs=1e-14)
        assert found.second == pytest.approx(3.0 + mean**2, rel=ROUNDING, abs=0.0)
        assert found.covariance == pytest.approx(3.0 * rho, rel=1e-12, abs=1e-14)
        slopes = core.derivative_moments(core.identity(), rho, 3.0, mean)
        assert slopes.mean == pytest.approx(1.0, rel=ROUNDING, abs=0.0)
        assert (slopes.variance, slopes.covariance) == pytest.approx((0.0, 0.0), abs=1e-14)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("correlation", 1.0001),
        ("correlation", -1.1),
        ("correlation", math.nan),
        ("variance", -1e-9),
        ("variance", -1.0),
        ("variance", math.inf),
        ("mean", math.nan),
        ("mean", -math.inf),
    ],
)
@pytest.mark.parametrize("moments", [core.feature_moments, core.derivative_moments])
def test_errors_name_the_argument(moments: Any, argument: str, value: float) -> None:
    arguments = {"correlation": 0.5, "variance": 1.0, "mean": 0.0, argument: value}
    with pytest.raises(ValueError, match=f"^{argument} must"):
        moments(core.relu(), **arguments)
