"""Moments of activations, and of their derivatives, under Gaussian pre-activations.

The (leaky) ReLU at zero mean uses its closed forms; everything else is integrated numerically, to a relative error
of about 1e-10 for means within six standard deviations of the bends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from convex_init_core import checks
from convex_init_core.theory import relu_moments
from convex_init_core.theory.activation import Activation, ArrayFunction, Bend


@dataclass(frozen=True)
class FeatureMoments:
    """First and second moments of two features f(s₁), f(s₂) with f an activation or its derivative.

    Attributes:
        mean: E[f].
        second: E[f²], the kernel ``k(1)``.
        variance: E[f²] − E[f]².
        covariance: Cov[f(s₁), f(s₂)] at the correlation of the two pre-activations.
    """

    mean: float
    second: float
    variance: float
    covariance: float

    @property
    def cross(self) -> float:
        """E[f(s₁)f(s₂)], the kernel ``k(ρ)``."""
        return self.covariance + self.mean**2


def feature_moments(
    activation: Activation, correlation: float, variance: float = 1.0, mean: float = 0.0
) -> FeatureMoments:
    """Return the moments of φ(s) for s₁, s₂ ~ N(mean, variance) with the given correlation: (7), (21)–(23), (28).

    Args:
        activation: φ.
        correlation: ρ of the two pre-activations, in [−1, 1].
        variance: of either; 0 for a signal that has died out.
        mean: of either.

    Raises:
        ValueError: for a correlation or variance out of range, or an activation with an undeclared kink.
    """
    rho, var, mu = _arguments(correlation, variance, mean)
    if var == 0.0:
        return _of_constant(activation.function, mu)
    if activation.negative_slope is not None and mu == 0.0:
        slope = activation.negative_slope
        first, second = relu_moments.leaky_mean(slope, var), relu_moments.leaky_second_moment(slope, var)
        return FeatureMoments(first, second, second - first**2, relu_moments.leaky_covariance(slope, var, rho))
    return _by_quadrature(activation, False, rho, var, mu)


def derivative_moments(
    activation: Activation, correlation: float, variance: float = 1.0, mean: float = 0.0
) -> FeatureMoments:
    """Return the moments of φ'(s); arguments and errors as for :func:`feature_moments`. Used by (24)–(27)."""
    rho, var, mu = _arguments(correlation, variance, mean)
    if var == 0.0:
        return _of_constant(activation.derivative, mu)
    if activation.negative_slope is not None and mu == 0.0:
        slope = activation.negative_slope
        first, second = 0.5 * (1.0 + slope), 0.5 * (1.0 + slope**2)
        cross = relu_moments.leaky_derivative_cross_moment(slope, rho)
        return FeatureMoments(first, second, second - first**2, cross - first**2)
    return _by_quadrature(activation, True, rho, var, mu)


def _arguments(correlation: float, variance: float, mean: float) -> tuple[float, float, float]:
    return (
        checks.signal_correlation(correlation),
        checks.non_negative("variance", variance),
        checks.real("mean", mean),
    )


def _of_constant(function: ArrayFunction, mean: float) -> FeatureMoments:
    value = float(function(np.array([mean]))[0])
    return FeatureMoments(value, value**2, 0.0, 0.0)


@lru_cache(maxsize=4096)
def _by_quadrature(
    activation: Activation, derivative: bool, correlation: float, variance: float, mean: float
) -> FeatureMoments:
    # Imported here because the ReLU family, most networks, never needs it.
    from convex_init_core.theory.expectation import gaussian_expectation, gaussian_product_expectation

    function = activation.derivative if derivative else activation.function
    bends = activation.bends

    def expectation(f: ArrayFunction) -> float:
        return gaussian_expectation(f, bends, mean, variance)

    first = expectation(function)
    second = expectation(lambda s: np.square(function(s)))
    spread = expectation(lambda s: np.square(function(s) - first))
    # Centred before multiplying, so that a small covariance keeps its digits.
    covariance = gaussian_product_expectation(lambda s: function(s) - first, bends, mean, variance, correlation)
    _check_convergence(activation, function, second, mean, variance)
    return FeatureMoments(first, second, spread, covariance)


def _check_convergence(
    activation: Activation, function: ArrayFunction, second: float, mean: float, variance: float
) -> None:
    """Compare with panels cut at other places: an undeclared kink or sharp turn makes the two differ."""
    from convex_init_core.theory.expectation import gaussian_expectation

    std = math.sqrt(variance)
    shifted = tuple(Bend(mean + std * z) for z in np.arange(-12.0, 12.0, 0.5) + 0.29)
    again = gaussian_expectation(lambda s: np.square(function(s)), (*activation.bends, *shifted), mean, variance)
    if not math.isclose(second, again, rel_tol=1e-8, abs_tol=1e-25 * (variance + mean**2)):
        raise ValueError(
            f"activation {activation} has a kink or a sharp turn that is not among its bends {activation.bends}: its "
            f"second moment is {second:.12g} on one grid and {again:.12g} on another; "
            "pass custom(function, bends=(...)) with the places where its slope changes"
        )
