"""Draw the parameters of the layers that the data flow found, each with the law of its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch import read_activation
from convex_init.torch.model.fans import AFFINE, fan_in, units
from convex_init.torch.write.drawing import Fill, fill_
from convex_init.torch.write.positivity import raw_parameter, read_positivity
from convex_init_core.methods.normalised import expected_output, normalised_recipe
from convex_init_core.methods.recipe import Recipe
from convex_init_core.methods.recipes import free_recipe, positive_recipe
from convex_init_core.planning.refusals import shown
from convex_init_core.settings import InitSettings
from convex_init_core.weights.positivity import Positivity

# Plain attributes, as the mark of a projected weight is: copies and pickles keep them, a state dict never sees them.
_NORMALISED = "_convex_init_normalised"
_POSITIVITY = "_convex_init_positivity"
_NORM = "_convex_init_norm"


@dataclass(frozen=True)
class InitChoice:
    """What a user chooses for a whole network.

    Attributes:
        correlation: ρ* in (0, 1).
        variance: σ*² of the pre-activations of layers that are not normalised.
        bias_noise: β in [0, 1), for layers that are not normalised.
        distribution: of the positive weights; by default the paper's ``"log_normal"``, and ``"gamma"`` in front of a
            normalisation, where the log-normal does not realise its moments.
    """

    correlation: float = 0.5
    variance: float = 1.0
    bias_noise: float = 0.0
    distribution: str | None = None

    def settings(self, normalised: bool) -> InitSettings:
        """Return the core's settings for a layer; raises ``ValueError`` if a value is out of range."""
        distribution = self.distribution or ("gamma" if normalised else "log_normal")
        return InitSettings(self.correlation, self.variance, self.bias_noise, distribution)


def note_layer(layer: nn.Module, fed_by: Any, normalised: bool, positivity: Positivity | None = None) -> None:
    """Note at a positive layer which activation feeds it, whether a normalisation follows, and its forward's map."""
    setattr(layer, "feeding_activation", read_activation(fed_by))  # noqa: B010 (what torch's types do not know)
    setattr(layer, _NORMALISED, normalised)
    own = positivity if positivity is not None and positivity.reparametrises else None
    setattr(layer, _POSITIVITY, own)


def note_norm(norm: nn.Module, gain: float = 1.0, layer: nn.Module | None = None) -> None:
    """Note at a batch normalisation its scale, and the layer whose output it takes as it is."""
    setattr(norm, _NORM, (gain, layer))  # in a tuple, so that the layer does not become a child


def recipe_for(layer: nn.Module, choice: InitChoice) -> Recipe:
    """Return the recipe of a layer, by what was noted at it; a layer without a positivity map is free.

    Raises:
        ValueError: if a choice is out of range.
    """
    through = getattr(layer, _POSITIVITY, None) or read_positivity(layer)
    if through is None:
        return free_recipe(fan_in(layer), choice.settings(False))
    phi = getattr(layer, "feeding_activation", "relu")
    return positive_recipe_for(layer, phi, bool(getattr(layer, _NORMALISED, False)), choice, through)


def positive_recipe_for(
    layer: nn.Module, fed_by: Any, normalised: bool, choice: InitChoice, positivity: Positivity | None
) -> Recipe:
    """Return the recipe of a positive layer at a given place.

    Raises:
        ValueError: if a choice is out of range, or the law does not fit the layer's positivity map.
    """
    make = normalised_recipe if normalised else positive_recipe
    return make(fan_in(layer), read_activation(fed_by), choice.settings(normalised), positivity or "projection")


def fill_layers(
    layers: Iterable[nn.Module],
    choice: InitChoice,
    generator: torch.Generator | None = None,
    recipes: Mapping[nn.Module, Recipe] | None = None,
) -> None:
    """Draw weights and biases of all layers from one seed; parameters on the meta device are left alone.

    Args:
        layers: of any kind, in order.
        choice: for all of them.
        generator: source of randomness.
        recipes: of some layers, where they are not those of their places.
    """
    fills = []
    for layer in layers:
        recipe = (recipes or {}).get(layer) or recipe_for(layer, choice)
        bias = getattr(layer, "bias", None)
        if raw_parameter(layer).device.type == "meta":
            continue
        fills.append(Fill(raw_parameter(layer), recipe.weight, recipe.positivity))
        if isinstance(bias, Tensor):
            fills.append(Fill(bias, recipe.bias))
    fill_(fills, generator)


def lacks_bias(layer: nn.Module, recipe: Recipe) -> bool:
    """Whether the centring shift of a layer has nowhere to go."""
    return getattr(layer, "bias", None) is None and (recipe.bias.mean != 0.0 or recipe.bias.std != 0.0)


def init_weights(
    module: nn.Module,
    name: str = "",
    *,
    generator: torch.Generator | None = None,
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    distribution: str | None = None,
) -> None:
    """Initialise one module, in the form that ``named_apply(init_weights, model)`` of timm calls.

    Layers of ours, and layers that :func:`convexify` has marked, get the principled initialisation of their place;
    other convolutions and linear layers are free and get LeCun's; batch normalisations get the scale and the statistics
    of their place. Other modules, and parameters on the meta device, are left alone. For a generator or other settings
    pass ``functools.partial(init_weights, generator=...)``.

    Args:
        module: any module.
        name: its path, for messages.
        generator: source of randomness; torch's global CPU generator by default.
        correlation: as for :func:`convexify`, as are the other settings.
        variance: σ*².
        bias_noise: β.
        distribution: of the positive weights.

    Raises:
        ValueError: if a setting is out of range, or a layer's positivity map is not known.
    """
    choice = InitChoice(correlation, variance, bias_noise, distribution)
    try:
        if isinstance(module, AFFINE):
            fill_layers([module], choice, generator)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            reset_norm(module, choice)
    except ValueError as error:
        raise ValueError(f"{shown(name)}: {error}") from error


def add_bias(layer: nn.Module) -> None:
    """Give the layer a bias of zeros."""
    layer.bias = nn.Parameter(raw_parameter(layer).new_zeros(units(layer)))


@torch.no_grad()
def reset_norm(norm: nn.Module, choice: InitChoice) -> None:
    """Set a batch normalisation to the scale noted at it and shift 0, its running statistics to what theory expects.

    With the statistics that the weights of the positive layer before it will produce, evaluation mode passes the
    signal that training mode does, before any training step. Behind a free layer, or where the layer is not known, the
    statistics are mean 0 and variance 1. Tensors on the meta device are left alone.
    """
    gain, layer = getattr(norm, _NORM, (1.0, None))
    for name, value in (("weight", gain), ("bias", 0.0)):
        parameter = norm._parameters.get(name)
        if parameter is not None and parameter.device.type != "meta":
            parameter.fill_(value)
    mean, variance = norm._buffers.get("running_mean"), norm._buffers.get("running_var")
    if mean is None or variance is None or mean.device.type == "meta":
        return
    mean.zero_()
    variance.fill_(1.0)
    batches = norm._buffers.get("num_batches_tracked")
    if batches is not None:
        batches.zero_()
    if layer is None or read_positivity(layer) is None or isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return
    rows = layer.weight.double().flatten(1)
    phi = read_activation(getattr(layer, "feeding_activation", "relu"))
    expected = expected_output(rows.sum(1), rows.square().sum(1), phi, choice.correlation)
    mean.copy_(expected[0])
    variance.copy_(expected[1])
    if isinstance(layer.bias, Tensor):
        mean.add_(layer.bias)
