"""E[f(s₁)f(s₂)] of activations and their slopes, by routes that the core does not take.

Kinked functions: the inner expectation in closed form (error functions), the outer by QUADPACK. Smooth functions:
the trapezoidal rule on the plane, whose error falls exponentially with the distance of the nearest pole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from mpmath import fp
from scipy.integrate import quad
from scipy.special import expit

import convex_init_core as core
from convex_init_core.theory.moments import FeatureMoments
from tests.core.references import USABLE, Case

MEANS = (0.0, -3.0, 1.5)
VARIANCES = (0.01, 1.0, 30.0)
CORRELATIONS = (-0.9, 0.0, 0.3, 0.5, 0.99)
TOLERANCE = 1e-10

KINKED = {
    name: USABLE[name]
    for name in ("identity", "relu", "leaky_relu(0.3)", "elu(1)", "elu(0.4)", "celu(0.5)", "celu(2)", "custom")
}


def cross_by_conditioning(
    function: Callable[[float], float],
    conditional: Callable[[float, float], float],
    kinks: tuple[float, ...],
    mean: float,
    variance: float,
    rho: float,
) -> float:
    """∫ f(s₁) E[f(s₂) | s₁] over s₁, where s₂ | s₁ is Gaussian."""
    std, rest = math.sqrt(variance), math.sqrt(variance * (1.0 - rho * rho))

    def integrand(z: float) -> float:
        return float(function(mean + std * z)) * conditional(mean + rho * std * z, rest) * math.exp(-0.5 * z * z)

    kinks_of_z = [(kink - mean) / std for kink in kinks]
    turns_of_z = [k / rho + j * rest / std for k in kinks_of_z for j in (-3, 0, 3)] if rho else []
    cuts = sorted({-16.0, -4.0, 0.0, 4.0, 16.0, *[cut for cut in kinks_of_z + turns_of_z if abs(cut) < 16.0]})
    pieces = [
        quad(integrand, a, b, epsabs=0.0, epsrel=1e-11, limit=200, full_output=True)[0]  # full_output: no warnings
        for a, b in pairwise(cuts)
    ]
    return math.fsum(pieces) / math.sqrt(2.0 * math.pi)


def assert_close(moments: FeatureMoments, cross: float) -> None:
    # For ρ ≥ 0 the cross moment is at least mean², so this is its relative error. For ρ < 0 it may be far smaller
    # than either of mean² and covariance; then it is the error relative to these.
    assert moments.cross == pytest.approx(cross, rel=TOLERANCE, abs=TOLERANCE * moments.mean**2)
    if cross > 2.0 * moments.mean**2 or cross < 0.5 * moments.mean**2:
        assert moments.covariance == pytest.approx(cross - moments.mean**2, rel=2.0 * TOLERANCE, abs=0.0)


@pytest.mark.parametrize("rho", CORRELATIONS)
@pytest.mark.parametrize("case", KINKED.values(), ids=KINKED.keys())
def test_kinked_function(case: Case, rho: float) -> None:
    assert case.conditional_value is not None
    assert case.conditional_slope is not None
    for mean in MEANS:
        for variance in VARIANCES:
            arguments = (case.kinks, mean, variance, rho)
            if case.activation.negative_slope == 0.0 and (mean, variance) == (-3.0, 0.01):
                continue  # ReLU 30 deviations below its kink passes nothing
            features = core.feature_moments(case.activation, rho, variance, mean)
            assert_close(features, cross_by_conditioning(partial(case.value, fp), case.conditional_value, *arguments))
            slopes = core.derivative_moments(case.activation, rho, variance, mean)
            assert_close(slopes, cross_by_conditioning(partial(case.slope, fp), case.conditional_slope, *arguments))


def softplus(s: np.ndarray, beta: float) -> np.ndarray:
    return np.maximum(s, 0.0) + np.log1p(np.exp(-beta * np.abs(s))) / beta


# The threshold is left out: above it softplus drops by 2e-9/β, of which this rule would miss a part.
SMOOTH = {
    "softplus(1)": (1.0, 1),
    "softplus(3)": (3.0, 1),
    "softplus(0.5)": (0.5, 1),
    "squared_softplus(1)": (1.0, 2),
    "squared_softplus(3)": (3.0, 2),
}


def cross_by_trapezoids(
    function: Callable[[np.ndarray], np.ndarray], beta: float, mean: float, variance: float, rho: float
) -> float:
    """Sum over a square grid of step h: with poles at ±iπ/β the error is exp(−2π d/h), d = π/(βσ)."""
    std = math.sqrt(variance)
    step = min(0.2, math.pi / (beta * std) / 4.5)
    z = np.arange(-14.0, 14.0, step)
    weight = np.exp(-0.5 * z * z) * step / math.sqrt(2.0 * math.pi)
    second = function(mean + std * (rho * z[:, None] + math.sqrt(1.0 - rho * rho) * z))
    return float((weight * function(mean + std * z)) @ (second @ weight))


@pytest.mark.parametrize("rho", CORRELATIONS)
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_function(name: str, rho: float) -> None:
    beta, power = SMOOTH[name]
    activation = (core.softplus if power == 1 else core.squared_softplus)(beta, math.inf)

    def function(s: np.ndarray) -> np.ndarray:
        return softplus(s, beta) ** power

    def slope(s: np.ndarray) -> np.ndarray:
        return power * softplus(s, beta) ** (power - 1) * expit(beta * s)

    for mean in MEANS:
        for variance in VARIANCES:
            features = core.feature_moments(activation, rho, variance, mean)
            assert_close(features, cross_by_trapezoids(function, beta, mean, variance, rho))
            slopes = core.derivative_moments(activation, rho, variance, mean)
            assert_close(slopes, cross_by_trapezoids(slope, beta, mean, variance, rho))


@pytest.mark.parametrize("rho", [-1.0, -1.0 + 1e-15, 0.0, 1.0 - 1e-15, 1.0])
@pytest.mark.parametrize("name", ["relu", "elu(1)", "softplus(1)", "custom"])
def test_ends_of_the_correlation(name: str, rho: float) -> None:
    case = USABLE[name]
    found = core.feature_moments(case.activation, rho, 2.0, 0.4)
    if rho == 0.0:
        assert found.covariance == pytest.approx(0.0, abs=1e-14 * found.second)
    elif rho > 0.0:
        assert found.covariance == pytest.approx(found.variance, rel=1e-12, abs=0.0)
    else:  # s₂ is the mirror image of s₁
        z = np.linspace(-12.0, 12.0, 200_001)
        weight = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) * (z[1] - z[0])
        f = case.activation
        mirrored = np.sum(weight * f(0.4 + np.sqrt(2.0) * z) * f(0.4 - np.sqrt(2.0) * z))
        assert found.cross == pytest.approx(float(mirrored), rel=1e-6, abs=0.0)


@pytest.mark.parametrize("name", USABLE)
def test_small_covariance_keeps_its_digits(name: str) -> None:
    """To first order in ρ the covariance is ρσ²E[φ']² (Stein); at ρ = 1e-9 it would drown in E[φ]²."""
    activation = USABLE[name].activation
    for mean in (0.0, -0.8):
        found = core.feature_moments(activation, 1e-9, 1.3, mean).covariance
        slope = core.derivative_moments(activation, 0.0, 1.3, mean).mean
        assert found == pytest.approx(1e-9 * 1.3 * slope**2, rel=1e-6, abs=0.0)


@pytest.mark.parametrize("name", USABLE)
def test_price_theorem(name: str) -> None:
    """d/dρ E[φ(s₁)φ(s₂)] = σ² E[φ'(s₁)φ'(s₂)], which ties the slopes' moments to the values'."""
    activation, variance, mean, h = USABLE[name].activation, 1.7, 0.3, 1e-4
    up, down = (core.feature_moments(activation, 0.4 + d, variance, mean).cross for d in (h, -h))
    slopes = core.derivative_moments(activation, 0.4, variance, mean).cross
    assert (up - down) / (2.0 * h) == pytest.approx(variance * slopes, rel=1e-6, abs=0.0)
