"""How well a layer of independent non-negative weights keeps two inputs apart: why depth ends the paper's method.

Given an input x, all units of a layer share one mean m(x) and differ by their weights. Two inputs that are a little
apart differ by an *own* part in each unit, independent from unit to unit, and by a *shared* part, the difference of
their m. Averaged over the weights, a layer multiplies the squares of the two by::

    own      N σ_w² E[φ'(s)²]
    shared   (N μ_w E[φ'(s)])²

At the paper's fixed point and for ReLU the former is (1−ρ*)(1−β), one half, at any width; the latter is 0.86, and it
is a single number for each input. So L layers leave ``2^−L`` of what tells inputs apart, and one common mode.
"""

from __future__ import annotations

from dataclasses import dataclass

from convex_init_core.theory.activation import Activation
from convex_init_core.theory.moments import derivative_moments
from convex_init_core.theory.statistics import LayerStatistics, SignalStatistics


@dataclass(frozen=True)
class Separation:
    """By what a layer multiplies the squared difference of two close inputs.

    Attributes:
        own: of the part that is independent from unit to unit.
        shared: of the part that all units have in common.
    """

    own: float
    shared: float


def separation(layer: LayerStatistics, signal: SignalStatistics, activation: Activation) -> Separation:
    """Return what a layer does to the difference of two inputs.

    Args:
        layer: moments of its weights.
        signal: of the incoming pre-activations, taken as Gaussian.
        activation: φ, which feeds the layer.
    """
    slope = derivative_moments(activation, signal.correlation, signal.variance, signal.mean)
    return Separation(
        own=layer.fan_in * layer.weight_variance * slope.second,
        shared=(layer.fan_in * layer.weight_mean * slope.mean) ** 2,
    )
