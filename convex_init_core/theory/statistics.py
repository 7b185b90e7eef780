"""What the theory says about a layer and about a signal: the values that the equations pass to one another."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerStatistics:
    """The first two moments from which one layer's parameters are drawn.

    Attributes:
        fan_in: N, the number of features that one pre-activation sums (an average over positions for a transposed
            convolution, hence a float).
        weight_mean: μ_w.
        weight_variance: σ_w².
        bias_mean: μ_b.
        bias_variance: σ_b².
        skip_variance: variance that a free linear map of the input, summed with this layer, is to contribute to the
            pre-activation; 0 if there is none.
    """

    fan_in: float
    weight_mean: float
    weight_variance: float
    bias_mean: float = 0.0
    bias_variance: float = 0.0
    skip_variance: float = 0.0

    @property
    def weight_std(self) -> float:
        """σ_w."""
        return math.sqrt(self.weight_variance)

    @property
    def bias_std(self) -> float:
        """σ_b."""
        return math.sqrt(self.bias_variance)


@dataclass(frozen=True)
class SignalStatistics:
    """Statistics of the pre-activations of one layer, over weights and data.

    Attributes:
        mean: E[s].
        variance: σ², the variance of one pre-activation.
        correlation: ρ, the correlation of two different pre-activations of the layer.
    """

    mean: float
    variance: float
    correlation: float


@dataclass(frozen=True)
class GradientStatistics:
    """Statistics of the gradient δ of a loss with respect to the pre-activations of one layer.

    Attributes:
        mean: E[δ].
        second: E[δ²].
        cross: E[δ₁δ₂] for two different units of the layer.
    """

    mean: float
    second: float
    cross: float
