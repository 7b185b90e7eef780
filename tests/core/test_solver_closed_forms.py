"""The paper's printed formulas (11), (12), (33), (35), (42), (43), (45), (46) against the one general solver."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath as mp
import pytest

import convex_init_core as core

FAN_INS = (1, 2, 3, 17, 784, 100_000)
EXACT = 1e-12


def general(slope: float) -> core.Activation:
    """A leaky ReLU of unknown slope: all its moments come from quadrature."""
    return replace(core.leaky_relu(slope), name="hidden", negative_slope=None)


def feature_sum(n: float, alpha: float, rho: float) -> float:
    """f_c(ρ) of (35)."""
    with mp.workdps(40):
        n, a, r = mp.mpf(n), mp.mpf(alpha), mp.mpf(rho)
        arc = mp.sqrt(1 - r * r) + r * mp.acos(-r)
        bracket = (1 - a) ** 2 * arc + 2 * mp.pi * a * r
        return float(n / (2 * mp.pi) * ((1 + a**2) * mp.pi - n * (1 - a) ** 2 + (n - 1) * bracket))


@pytest.mark.parametrize("n", FAN_INS)
@pytest.mark.parametrize("activation", [core.relu(), general(0.0)], ids=str)
def test_papers_default(n: int, activation: core.Activation) -> None:
    """(11), (12): ReLU, ρ* = 1/2, σ* = 1."""
    bracket = 6 * (math.pi - 1) + (n - 1) * (3 * math.sqrt(3) + 2 * math.pi - 6)
    layer = core.solve(n, activation)
    assert layer.weight_mean == pytest.approx(math.sqrt(6 * math.pi / (n * bracket)), rel=EXACT, abs=0.0)
    assert layer.weight_variance == pytest.approx(1 / n, rel=EXACT, abs=0.0)
    assert layer.bias_mean == pytest.approx(-math.sqrt(3 * n / bracket), rel=EXACT, abs=0.0)
    assert layer.bias_variance == 0.0
    assert layer.skip_variance == 0.0
    assert layer.fan_in == n


@pytest.mark.parametrize("n", FAN_INS)
@pytest.mark.parametrize("rho", [0.01, 0.5, 0.95])
@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize(("variance", "beta"), [(1.0, 0.0), (0.2, 0.5), (9.0, 0.99)])
def test_leaky_relu(n: int, alpha: float, rho: float, variance: float, beta: float) -> None:
    for activation in (core.leaky_relu(alpha), general(alpha)):
        layer = core.solve(n, activation, rho, variance, beta)
        mean = math.sqrt(rho / feature_sum(n, alpha, rho))  # (42)
        assert layer.weight_mean == pytest.approx(mean, rel=EXACT, abs=0.0)
        unshared = (1 - rho) * (1 - beta)
        assert layer.weight_variance == pytest.approx(
            2 / (1 + alpha**2) * unshared / n, rel=EXACT, abs=0.0
        )  # (43), (45)
        shift = -n * mean * (1 - alpha) * math.sqrt(variance / (2 * math.pi))  # (33)
        assert layer.bias_mean == pytest.approx(shift, rel=EXACT, abs=EXACT * n * mean)
        assert layer.bias_variance == pytest.approx(beta * (1 - rho) * variance, rel=EXACT, abs=0.0)  # (46)


@pytest.mark.parametrize("n", [1, 20])
def test_fractional_fan_in_of_a_transposed_convolution(n: int) -> None:
    layer = core.solve(n + 0.5, core.leaky_relu(0.2), 0.4)
    assert layer.weight_mean == pytest.approx(math.sqrt(0.4 / feature_sum(n + 0.5, 0.2, 0.4)), rel=EXACT, abs=0.0)


@pytest.mark.parametrize("n", FAN_INS)
def test_exponential_moments(n: int) -> None:
    """φ = exp has k(ρ) = exp(σ²(1+ρ)): the general formula with a kernel that is no leaky ReLU's."""
    rho, variance, beta, gamma = 0.3, 0.25, 0.1, 0.2
    layer = core.solve(n, core.custom(lambda s: math.e**s), rho, variance, beta, gamma)
    k = [math.exp(variance * (1 + r)) for r in (0.0, rho, 1.0)]
    spread = k[2] - n * k[0] + (n - 1) * k[1]
    assert layer.weight_mean == pytest.approx(math.sqrt(rho * variance / (n * spread)), rel=1e-10, abs=0.0)
    assert layer.weight_variance == pytest.approx(0.7 * 0.7 * variance / (n * k[2]), rel=1e-10, abs=0.0)
    assert layer.bias_mean == pytest.approx(-n * layer.weight_mean * math.exp(variance / 2), rel=1e-10, abs=0.0)
    assert layer.bias_variance == pytest.approx(beta * (1 - rho) * variance, rel=EXACT, abs=0.0)
    assert layer.skip_variance == pytest.approx(gamma * (1 - rho) * variance, rel=EXACT, abs=0.0)


@pytest.mark.parametrize("n", FAN_INS)
@pytest.mark.parametrize(("alpha", "gain"), [(0.0, 2.0), (0.1, 2.0 / 1.01), (1.0, 1.0)])
def test_traditional_init_is_he_and_lecun(n: int, alpha: float, gain: float) -> None:
    """(2)–(4), A.1."""
    layer = core.solve_centred(n, core.leaky_relu(alpha))
    assert layer.weight_variance == pytest.approx(gain / n, rel=EXACT, abs=0.0)
    assert (layer.weight_mean, layer.bias_mean, layer.bias_variance) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("variance", [1.0, 0.3])
def test_free_layer_is_lecun(variance: float) -> None:
    layer = core.solve_free(64, variance)
    assert layer.weight_variance == pytest.approx(variance / 64, rel=EXACT, abs=0.0)
    assert (layer.weight_mean, layer.bias_mean, layer.bias_variance) == (0.0, 0.0, 0.0)


def test_standard_deviations_are_roots() -> None:
    layer = core.solve(100, "relu", 0.5, 1.0, 0.36)
    assert layer.weight_std**2 == pytest.approx(layer.weight_variance, rel=EXACT, abs=0.0)
    assert layer.bias_std**2 == pytest.approx(layer.bias_variance, rel=EXACT, abs=0.0)
