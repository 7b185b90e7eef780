"""How mean, variance and correlation pass through one layer, forwards and backwards.

A layer is ``s = W φ(s⁻) + b``. Weights and biases are independent of each other and of the signal.
"""

from __future__ import annotations

from convex_init_core import checks
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.moments import derivative_moments, feature_moments
from convex_init_core.theory.statistics import GradientStatistics, LayerStatistics, SignalStatistics


def forward(signal: SignalStatistics, layer: LayerStatistics, activation: Activation) -> SignalStatistics:
    """Return the statistics of ``s = W φ(s⁻) + b`` from those of s⁻: equations (5), (6), (16)–(19), (34)–(36).

    Args:
        signal: of the incoming pre-activations s⁻, taken as Gaussian. For a first layer, of its input.
        layer: moments of W and b.
        activation: φ, which feeds the layer; the identity for a first layer.

    Example:
        >>> from convex_init_core import SignalStatistics, forward, relu, solve
        >>> layer, signal = solve(784, "relu"), SignalStatistics(mean=0.0, variance=1.0, correlation=0.5)
        >>> after = forward(signal, layer, relu())
        >>> abs(round(after.mean, 9)), round(after.variance, 9), round(after.correlation, 9)
        (0.0, 1.0, 0.5)
    """
    phi = feature_moments(activation, signal.correlation, signal.variance, signal.mean)
    n = layer.fan_in
    shared = layer.weight_mean**2 * n * (phi.variance + (n - 1.0) * phi.covariance)
    own = n * layer.weight_variance * phi.second + layer.bias_variance + layer.skip_variance
    variance = own + shared
    return SignalStatistics(
        mean=n * layer.weight_mean * phi.mean + layer.bias_mean,
        variance=variance,
        correlation=shared / variance if variance > 0.0 else 0.0,
    )


def backward(
    gradient: GradientStatistics,
    layer: LayerStatistics,
    fan_out: float,
    signal: SignalStatistics,
    activation: Activation,
) -> GradientStatistics:
    """Return the statistics of ``δ⁻ = φ'(s⁻) ⊙ Wᵀδ`` from those of δ: equations (24)–(27).

    As in the paper, δ is taken as independent of W and of s⁻.

    Args:
        gradient: of the outgoing pre-activations s.
        layer: moments of W.
        fan_out: M, the number of pre-activations that one feature reaches.
        signal: of the incoming pre-activations s⁻.
        activation: φ.

    Raises:
        ValueError: if ``fan_out`` is below 1.
    """
    m = checks.fan("fan_out", fan_out)
    slope = derivative_moments(activation, signal.correlation, signal.variance, signal.mean)
    pairs = m * gradient.second + m * (m - 1.0) * gradient.cross
    common = layer.weight_mean**2 * pairs
    return GradientStatistics(
        mean=m * layer.weight_mean * slope.mean * gradient.mean,
        second=slope.second * (m * layer.weight_variance * gradient.second + common),
        cross=slope.cross * common,
    )
