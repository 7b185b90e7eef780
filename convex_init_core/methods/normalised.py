"""Layers whose outputs are normalised over the data, as by batch normalisation, and residual sums of them.

A normalised pre-activation is ``ŝ_i = (s_i − E[s_i]) / √Var[s_i]``, where mean and variance are over the data and each
unit i has its own. Its mean and variance are re-set, so a bias and the scale of the weights do not matter. What remains
is the correlation of two units. With V = Var[φ] and C = Cov[φ₁, φ₂] of the features, and independent rows of weights::

    Var[s_i]      = (Σ_k w_ik)² C + Σ_k w_ik² (V − C)
    Cov[s_i, s_j] = (Σ_k w_ik)(Σ_k w_jk) (C + (V − C)/N)

so that with the *participation* ``P = (Σ_k w_ik)² / Σ_k w_ik²``, the number of features that a unit listens to,

    ρ = (C + (V − C)/N) / (C + (V − C)/P).

The paper's moments have P ≈ 4.4 for ReLU at any width: behind a normalisation they drive ρ to 1. Its generalised
propagation (16)–(19) counts differences between the units' means as unshared variance, which a normalisation removes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from convex_init_core import checks
from convex_init_core.methods.recipe import Recipe
from convex_init_core.settings import InitSettings
from convex_init_core.theory.activation import Activation, ArrayFunction
from convex_init_core.theory.activations import as_activation
from convex_init_core.theory.moments import FeatureMoments, derivative_moments, feature_moments
from convex_init_core.theory.statistics import LayerStatistics, SignalStatistics
from convex_init_core.weights.laws import Normal
from convex_init_core.weights.positivity import Positivity, as_positivity
from convex_init_core.weights.sampling import law_under

LEAST_PARTICIPATION = 1.25
"""Independent weights of a lower participation leave too many units without any weight to speak of."""


def participation(layer: LayerStatistics) -> float:
    """``P = E[(Σw)²] / E[Σw²] = (N μ_w² + σ_w²) / (μ_w² + σ_w²)``, from 1 to N; exact for gamma weights."""
    square = layer.weight_mean**2
    return (layer.fan_in * square + layer.weight_variance) / (square + layer.weight_variance)


def solve_normalised(
    fan_in: float,
    activation: str | Activation | ArrayFunction = "relu",
    correlation: float = 0.5,
    variance: float = 1.0,
) -> LayerStatistics:
    """Return the moments of a layer with non-negative weights that keeps the correlation behind a normalisation.

    ``P = ρ (V−C) / ((1−ρ) C + (V−C)/N)`` makes ρ a fixed point, ``σ_w²/μ_w² = (N−P)/(P−1)`` gives that participation,
    and ``N (μ_w² + σ_w²)(P C + V − C) = σ²`` the variance before the normalisation. For wide layers and ReLU, P is
    1.345 at ρ = 1/2 and between 1.36 and 1.47 towards the ends: nearly every correlation is kept. P is held between
    :data:`LEAST_PARTICIPATION`, which an (almost) linear φ would fall below, and (N + 1)/2.

    Args:
        fan_in: N ≥ 1.
        activation: φ, which *feeds* the layer.
        correlation: ρ* of two pre-activations, in (0, 1).
        variance: before the normalisation, above 0; it cancels, but for the normalisation's epsilon.

    Raises:
        ValueError: if an argument is out of its range, or φ may not be used.
    """
    n = checks.fan("fan_in", fan_in)
    rho, sigma2 = checks.target_correlation(correlation), checks.positive("variance", variance)
    phi = feature_moments(as_activation(activation), rho)
    own = phi.variance - phi.covariance
    if phi.variance <= 0.0:
        raise ValueError(f"activation {activation} is constant where the signal lives: no signal passes")
    wanted = rho * own / ((1.0 - rho) * phi.covariance + own / n)
    heard = min(max(wanted, LEAST_PARTICIPATION), 0.5 * (n + 1.0))
    ratio = (n - heard) / (heard - 1.0) if n > 1.0 else 1.0
    second = sigma2 / (n * (heard * phi.covariance + own))
    mean_square = second / (1.0 + ratio)
    return LayerStatistics(n, math.sqrt(mean_square), second - mean_square)


def normalised_recipe(
    fan_in: float,
    activation: str | Activation | ArrayFunction,
    settings: InitSettings,
    positivity: str | Positivity = "projection",
) -> Recipe:
    """Return the recipe of a positive layer that is normalised before the next non-linearity: no bias is needed.

    A log-normal sample of these moments does not realise them (its participation stays too high); gamma weights do.

    Args:
        fan_in: N, the number of features that one pre-activation sums.
        activation: φ, which *feeds* the layer.
        settings: for the whole network; bias noise and skip share do not apply.
        positivity: the map behind the layer's weight.

    Raises:
        ValueError: if an argument is out of range, φ may not be used, or the law does not fit the map.
    """
    through, phi = as_positivity(positivity), as_activation(activation)
    statistics = solve_normalised(fan_in, phi, settings.correlation, settings.variance)
    law = law_under(settings.distribution, statistics.weight_mean, statistics.weight_variance, through)
    return Recipe(statistics, law, Normal(0.0, 0.0), through, phi)


def expected_output(
    weight_sum: Any, weight_square_sum: Any, activation: Activation, correlation: float
) -> tuple[Any, Any]:
    """Return mean and variance over the data of a unit *with these weights*, for features of N(0, 1) signals.

    Args:
        weight_sum: Σ_k w_k of the unit's weights: a number, or an array with one for each unit.
        weight_square_sum: Σ_k w_k².
        activation: φ.
        correlation: ρ of the signals before φ.
    """
    phi = feature_moments(activation, correlation)
    own = phi.variance - phi.covariance
    return weight_sum * phi.mean, weight_sum**2 * phi.covariance + weight_square_sum * own


def forward_normalised(
    signal: SignalStatistics, layer: LayerStatistics, activation: Activation, gain: float = 1.0
) -> SignalStatistics:
    """Return the statistics of ``gain · normalise(W φ(s⁻))``: mean 0, variance gain², and the correlation above.

    Args:
        signal: of the incoming pre-activations s⁻, taken as Gaussian.
        layer: moments of W.
        activation: φ, which feeds the layer.
        gain: the normalisation's scale, at least 0.
    """
    phi = feature_moments(activation, signal.correlation, signal.variance, signal.mean)
    return normalised_output(phi, layer, gain)


def normalised_output(features: FeatureMoments, layer: LayerStatistics, gain: float) -> SignalStatistics:
    """Return the same from the moments of the features that feed the layer."""
    scale = checks.non_negative("gain", gain)
    own, heard = features.variance - features.covariance, _heard(features, layer)
    correlation = (features.covariance + own / layer.fan_in) / heard if heard > 0.0 else 0.0
    return SignalStatistics(0.0, scale**2, correlation)


def _heard(phi: FeatureMoments, layer: LayerStatistics) -> float:
    """``C + (V − C)/P``: the variance of a unit whose weights sum to 1."""
    return phi.covariance + (phi.variance - phi.covariance) / participation(layer)


def forward_residual(
    signal: SignalStatistics, layers: Sequence[LayerStatistics], activation: Activation, gain: float
) -> SignalStatistics:
    """Return the statistics of ``s + gain · branch(s)``: variances add, and so does twice a covariance.

    The branch normalises s, and then each of its layers is fed by φ and normalised. Non-negative weights make the
    branch rise and fall with s: by Stein's lemma ``Cov[s_i, φ(t_k)] = Cov[s_i, t_k] E[φ'(t)]``, so that each layer
    turns a covariance c with s into ``c E[φ'] / √(C + (V − C)/P)``.

    Args:
        signal: of s; its mean and variance may be any.
        layers: moments of the branch's weights, in the order of the signal.
        activation: φ.
        gain: the scale of the last normalisation, at least 0.
    """
    scale, std = checks.non_negative("gain", gain), math.sqrt(signal.variance)
    branch = SignalStatistics(0.0, 1.0, signal.correlation)
    shared = signal.correlation + (1.0 - signal.correlation) / layers[0].fan_in if layers else 1.0
    for layer in layers:
        phi = feature_moments(activation, branch.correlation)
        shared *= derivative_moments(activation, branch.correlation).mean / math.sqrt(_heard(phi, layer))
        branch = forward_normalised(branch, layer, activation)
    both = 2.0 * scale * std * shared
    variance = signal.variance + scale**2 + both
    covariance = signal.variance * signal.correlation + scale**2 * branch.correlation + both
    return SignalStatistics(signal.mean, variance, covariance / variance if variance > 0.0 else 0.0)


def residual_gain(blocks: int) -> float:
    """``1/√blocks``: the scale at which so many residual branches of unit variance together add a variance of 1.

    Raises:
        ValueError: if ``blocks`` is below 1.
    """
    return 1.0 / math.sqrt(checks.fan("blocks", blocks))
