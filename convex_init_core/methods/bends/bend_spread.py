"""An isometric network whose ReLUs do not all bend at the same place.

Behind the first hidden layer an isometric ReLU network is linear: what comes is not negative, the bias is 0, no ReLU
cuts anything off. Here the K copying layers between two fresh signals get a gain g and a bias −θ. They take a
signal z ~ N(0, σ*²) to the features::

    φ_k = g^k (z − t_k)₊,    t_k = s*(1 − g^−k),    θ = (g − 1) s*,    k = 0 … K

so that the bend wanders from 0 to ``t_K = τσ*``, τ being the setting ``threshold``, and each layer cuts off a part of
its own. The gain keeps the mean square, ``E[φ_K²] = σ*²/2``, which bounds the features at any depth. The layer behind
the run, a fresh sum, is scaled and centred for the moments of φ_K.

Not the paper's: it draws independent weights, whose biases centre every layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from convex_init_core.methods.isometric import FRESH, Isometric
from convex_init_core.methods.recipe import Recipe
from convex_init_core.settings import InitSettings
from convex_init_core.weights.laws import Normal


@dataclass(frozen=True)
class Bends:
    """What moves the bend of K copying layers, for a signal of the standard deviation 1; see the module.

    Attributes:
        threshold: τ > 0, where the bend arrives.
        layers: K, at least 1.
    """

    threshold: float
    layers: int

    @property
    def gain(self) -> float:
        """g, of each layer."""
        return math.exp(self._log_whole / self.layers)

    @property
    def shift(self) -> float:
        """θ, of each layer."""
        return self.threshold * math.expm1(self._log_whole / self.layers) / -math.expm1(-self._log_whole)

    def bend(self, stage: int) -> float:
        """t_k, where the features behind k = ``stage`` layers begin."""
        return self.threshold * math.expm1(-stage * self._log_whole / self.layers) / math.expm1(-self._log_whole)

    def mean(self, stage: int) -> float:
        """E[φ_k]."""
        bend = self.bend(stage)
        return self._scale(stage) * (_density(bend) - bend * _above(bend))

    def variance(self, stage: int) -> float:
        """Var[φ_k]."""
        bend = self.bend(stage)
        second = (1.0 + bend**2) * _above(bend) - bend * _density(bend)
        return self._scale(stage) ** 2 * second - self.mean(stage) ** 2

    def _scale(self, stage: int) -> float:
        return math.exp(stage * self._log_whole / self.layers)

    @property
    def _log_whole(self) -> float:
        """``ln g^K = −½ ln(2 E[(z − τ)₊²])``, from what the threshold takes away, which may be next to nothing."""
        tau = self.threshold
        lost = math.erf(tau / math.sqrt(2.0)) - 2.0 * tau**2 * _above(tau) + 2.0 * tau * _density(tau)
        return -0.5 * math.log1p(-lost)


def check_no_selection(selections: Mapping[str, object]) -> None:
    """Refuse ``threshold`` beside arguments that take layers out of the chain or put others in.

    Args:
        selections: what an adapter was given for each such argument; ``None`` where it was not.

    Raises:
        ValueError: naming the first argument that was given.
    """
    named = [name for name, selection in selections.items() if selection is not None]
    if named:
        raise ValueError(
            f"threshold= needs every layer of a chain as it is, so {named[0]}= may not be given with it; leave one of "
            "them out, or pass the part of the chain that is to be initialised"
        )


def spread_bends(recipes: Sequence[Recipe], settings: InitSettings, names: Sequence[str] = ()) -> list[Recipe]:
    """Return the recipes of a chain with its bends moved to ``settings.threshold``.

    A run is the copying layers between one fresh signal (the first layer's, or a sum of
    :data:`~convex_init_core.methods.isometric.FRESH` features or more) and the next. Where it has no free skip, its
    layers get gain and bias −θ, and the fresh sum behind it the scale and the bias for what the run passes on. In a
    layer with row sum R the part of the mean that is not a copy's, ``(R − 1) g E[φ_k]``, is removed as without
    thresholds. Copies behind the last fresh sum stay what they are, and so do runs with free skips.

    Args:
        recipes: of all positive layers, in the order of the signal, made with the threshold 0.
        settings: for the whole network.
        names: of the layers, for messages; their numbers by default.

    Raises:
        ValueError: if anything but ReLU feeds a layer of a run.
        TypeError: if a recipe is not of the method ``"isometric"``.
    """
    if settings.threshold == 0.0:
        return list(recipes)
    found = list(recipes)
    for copies, end in _runs(recipes):
        for place in (*copies, end):
            if recipes[place].activation.negative_slope != 0.0:
                name = names[place] if names else f"layer {place} of the chain"
                raise ValueError(
                    f"{name}: threshold= moves the bends of ReLUs, and this layer is fed by "
                    f"{recipes[place].activation}; leave threshold out"
                )
        bends, deviation = Bends(settings.threshold, len(copies)), math.sqrt(settings.variance)
        for stage, place in enumerate(copies):
            found[place] = _copy(recipes[place], bends, stage, deviation)
        found[end] = _fresh(recipes[end], bends, deviation)
    return found


def _runs(recipes: Sequence[Recipe]) -> Iterator[tuple[list[int], int]]:
    """The places of the copies of each run, and of the fresh sum behind them."""
    copies: list[int] = []
    for place, recipe in enumerate(recipes):
        if _law(recipe).sources_of_output < FRESH:
            copies.append(place)
            continue
        if copies and all(recipes[each].statistics.skip_variance == 0.0 for each in copies):
            yield copies, place
        copies = []


def _law(recipe: Recipe) -> Isometric:
    if not isinstance(recipe.weight, Isometric):
        raise TypeError(
            f"threshold= needs recipes of method 'isometric', got one with the law {type(recipe.weight).__name__}; "
            "leave threshold out"
        )
    return recipe.weight


def _copy(recipe: Recipe, bends: Bends, stage: int, deviation: float) -> Recipe:
    """A layer of the run, which ``stage`` others precede."""
    law = replace(_law(recipe), gain=_law(recipe).gain * bends.gain)
    excess = law.row_sum + _background(law) - law.gain
    return _with(recipe, law, -deviation * (bends.shift + excess * bends.mean(stage)))


def _fresh(recipe: Recipe, bends: Bends, deviation: float) -> Recipe:
    """The layer behind the run, scaled for the variance of what it passes on instead of that of (z)₊."""
    law, behind = _law(recipe), bends.layers
    law = replace(law, gain=law.gain * math.sqrt(bends.variance(0) / bends.variance(behind)))
    return _with(recipe, law, -deviation * (law.row_sum + _background(law)) * bends.mean(behind))


def _background(law: Isometric) -> float:
    """η, the sum of the weights of a row off its support."""
    return law.background * law.fan_in


def _with(recipe: Recipe, law: Isometric, bias: float) -> Recipe:
    statistics = replace(
        recipe.statistics, weight_mean=law.mean, weight_variance=law.variance, bias_mean=bias, bias_variance=0.0
    )
    return replace(recipe, statistics=statistics, weight=law, bias=Normal(bias, 0.0))


def _density(z: float) -> float:
    return math.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)


def _above(z: float) -> float:
    """P(z' > z)."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))
