"""An isometric network whose ReLUs do not all bend at the same place.

Behind the first hidden layer an isometric network is linear: what comes is not negative, the bias is 0, no ReLU cuts
anything off. Here each layer has a bias −θ and a gain g, ``T(s) = max(g s − θ, 0)``, so that K layers take s to
``g^K (s − s*) + s*`` with ``s* = θ/(g − 1)``, where that is positive: the bend wanders from 0 to the threshold
``t = s*(1 − g^−K)`` of the first layer's signal, a K-th part in every layer. The gain keeps the mean square,
``G² E[(z − t)₊²] = 1/2`` with ``G = g^K`` and z ~ N(0, 1), so that it is bounded at any depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Bends:
    """Attributes: g and θ of a layer, and mean and variance of the features behind the last."""

    gain: float
    shift: float
    mean: float
    variance: float


def bends(threshold: float, layers: int) -> Bends:
    """Return what ``layers`` layers need to move the bend to ``threshold`` > 0, in deviations of the signal."""
    density = math.exp(-(threshold**2) / 2.0) / math.sqrt(2.0 * math.pi)
    above = 0.5 * math.erfc(threshold / math.sqrt(2.0))
    mean = density - threshold * above
    whole = math.sqrt(0.5 / ((1.0 + threshold**2) * above - threshold * density))
    gain = whole ** (1.0 / layers)
    return Bends(gain, (gain - 1.0) * threshold / (1.0 - 1.0 / whole), whole * mean, 0.5 - (whole * mean) ** 2)


@torch.no_grad()
def spread_bends_(hidden: Sequence[nn.Module], following: nn.Module, threshold: float) -> None:
    """Move the bends of isometric layers in a row.

    Args:
        hidden: square isometric layers with bias 0, behind a ReLU each.
        following: the layer behind them, which has a fresh signal for its output, centred for features as of one ReLU.
        threshold: of the last of them.
    """
    found = bends(threshold, len(hidden))
    for layer in hidden:
        layer.weight.mul_(found.gain)  # type: ignore[operator]
        layer.bias.fill_(-found.shift)  # type: ignore[operator]
    mean = 1.0 / math.sqrt(2.0 * math.pi)
    scale = math.sqrt((0.5 - mean**2) / found.variance)
    following.weight.mul_(scale)  # type: ignore[operator]
    following.bias.mul_(scale * found.mean / mean)  # type: ignore[operator]
