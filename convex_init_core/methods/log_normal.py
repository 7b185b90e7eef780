"""The principled initialisation: moments that make a target signal a fixed point of the propagation.

Equations (8)–(12), (33)–(43), with bias noise (45), (46).
"""

from __future__ import annotations

import math

from convex_init_core import checks
from convex_init_core.theory.activation import Activation, ArrayFunction
from convex_init_core.theory.activations import as_activation
from convex_init_core.theory.moments import feature_moments
from convex_init_core.theory.statistics import LayerStatistics


def solve(
    fan_in: float,
    activation: str | Activation | ArrayFunction = "relu",
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    skip_share: float = 0.0,
) -> LayerStatistics:
    """Return the moments of a layer with non-negative weights that keep the signal at mean 0, σ*² and ρ*.

    For any convex non-decreasing φ with kernel k, fan-in N, and σ² = σ*², ρ = ρ*::

        σ_w² = (1−ρ)(1−β−γ)σ² / (N k(1))
        μ_w² = ρσ² / (N [k(1) − N k(0) + (N−1) k(ρ)])
        μ_b  = −N μ_w E[φ]          σ_b² = β(1−ρ)σ²

    For ReLU, ρ = 1/2 and β = γ = 0 these are the paper's (11), (12); for leaky ReLU (33), (42), (43).

    Args:
        fan_in: N ≥ 1, the number of features that one pre-activation sums.
        activation: φ, which *feeds* the layer: a name, an :class:`~convex_init_core.theory.activation.Activation`, or
            a function on float64 arrays.
        correlation: ρ* of two pre-activations of the layer, in (0, 1).
        variance: σ*² of the pre-activations, above 0.
        bias_noise: β in [0, 1), the share of the unshared variance (1−ρ*)σ*² that random biases carry (C.3).
        skip_share: γ in [0, 1), the share that a free linear map of the input, summed with the layer, carries; it
            enters as bias noise does. β + γ must stay below 1.

    Raises:
        ValueError: if an argument is out of its range, or φ may not be used; the message names it.
        TypeError: if an argument is not a number or not an activation.

    Example:
        >>> from convex_init_core import solve
        >>> layer = solve(784, "relu")
        >>> round(layer.weight_mean, 5), round(layer.weight_std, 5), round(layer.bias_mean, 3)
        (0.00236, 0.03571, -0.739)
    """
    n = checks.fan("fan_in", fan_in)
    phi = as_activation(activation)
    rho = checks.target_correlation(correlation)
    sigma2 = checks.positive("variance", variance)
    beta, gamma = checks.share("bias_noise", bias_noise), checks.share("skip_share", skip_share)
    if beta + gamma >= 1.0:
        raise ValueError(
            f"bias_noise + skip_share must stay below 1, got {beta:g} + {gamma:g}: the weights need a share too"
        )
    k = feature_moments(phi, rho, sigma2)
    # k(1) − N k(0) + (N−1) k(ρ), written with central moments so that nothing cancels.
    spread = k.variance + (n - 1.0) * k.covariance
    if spread <= 0.0:
        raise ValueError(f"activation {phi} is constant where the signal lives: no signal passes; choose another")
    weight_mean = math.sqrt(rho * sigma2 / (n * spread))
    unshared = (1.0 - rho) * sigma2
    return LayerStatistics(
        fan_in=n,
        weight_mean=weight_mean,
        weight_variance=unshared * (1.0 - beta - gamma) / (n * k.second),
        bias_mean=-n * weight_mean * k.mean,
        bias_variance=beta * unshared,
        skip_variance=gamma * unshared,
    )


def solve_centred(fan_in: float, activation: str | Activation | ArrayFunction = "relu") -> LayerStatistics:
    """Return the traditional, centred moments: μ_w = 0, ``σ_w² = 1/(N k(1)/σ²)`` at σ² = 1, no bias: (2)–(4), A.1.

    He's 2/N for ReLU, 2/((1+α²)N) for leaky ReLU, LeCun's 1/N for the identity.
    """
    n = checks.fan("fan_in", fan_in)
    second = feature_moments(as_activation(activation), 0.0).second
    return LayerStatistics(fan_in=n, weight_mean=0.0, weight_variance=1.0 / (n * second))


def solve_free(fan_in: float, variance: float = 1.0) -> LayerStatistics:
    """Return the moments of a layer of free sign that sees the network's input: LeCun, N(0, σ*²/N) and no bias.

    Args:
        fan_in: N ≥ 1.
        variance: the pre-activation's variance for inputs of unit second moment, above 0.
    """
    n = checks.fan("fan_in", fan_in)
    return LayerStatistics(fan_in=n, weight_mean=0.0, weight_variance=checks.positive("variance", variance) / n)
