"""What an adapter needs to know of one layer: from which laws its weight and bias are drawn, and through which map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convex_init_core.methods.log_normal import solve, solve_free
from convex_init_core.methods.recipe import Recipe
from convex_init_core.settings import InitSettings
from convex_init_core.theory.activation import Activation, ArrayFunction
from convex_init_core.theory.activations import as_activation
from convex_init_core.theory.statistics import LayerStatistics
from convex_init_core.weights.laws import (
    Law,
    NonNegativeLaw,
    Normal,
)
from convex_init_core.weights.positivity import Positivity, as_positivity
from convex_init_core.weights.sampling import law_under

if TYPE_CHECKING:
    from convex_init_core.weights.exact_moments import Matched
    from convex_init_core.weights.weight_axes import Geometry


def positive_recipe(
    fan_in: float,
    activation: str | Activation | ArrayFunction,
    settings: InitSettings,
    positivity: str | Positivity = "projection",
    has_skip: bool = False,
    geometry: Geometry | None = None,
) -> Recipe:
    """Return the recipe of a layer with non-negative weights.

    Args:
        fan_in: N, the number of features that one pre-activation sums.
        activation: φ, which *feeds* the layer.
        settings: for the whole network.
        positivity: the map behind the layer's weight.
        has_skip: whether a free linear map of the network's input is summed with the layer; see
            :func:`skip_recipe`.
        geometry: the axes of the weight; needed by the isometric method, which takes the fan-in from it.

    Raises:
        ValueError: if an argument is out of range, φ may not be used, the law does not fit the map, or the settings
            have a threshold, which is for a whole chain (:mod:`convex_init_core.methods.bends.bend_spread`), or the
            method ``"bounded_gain"`` or ``"auto"``, which are for a whole model.

    Example:
        >>> from convex_init_core import InitSettings, positive_recipe
        >>> recipe = positive_recipe(784, "relu", InitSettings(distribution="gamma"), "exp")
        >>> type(recipe.weight).__name__, str(recipe.positivity), str(recipe.activation)
        ('Gamma', 'exp', 'relu')
        >>> round(recipe.weight.mean, 5), round(recipe.bias.mean, 3)
        (0.00236, -0.739)
    """
    through = as_positivity(positivity)
    phi = as_activation(activation)
    if settings.method in ("auto", "bounded_gain"):
        raise ValueError(
            f"method {settings.method!r} looks at a whole model, which one layer does not know: plan the model, or use "
            "method 'log_normal' or 'isometric'"
        )
    if settings.method == "isometric":
        return _isometric_recipe(geometry, phi, settings, through, has_skip)
    gamma = settings.skip_share * (1.0 - settings.bias_noise) if has_skip else 0.0
    statistics = solve(fan_in, phi, settings.correlation, settings.variance, settings.bias_noise, gamma)
    return recipe_of(statistics, phi, settings, through)


def recipe_of(
    statistics: LayerStatistics,
    activation: str | Activation | ArrayFunction,
    settings: InitSettings,
    positivity: str | Positivity = "projection",
) -> Recipe:
    """Return the recipe of a layer with non-negative weights of the given moments.

    Args:
        statistics: of the layer, such as one of :func:`convex_init_core.methods.sum_budget.solve_sum`.
        activation: φ, which feeds the layer.
        settings: for the whole network; here, the law.
        positivity: the map behind the layer's weight.

    Raises:
        ValueError: if the law does not fit the map.
    """
    through = as_positivity(positivity)
    law = law_under(settings.distribution, statistics.weight_mean, statistics.weight_variance, through)
    bias = Normal(statistics.bias_mean, statistics.bias_std)
    return Recipe(statistics, _drawn(law, settings), bias, through, as_activation(activation))


def _drawn(law: NonNegativeLaw, settings: InitSettings) -> Law | Matched:
    if not settings.match_moments:
        return law
    from convex_init_core.weights.exact_moments import matched  # only here, as below: most networks need neither

    return matched(law)


def _isometric_recipe(
    geometry: Geometry | None, phi: Activation, settings: InitSettings, through: Positivity, has_skip: bool
) -> Recipe:
    from convex_init_core.methods.isometric_sum import Part, isometric_sum

    if geometry is None:
        raise ValueError("method 'isometric' needs the geometry of the weight: its shape and which axes are summed")
    return isometric_sum([Part(geometry, phi, through)], settings, has_free=has_skip)[0]


def free_recipe(fan_in: float, settings: InitSettings) -> Recipe:
    """Return the recipe of a layer of free sign that sees the network's input: LeCun, N(0, σ*²/N), bias 0."""
    return free_recipe_of(fan_in, settings.variance)


def free_recipe_of(fan_in: float, variance: float) -> Recipe:
    """Return the recipe of a free layer whose outputs have the given variance for inputs of unit second moment."""
    return _free(solve_free(fan_in, variance))


def skip_recipe(fan_in: float, beside: Recipe) -> Recipe:
    """Return the recipe of a free skip from the input: LeCun, scaled to the share that ``beside`` leaves for it.

    Args:
        fan_in: number of inputs of the skip.
        beside: recipe of the positive layer that it is summed with, made with ``has_skip=True``.

    Raises:
        ValueError: if ``beside`` leaves nothing (``skip_share`` 0).
    """
    if beside.statistics.skip_variance <= 0.0:
        raise ValueError("skip_share must be above 0 for a network with free skips, got 0: the skips would start at 0")
    return _free(solve_free(fan_in, beside.statistics.skip_variance))


def _free(statistics: LayerStatistics) -> Recipe:
    law = Normal(0.0, statistics.weight_std)
    return Recipe(statistics, law, Normal(0.0, 0.0), None, as_activation("identity"))
