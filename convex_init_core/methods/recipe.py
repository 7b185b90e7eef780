"""How to draw the parameters of one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convex_init_core.theory.activation import Activation
from convex_init_core.theory.statistics import LayerStatistics
from convex_init_core.weights.laws import Law, Normal
from convex_init_core.weights.positivity import Positivity

if TYPE_CHECKING:
    from convex_init_core.methods.isometric import Isometric
    from convex_init_core.weights.exact_moments import Matched


@dataclass(frozen=True)
class Recipe:
    """How to draw the parameters of one layer.

    Attributes:
        statistics: the moments behind the laws.
        weight: law of the *effective* weight.
        bias: law of the bias.
        positivity: map from raw parameter to effective weight; ``None`` for a layer of free sign.
        activation: φ that feeds the layer.
    """

    statistics: LayerStatistics
    weight: Law | Matched | Isometric
    bias: Normal
    positivity: Positivity | None
    activation: Activation

    @property
    def moments(self) -> str:
        """Mean and variance of the weight and mean of the bias, for a message."""
        return f"{self.weight.mean:.4g}, {self.weight.variance:.4g}, {self.bias.mean:.4g}"
