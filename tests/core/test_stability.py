"""Stability of the fixed point: (44), B.4."""

from __future__ import annotations

import math

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.signal.fixed_point import feature_sum, feature_sum_derivative
from tests.core.references import USABLE

ACTIVATIONS = ("identity", "relu", "leaky_relu(0.3)", "elu(1)", "softplus(1)", "squared_softplus(1)")
SETTINGS = [(2, 0.5, 1.0, 0.0), (30, 0.2, 1.0, 0.5), (1000, 0.8, 3.0, 0.0)]


def test_threshold_of_the_paper() -> None:
    assert core.stable_fan_in() == pytest.approx(1 + (2 * math.pi - 2) / (2 - math.sqrt(3)), rel=1e-13, abs=0.0)
    assert core.stable_fan_in() == pytest.approx(16.985, abs=5e-4)


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.3)", "elu(1)", "softplus(1)"])
def test_correlation_eigenvalue_is_one_at_the_threshold(name: str, rho: float) -> None:
    activation = USABLE[name].activation
    threshold = core.stable_fan_in(activation, rho)
    assert 1.0 < threshold < math.inf
    assert core.stability(threshold, activation, rho).correlation_eigenvalue == pytest.approx(1.0, rel=1e-9, abs=0.0)
    assert core.stability(1 + 0.9 * (threshold - 1), activation, rho).correlation_eigenvalue < 1.0
    assert core.stability(1 + 1.1 * (threshold - 1), activation, rho).correlation_eigenvalue > 1.0


def test_a_linear_network_is_stable_at_any_width() -> None:
    assert core.stable_fan_in("identity") == math.inf
    assert core.stability(10**5, "identity").correlation_eigenvalue < 1.0


@pytest.mark.parametrize("n", [1, 2, 17, 784])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
def test_feature_sum_and_its_derivative(n: int, alpha: float, rho: float) -> None:
    """(35) and the f_c' of B.4 as printed."""
    activation = core.leaky_relu(alpha)
    arc = math.sqrt(1 - rho**2) + rho * math.acos(-rho)
    bracket = (1 - alpha) ** 2 * arc + 2 * math.pi * alpha * rho
    expected = n / (2 * math.pi) * ((1 + alpha**2) * math.pi - n * (1 - alpha) ** 2 + (n - 1) * bracket)
    slope = n * (n - 1) * ((1 - alpha) ** 2 * math.acos(-rho) / (2 * math.pi) + alpha)
    for variance in (1.0, 2.5):
        assert feature_sum(n, activation, rho, variance) == pytest.approx(expected, rel=1e-11, abs=0.0)
        assert feature_sum_derivative(n, activation, rho, variance) == pytest.approx(slope, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_feature_sum_derivative_is_its_derivative(name: str) -> None:
    activation, h, variance = USABLE[name].activation, 1e-4, 1.6
    up, down = (feature_sum(40, activation, 0.4 + d, variance) for d in (h, -h))
    found = feature_sum_derivative(40, activation, 0.4, variance)
    assert (up - down) / (2 * h) == pytest.approx(found, rel=1e-6, abs=0.0)


def after(
    signal: tuple[float, float, float], n: int, activation: core.Activation, settings: tuple[float, ...]
) -> np.ndarray:
    """(mean, variance, covariance) that one layer, solved for these settings, makes of (mean, variance, ρ)."""
    out = core.forward(core.SignalStatistics(*signal), core.solve(n, activation, *settings), activation)
    return np.array([out.mean, out.variance, out.correlation * out.variance])


@pytest.mark.parametrize(("n", "rho", "variance", "beta"), SETTINGS)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_eigenvalues_are_derivatives_of_the_map(n: int, rho: float, variance: float, beta: float, alpha: float) -> None:
    """The map of (44): (σ², ρ) ↦ (variance, covariance/σ²) with the mean at 0."""
    activation, settings = core.leaky_relu(alpha), (rho, variance, beta)
    found = core.stability(n, activation, *settings)
    h = 1e-5 * variance
    up, down = (after((0.0, variance + d, rho), n, activation, settings) for d in (h, -h))
    assert (up[1] - down[1]) / (2 * h) == pytest.approx(found.variance_eigenvalue, rel=1e-7, abs=0.0)
    up, down = (after((0.0, variance, rho + d), n, activation, settings) for d in (1e-5, -1e-5))
    assert (up[2] - down[2]) / (2e-5 * variance) == pytest.approx(found.correlation_eigenvalue, rel=1e-7, abs=0.0)


@pytest.mark.parametrize("n", [1, 16, 10_000])
@pytest.mark.parametrize("rho", [0.3, 0.5])
@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_variance_eigenvalue_and_the_one_in_print(n: int, rho: float, alpha: float) -> None:
    """Positive homogeneity makes λ₁ = 1 without bias noise; the print, which loses a σ², says ρ*."""
    activation = core.leaky_relu(alpha)
    found = core.stability(n, activation, rho)
    assert found.variance_eigenvalue == pytest.approx(1.0, rel=1e-12, abs=0.0)
    assert found.printed_variance_eigenvalue == pytest.approx(rho, rel=1e-12, abs=0.0)
    noisy = core.stability(n, activation, rho, bias_noise=0.4)
    assert noisy.variance_eigenvalue == pytest.approx((1 - rho) * 0.6 + rho, rel=1e-12, abs=0.0)


def test_away_from_the_fixed_point() -> None:
    found = core.stability(30, "relu", 0.5, at_correlation=0.2)
    ratio = feature_sum(30, "relu", 0.2) / feature_sum(30, "relu", 0.5)
    assert found.printed_variance_eigenvalue == pytest.approx(0.5 * ratio, rel=1e-12, abs=0.0)
    assert found.variance_eigenvalue == pytest.approx(0.5 + 0.5 * ratio, rel=1e-12, abs=0.0)
    slope = feature_sum_derivative(30, "relu", 0.2) / feature_sum(30, "relu", 0.5)
    assert found.correlation_eigenvalue == pytest.approx(0.5 * slope, rel=1e-12, abs=0.0)
    with pytest.raises(ValueError, match="correlation"):
        core.stability(30, at_correlation=1.5)


@pytest.mark.parametrize(("n", "rho", "variance", "beta"), SETTINGS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jacobian_entries(name: str, n: int, rho: float, variance: float, beta: float) -> None:
    """Mean row in closed form; the rest from the quantities above.

    With the bias fixed, the mean moves by N μ_w E[φ'] per unit of the mean, by N μ_w E[φ'']/2 per unit of the variance,
    and not at all with the correlation.
    """
    activation = USABLE[name].activation
    jacobian = core.stability(n, activation, rho, variance, beta).jacobian
    layer = core.solve(n, activation, rho, variance, beta)
    gain = n * layer.weight_mean

    assert jacobian[0, 0] == pytest.approx(
        gain * core.derivative_moments(activation, 0.0, variance).mean, rel=1e-6, abs=0.0
    )
    h = 1e-4 * variance
    up, down = (core.feature_moments(activation, 0.0, variance + d).mean for d in (h, -h))
    assert jacobian[0, 1] == pytest.approx(gain * (up - down) / (2 * h), rel=1e-5, abs=1e-9)
    assert jacobian[0, 2] == pytest.approx(0.0, abs=1e-9)

    eigenvalue = core.stability(n, activation, rho, variance, beta).correlation_eigenvalue
    assert jacobian[1, 2] == pytest.approx(variance * eigenvalue, rel=1e-6, abs=0.0)
    # (44) divides the covariance by the old variance; divided by the new one, λ₂ shrinks by 1 − ρ*.
    assert jacobian[2, 2] == pytest.approx((1 - rho) * eigenvalue, rel=1e-6, abs=0.0)


def test_mean_row_of_relu_in_numbers() -> None:
    """∂mean/∂mean = N μ_w/2 and ∂mean/∂σ² = N μ_w/√(8πσ²)."""
    for n in (5, 784):
        gain = n * core.solve(n).weight_mean
        row = core.stability(n).jacobian[0]
        np.testing.assert_allclose(row[:2], [gain / 2, gain / math.sqrt(8 * math.pi)], rtol=1e-7)


def test_spectral_radius_sees_the_drift_of_the_mean() -> None:
    """Small deviations grow by the spectral radius per layer: follow one through the map itself."""
    found = core.stability(784)
    layer, radius = core.solve(784), found.spectral_radius
    assert radius > max(found.variance_eigenvalue, found.correlation_eigenvalue)
    signal, sizes = core.SignalStatistics(1e-9, 1.0, 0.5), []
    for _ in range(25):
        signal = core.forward(signal, layer, core.relu())
        sizes.append(abs(signal.mean))
    assert sizes[-1] / sizes[-2] == pytest.approx(radius, rel=1e-3, abs=0.0)


def test_correlation_returns_if_the_mean_is_held() -> None:
    """At a width far above the threshold: what (44) calls unstable is the covariance over the old variance."""
    found, layer = core.stability(784), core.solve(784)
    assert found.correlation_eigenvalue > 1.0
    signal, errors = core.SignalStatistics(0.0, 1.0, 0.51), []
    for _ in range(12):
        out = core.forward(signal, layer, core.relu())
        signal = core.SignalStatistics(0.0, out.variance, out.correlation)
        errors.append(signal.correlation - 0.5)
    assert errors[-1] / errors[-2] == pytest.approx(0.5 * found.correlation_eigenvalue, rel=1e-3, abs=0.0)
    assert abs(errors[-1]) < 1e-4
