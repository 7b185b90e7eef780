"""Stability of the fixed point (44), B.4: does a signal that is slightly off return to it?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convex_init_core import checks
from convex_init_core.methods.log_normal import solve
from convex_init_core.signal.propagation import forward
from convex_init_core.theory.activation import Activation, ArrayFunction
from convex_init_core.theory.activations import as_activation
from convex_init_core.theory.moments import derivative_moments, feature_moments
from convex_init_core.theory.statistics import SignalStatistics


def feature_sum(
    fan_in: float, activation: str | Activation | ArrayFunction, correlation: float, variance: float = 1.0
) -> float:
    """``f_c(ρ) = Σ_{k,k'} Cov[φ_k, φ_k'] / σ² = N (Var[φ] + (N−1) Cov[φ₁, φ₂]) / σ²``: (35) for leaky ReLU."""
    n, sigma2 = checks.fan("fan_in", fan_in), checks.positive("variance", variance)
    phi = feature_moments(as_activation(activation), correlation, sigma2)
    return n * (phi.variance + (n - 1.0) * phi.covariance) / sigma2


def feature_sum_derivative(
    fan_in: float, activation: str | Activation | ArrayFunction, correlation: float, variance: float = 1.0
) -> float:
    """``f_c'(ρ) = N(N−1) E[φ'(s₁)φ'(s₂)]``, for every φ by Price's theorem; B.4 states it for leaky ReLU."""
    n, sigma2 = checks.fan("fan_in", fan_in), checks.positive("variance", variance)
    return n * (n - 1.0) * derivative_moments(as_activation(activation), correlation, sigma2).cross


@dataclass(frozen=True)
class Stability:
    """Eigenvalues of the propagation map around the fixed point (σ*², ρ*); below 1 in size means stable.

    Attributes:
        variance_eigenvalue: λ₁ of (44) with the algebra done: 1 for the (leaky) ReLU with β = 0 at the fixed point,
            since these are positively homogeneous; ``(1−ρ*)(1−β) + ρ*``. Other activations: see ``jacobian``.
        printed_variance_eigenvalue: λ₁ as the paper prints it, ``ρ* f_c(ρ)/f_c(ρ*)``, which loses a σ².
        correlation_eigenvalue: λ₂ = ``ρ* f_c'(ρ*)/f_c(ρ*)``.
        jacobian: 3×3 derivative of (mean, variance, correlation) after a layer by the same before it. Unlike the
            paper's two numbers it sees that the mean drifts under a fixed bias.
    """

    variance_eigenvalue: float
    printed_variance_eigenvalue: float
    correlation_eigenvalue: float
    jacobian: NDArray[np.float64]

    @property
    def spectral_radius(self) -> float:
        """The largest size of an eigenvalue of ``jacobian``."""
        return float(np.abs(np.linalg.eigvals(self.jacobian)).max())


def stability(
    fan_in: float,
    activation: str | Activation | ArrayFunction = "relu",
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    at_correlation: float | None = None,
) -> Stability:
    """Return the stability of the fixed point of :func:`~convex_init_core.methods.log_normal.solve`: (44), B.4.

    Args:
        fan_in: N ≥ 1.
        activation: φ, which feeds the layer.
        correlation: ρ*, in (0, 1).
        variance: σ*², above 0.
        bias_noise: β in [0, 1).
        at_correlation: the correlation at which λ₁ and λ₂ are taken; the fixed point by default.

    Raises:
        ValueError: as for ``solve``.

    Example:
        >>> from convex_init_core import stability
        >>> for fan_in in (10, 784):
        ...     found = stability(fan_in, "relu")
        ...     print(f"{fan_in}: {found.correlation_eigenvalue:.2f} {found.spectral_radius:.2f}")
        10: 0.91 1.64
        784: 1.14 1.69
    """
    phi = as_activation(activation)
    layer = solve(fan_in, phi, correlation, variance, bias_noise)
    rho = correlation if at_correlation is None else checks.signal_correlation(at_correlation)
    at_target = feature_sum(fan_in, phi, correlation, variance)
    printed = correlation * feature_sum(fan_in, phi, rho, variance) / at_target

    def step(state: NDArray[np.float64]) -> NDArray[np.float64]:
        out = forward(SignalStatistics(float(state[0]), float(state[1]), float(state[2])), layer, phi)
        return np.array([out.mean, out.variance, out.correlation])

    fixed = np.array([0.0, variance, correlation])
    scale = np.array([math.sqrt(variance), variance, min(correlation, 1.0 - correlation)]) * 1e-4
    columns = [(step(fixed + h) - step(fixed - h)) / (2.0 * h.sum()) for h in np.diag(scale)]
    return Stability(
        variance_eigenvalue=(1.0 - correlation) * (1.0 - bias_noise) + printed,
        printed_variance_eigenvalue=printed,
        correlation_eigenvalue=correlation * feature_sum_derivative(fan_in, phi, rho, variance) / at_target,
        jacobian=np.stack(columns, axis=1),
    )


def stable_fan_in(
    activation: str | Activation | ArrayFunction = "relu", correlation: float = 0.5, variance: float = 1.0
) -> float:
    """Return the fan-in below which λ₂ < 1: ``1 + Var[φ] / (ρ*σ² E[φ'φ'] − Cov[φ₁,φ₂])``, or ``inf``.

    For ReLU at ρ* = 1/2 it is ``1 + (2π−2)/(2−√3) ≈ 17``, as B.4 says. Mind what λ₂ is: the paper divides a layer's
    covariance by the variance of the layer *before*. The correlation proper divides by the layer's own variance, of
    which the covariance is a part, and its eigenvalue is (1−ρ*)λ₂, below 1 at any width. What leaves the fixed point in
    wide layers is the mean; see ``Stability.jacobian``.
    """
    phi, rho = as_activation(activation), checks.target_correlation(correlation)
    sigma2 = checks.positive("variance", variance)
    features, slopes = feature_moments(phi, rho, sigma2), derivative_moments(phi, rho, sigma2)
    excess = rho * sigma2 * slopes.cross - features.covariance
    return 1.0 + features.variance / excess if excess > 1e-14 * features.variance else math.inf
