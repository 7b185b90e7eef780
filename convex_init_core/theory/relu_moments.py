"""Closed-form moments of the (leaky) ReLU family at zero mean: equations (7), (21)–(23) and (28).

With α the negative slope and ρ the correlation of two pre-activations of variance σ²,
``k(ρ) = (1−α)² σ²/2π · (√(1−ρ²) + ρ arccos(−ρ)) + α σ² ρ``. α = 0 is ReLU, α = 1 the identity.
"""

from __future__ import annotations

import math


def leaky_mean(negative_slope: float, variance: float) -> float:
    """``E[φ] = (1−α) σ/√(2π)``."""
    return (1.0 - negative_slope) * math.sqrt(variance / (2.0 * math.pi))


def leaky_second_moment(negative_slope: float, variance: float) -> float:
    """``E[φ²] = (1+α²) σ²/2``."""
    return 0.5 * (1.0 + negative_slope**2) * variance


def leaky_covariance(negative_slope: float, variance: float, correlation: float) -> float:
    """``k(ρ) − k(0)``, without the cancellation that the difference suffers at small ρ."""
    root = math.sqrt((1.0 - correlation) * (1.0 + correlation))
    arc = correlation * math.acos(-correlation) - correlation**2 / (1.0 + root)
    return variance * ((1.0 - negative_slope) ** 2 * arc / (2.0 * math.pi) + negative_slope * correlation)


def leaky_derivative_cross_moment(negative_slope: float, correlation: float) -> float:
    """``E[φ'(s₁)φ'(s₂)] = (1−α)² arccos(−ρ)/2π + α``."""
    return (1.0 - negative_slope) ** 2 * math.acos(-correlation) / (2.0 * math.pi) + negative_slope
