"""Where on an activation a signal can stay for many layers.

A copy of a feature, ``T(s) = g φ(s) + b``, is applied again and again in a deep network. φ is convex, so T has slopes
from 0 to g φ'(∞). With ``g = 1/φ'(∞)`` none is above 1: nothing grows, at any depth, and what lies where the slope is 1
passes with a shift. The bias makes c, the middle of the bend, a fixed point, ``T(c) = c``:

- (Leaky) ReLU, ELU, CELU: c = 0 and the bias is −φ(0) = 0; every s ≥ 0 passes unchanged. Of s < 0 there remain, after L
  layers, 0 for ReLU, ``α^L s`` for leaky ReLU, about −2/L for ELU.
- softplus(β): c = 0 and the bias is −ln 2/β. In ``u = exp(βs)`` the iteration is linear, ``u' = (1 + u)/2``, so a
  signal s fades after about ``βs/ln 2`` layers, and the bias sets how a slope dies at best: with none at all,
  ``u_L = L + u_0`` and the slope is ``u_0/(L + u_0)``. What helps is a signal that is large beside the bend: see
  :attr:`OperatingPoint.least_variance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from convex_init_core.theory.activation import Activation

MIDDLE = 0.5
"""The middle of the bend is where the right-hand slope comes to this share of φ'(∞)."""

_BENDS = 4.0  # a signal of this standard deviation, in widths of the bend, hardly sees that the bend is round

_FAR, _NEAR = 30.0, 20.0  # where a slope counts as φ'(∞), and where it must have come close to it


@dataclass(frozen=True)
class OperatingPoint:
    """A fixed point of ``T(s) = gain · φ(s) + bias``.

    Attributes:
        location: c.
        gain: g = 1/φ'(∞).
        bias: b = c − g φ(c).
        slope: T'(c), to the right of c; at most 1.
        least_variance: σ² of a signal that is large beside the bend: (4 widths)²; 0 for a kink.
    """

    location: float
    gain: float
    bias: float
    slope: float
    least_variance: float


@lru_cache(maxsize=256)
def operating_point(activation: Activation) -> OperatingPoint:
    """Return the operating point of an activation that feeds a layer.

    c is the smallest point, at least 0, whose right-hand slope is at least :data:`MIDDLE` of φ'(∞).

    Raises:
        ValueError: if φ' grows without bound (squared softplus), or is 0: then no gain keeps a signal.
    """
    far, near = (float(activation.derivative(np.array([s]))[0]) for s in (_FAR, _NEAR))
    if not 0.0 < far <= near * (1.0 + 1e-3):
        raise ValueError(
            f"activation {activation} has no bounded, positive slope on its right side (its slope is {near:g} at "
            f"s = {_NEAR:g} and {far:g} at s = {_FAR:g}), so no gain keeps a signal at depth; use method 'log_normal'"
        )
    gain = 1.0 / far
    low, high = 0.0, _FAR
    if _slope(activation, 0.0) * gain >= MIDDLE:
        high = 0.0
    while high - low > 1e-12 * max(high, 1.0):
        middle = 0.5 * (low + high)
        if _slope(activation, middle) * gain >= MIDDLE:
            high = middle
        else:
            low = middle
    value = float(activation.function(np.array([high]))[0])
    slope = min(_slope(activation, high) * gain, 1.0)
    # Where the slope is 1 from c on, a round bend on the other side loses what it would lose anyway.
    width = max((bend.width for bend in activation.bends), default=0.0) if slope < 0.99 else 0.0
    return OperatingPoint(high, gain, high - gain * value, slope, (_BENDS * width) ** 2)


def _slope(activation: Activation, s: float) -> float:
    """The slope to the right of s."""
    return float(activation.derivative(np.array([np.nextafter(s, np.inf) + 1e-12]))[0])
