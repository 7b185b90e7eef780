"""Isometric layers in a sum: beside each other, beside free maps of the input, and beside what is added as it is.

Every layer of the sum is scaled so that the variances add up to that of one signal, and the bias removes all means but
one:

- a free map of the input gets the share γ of the variance, and the layers √(1−γ) of the amplitude;
- P layers get 1/√P each;
- beside a residual identity, which brings the whole signal, a layer is scaled by 1/R in a network of R such sums, so
  that the signal grows at most by e over all of them, and its own mean is removed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from convex_init_core.methods.isometric import BACKGROUND, Isometric, solve_isometric
from convex_init_core.methods.recipe import Recipe
from convex_init_core.settings import InitSettings
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.statistics import LayerStatistics
from convex_init_core.weights.laws import Normal
from convex_init_core.weights.positivity import Positivity
from convex_init_core.weights.weight_axes import Geometry


@dataclass(frozen=True)
class Part:
    """One layer of a sum.

    Attributes:
        geometry: of its weight.
        activation: φ, which feeds it.
        positivity: the map behind its weight.
    """

    geometry: Geometry
    activation: Activation
    positivity: Positivity


def isometric_sum(
    parts: Sequence[Part],
    settings: InitSettings,
    *,
    has_free: bool = False,
    residuals: int = 0,
    variance: float | None = None,
) -> list[Recipe]:
    """Return the recipes of the layers of one sum, each with the bias of the whole sum.

    Args:
        parts: the layers, at least one.
        settings: for the whole network.
        has_free: whether free maps of the input are summed with them.
        residuals: R, the number of sums in the network with a convex value that is added as it is; 0 if this has none.
        variance: of this sum, if it is to be another than that of the signal: weights and bias are scaled together.

    Raises:
        ValueError: if an activation has no bounded slope, or the settings have a threshold, which is not for one sum.
    """
    if settings.threshold > 0.0:
        raise ValueError("threshold= belongs to a whole chain of layers; use apply_ on the model")
    share = settings.skip_share if has_free else 0.0
    scale = 1.0 / len(parts)
    kept = 0.0 if residuals else scale
    solved = [
        solve_isometric(
            part.geometry,
            part.activation,
            settings.variance,
            share,
            0.0 if part.positivity.takes_zero else BACKGROUND,
            part=scale / max(residuals, 1) ** 2,
            kept=kept,
        )
        for part in parts
    ]
    if variance is not None and variance != settings.variance:
        solved = [_scaled(law, layer, variance / settings.variance) for law, layer in solved]
    bias = Normal(sum(layer.bias_mean for _, layer in solved), 0.0)
    return [
        Recipe(layer, law, bias, part.positivity, part.activation)
        for (law, layer), part in zip(solved, parts, strict=True)
    ]


def _scaled(law: Isometric, layer: LayerStatistics, ratio: float) -> tuple[Isometric, LayerStatistics]:
    """A layer whose results have another variance, by its ratio to that of the signal."""
    factor = math.sqrt(ratio)
    law = replace(law, gain=law.gain * factor, background=law.background * factor)
    return law, replace(
        layer,
        weight_mean=law.mean,
        weight_variance=law.variance,
        bias_mean=layer.bias_mean * factor,
        skip_variance=layer.skip_variance * ratio,
    )
