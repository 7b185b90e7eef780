"""The plan: what would be done to each layer and why, with every check made before the first weight is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from convex_init.torch.activations import ActivationLike
from convex_init.torch.drawing import Fill, check_generator, fill_
from convex_init.torch.fans import caveats, fan_in, units
from convex_init.torch.positivity import mark_projected, raw_parameter, read_positivity
from convex_init.torch.reading import Selection, activation_for, read
from convex_init.torch.sharding import check_placements, is_sharded, local, reshard
from convex_init.torch.sites import Site, shown
from convex_init_core import (
    InitSettings,
    Positivity,
    Recipe,
    as_positivity,
    free_recipe,
    positive_recipe,
    skip_recipe,
)


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What would be done to one layer.

    Attributes:
        path: of the layer in the model.
        module: the layer.
        role: ``"free"``, ``"positive"`` or ``"skip"``.
        recipe: the laws of its effective weight and of its bias.
        reason: why it has this role.
        note: anything to know besides, such as a bias that will be added; empty if nothing.
        shift_into: path of the layer whose bias takes the centring shift; ``""`` if there is nothing to shift.
        add_bias: whether the layer gets a bias that it did not have.
        written: whether the weight is drawn here: ``False`` on the meta device, and for the later of two layers that
            share a weight.
    """

    path: str
    module: nn.Module
    role: str
    recipe: Recipe
    reason: str
    note: str = ""
    shift_into: str = ""
    add_bias: bool = False
    written: bool = True


@dataclass(frozen=True, eq=False)
class Plan:
    """The list of :class:`LayerPlan` for a model, in the order of the signal; prints as a table."""

    layers: tuple[LayerPlan, ...]
    settings: InitSettings

    def __str__(self) -> str:
        """Return the table."""
        head = ("layer", "role", "fan_in", "fed by", "weight law", "mean", "variance", "bias", "through", "why")
        rows = [head, *(_row(layer) for layer in self.layers)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)

    def execute(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter as planned; see :func:`apply_`."""
        check_generator(generator)
        with torch.no_grad():
            for layer in self.layers:
                if layer.add_bias:
                    weight = raw_parameter(layer.module)
                    layer.module.bias = nn.Parameter(weight.new_zeros(units(layer.module)))
                if layer.recipe.positivity is not None and not layer.recipe.positivity.reparametrises:
                    mark_projected(layer.module)
            fill_(self._fills(), generator)
            for layer in self.layers:
                if layer.written and parametrize.is_parametrized(layer.module, "weight"):
                    _read_back(layer)

    def _fills(self) -> list[Fill]:
        biases = {layer.path: layer.recipe.bias for layer in self.layers}
        for layer in self.layers:
            if layer.shift_into and layer.shift_into != layer.path:
                biases[layer.shift_into] = layer.recipe.bias
        fills = []
        for layer in self.layers:
            if layer.written:
                fills.append(Fill(raw_parameter(layer.module), layer.recipe.weight, layer.recipe.positivity))
            bias = layer.module.bias
            if isinstance(bias, Tensor) and bias.device.type != "meta":
                fills.append(Fill(bias, biases[layer.path]))
        return fills


def _row(layer: LayerPlan) -> tuple[str, ...]:
    stats, law = layer.recipe.statistics, layer.recipe.weight
    bias = f"{stats.bias_mean:.4g}" if stats.bias_variance == 0 else f"{stats.bias_mean:.4g} ± {stats.bias_std:.3g}"
    return (
        layer.path or "(model)",
        layer.role,
        f"{stats.fan_in:g}",
        str(layer.recipe.activation) if layer.role == "positive" else "-",
        type(law).__name__,
        f"{stats.weight_mean:.4g}",
        f"{stats.weight_variance:.4g}",
        bias,
        str(layer.recipe.positivity) if layer.recipe.positivity is not None else "-",
        "; ".join(part for part in (layer.reason, layer.note) if part),
    )


def _moments(recipe: Recipe) -> str:
    return f"{recipe.weight.mean:.4g}, {recipe.weight.variance:.4g}"


def _read_back(layer: LayerPlan) -> None:
    """Compute the effective weight through the module's own parametrization and make sure that it can be used."""
    weight = layer.module.weight
    assert isinstance(weight, Tensor)
    held = local(weight)  # of a DTensor every rank reads what it wrote; nothing is gathered
    if held.numel() == 0:
        return
    low, high = torch.aminmax(held)
    if not (bool(torch.isfinite(low)) and bool(torch.isfinite(high)) and float(low) >= 0.0):
        raise RuntimeError(
            f"{shown(layer.path)}: effective weights between {float(low):g} and {float(high):g} came back through "
            f"positivity {layer.recipe.positivity} in {weight.dtype}; use a wider dtype"
        )


def plan(
    model: nn.Module,
    example_inputs: Any = None,
    *,
    convex_inputs: Iterable[str | int] | str | int | None = None,
    positive: Selection | None = None,
    exclude: Selection | None = None,
    activation: ActivationLike | Mapping[str, ActivationLike] | None = None,
    positivity: str | Positivity | None = None,
    register_missing_bias: bool = False,
    **settings: Any,
) -> Plan:
    """Return what :func:`apply_` would do to each layer of ``model``, and why; ``print`` it for a table.

    Nothing is written (a lazy model is given its shapes if ``example_inputs`` are passed). Arguments and errors are
    those of :func:`apply_`.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}; for a tensor there is icnn_")
    model = getattr(model, "_orig_mod", model)  # a compiled model shares its parameters with the original
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise ValueError(
            "model is wrapped in DistributedDataParallel, so ranks could draw different weights: initialise it before "
            "wrapping, which copies the weights of rank 0 to all"
        )
    reshard(model)
    chosen = _settings(settings)
    if example_inputs is not None and _is_lazy(model):
        from convex_init.torch.inputs import arguments_of  # rarely needed

        args, kwargs = arguments_of(example_inputs)
        with torch.no_grad(), torch.random.fork_rng():  # the values that torch gives them are overwritten anyway
            model(*args, **kwargs)
    wanted = None if positivity is None else as_positivity(positivity)
    sites = read(model, positive, exclude, example_inputs, convex_inputs)
    for pattern in activation if isinstance(activation, Mapping) else ():
        if not any(fnmatchcase(site.path, pattern) for site in sites):
            known = ", ".join(site.path for site in sites)
            raise ValueError(f"activation= pattern {pattern!r} matches no layer; there are: {known}")
    planner = _Planner(sites, chosen, activation, wanted, register_missing_bias)
    layers = [layer for layer in map(planner.layer, sites) if layer is not None]
    if planner.problems:
        raise ValueError("nothing was written: " + "\n".join(planner.problems))
    return Plan(tuple(layers), chosen)


def _settings(values: dict[str, Any]) -> InitSettings:
    try:
        return InitSettings(**values)
    except TypeError as error:
        if "unexpected keyword" in str(error):
            known = ", ".join(InitSettings.__dataclass_fields__)
            raise TypeError(f"unknown argument in {sorted(values)}; the settings are {known}") from None
        raise


def _is_lazy(model: nn.Module) -> bool:
    return any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters())


class _SaidElsewhere(ValueError):
    """A problem of one layer that another one reports."""


class _Planner:
    """Turn sites into layer plans, collecting every problem so that the user sees them all at once."""

    def __init__(
        self,
        sites: list[Site],
        settings: InitSettings,
        activation: ActivationLike | Mapping[str, ActivationLike] | None,
        positivity: Positivity | None,
        register_missing_bias: bool,
    ) -> None:
        self.settings, self.activation, self.positivity = settings, activation, positivity
        self.register_missing_bias = register_missing_bias
        self.problems: list[str] = []
        self.skips = {site.beside: site for site in sites if site.role == "skip"}
        self.sites = {site.path: site for site in sites}
        self.weights: dict[int, tuple[str, Recipe]] = {}

    def layer(self, site: Site) -> LayerPlan | None:
        try:
            return self._layer(site)
        except _SaidElsewhere:
            return None
        except (ValueError, TypeError) as error:
            self.problems.append(f"{shown(site.path)}: {error}")
            return None

    def _layer(self, site: Site) -> LayerPlan:
        weight = self._weight(site)
        recipe = self._recipe(site)
        notes = [caveats(site.module)]
        written = True
        if weight.device.type == "meta":
            written, note = False, "on the meta device: not written"
            notes.append(note)
        if id(weight) in self.weights:
            first, before = self.weights[id(weight)]
            if before != recipe:
                raise ValueError(
                    f"its weight is tied to that of {shown(first)}, which needs another law (mean and variance "
                    f"{_moments(before)} there, {_moments(recipe)} here); untie them, or leave one out with exclude="
                )
            written = False
            notes.append(f"tied to {shown(first)}")
        self.weights.setdefault(id(weight), (site.path, recipe))
        shift_into, add_bias = self._shift(site, recipe)
        if add_bias:
            notes.append("a bias is added for the centring shift")
        elif shift_into not in ("", site.path):
            notes.append(f"centring shift in the bias of {shown(shift_into)}")
        note = "; ".join(part for part in notes if part)
        return LayerPlan(site.path, site.module, site.role, recipe, site.reason, note, shift_into, add_bias, written)

    def _weight(self, site: Site) -> Tensor:
        if not parametrize.is_parametrized(site.module, "weight") and "weight" not in site.module._parameters:
            raise ValueError(
                "its weight is recomputed by a hook (an old-style weight_norm or spectral_norm?), so a value written "
                "to it would be lost; remove the hook, or leave the layer out with exclude="
            )
        weight = raw_parameter(site.module)
        if isinstance(weight, UninitializedParameter):
            raise ValueError("it is lazy and has no shape yet; run the model once, or pass example_inputs")
        if not weight.is_floating_point():
            raise ValueError(f"its weight is {weight.dtype}; initialise before quantising or converting")
        if weight.ndim < 2:
            raise ValueError(
                f"its weight has shape {tuple(weight.shape)}, flattened by a wrapper such as FullyShardedDataParallel; "
                "initialise before wrapping, or shard with fully_shard"
            )
        bias = getattr(site.module, "bias", None)
        for name, tensor in (("weight", weight), ("bias", bias)):
            if isinstance(tensor, Tensor) and not tensor.requires_grad:
                raise ValueError(
                    f"its {name} is frozen (requires_grad=False); unfreeze it, or leave the layer out with exclude="
                )
            check_placements(tensor)
        return weight

    def _recipe(self, site: Site) -> Recipe:
        through = read_positivity(site.module) or site.positivity
        if site.role == "positive":
            phi = activation_for(self.activation, site.path) or site.activation
            if phi is None:
                raise ValueError("the activation that feeds it is not known; pass activation='relu' (or yours)")
            has_skip = site.path in self.skips
            if through is not None and self.positivity not in (None, through):
                raise ValueError(
                    f"positivity={str(self.positivity)!r} was given, but its weight is made non-negative by {through} "
                    "(a parametrization, a mark, or what the forward does); leave positivity out, or build it anew"
                )
            through = through or self.positivity or as_positivity("projection")
            return positive_recipe(fan_in(site.module), phi, self.settings, through, has_skip)
        if through is not None:
            raise ValueError(
                f"its weight is made non-negative (by {through}), but it is {site.role} ({site.reason}); make it a "
                "plain layer, or name it in positive="
            )
        if site.role == "skip":
            if site.beside not in self.sites:
                raise ValueError(f"it is summed with {shown(site.beside)}, which is excluded; exclude both or neither")
            try:
                beside = self._recipe(self.sites[site.beside])
            except (ValueError, TypeError):
                raise _SaidElsewhere from None  # the problem is that of the layer beside, which reports it
            return skip_recipe(fan_in(site.module), beside)
        return free_recipe(fan_in(site.module), self.settings)

    def _shift(self, site: Site, recipe: Recipe) -> tuple[str, bool]:
        """Find the bias for the centring shift: the layer's own, that of a free skip beside it, or a new one."""
        if site.role != "positive" or (recipe.bias.mean == 0.0 and recipe.bias.std == 0.0):
            return "", False
        if getattr(site.module, "bias", None) is not None:
            return site.path, False
        skip = self.skips.get(site.path)
        if skip is not None and getattr(skip.module, "bias", None) is not None:
            return skip.path, False
        if self.register_missing_bias:
            if is_sharded(raw_parameter(site.module)):
                raise ValueError("register_missing_bias cannot add a bias to a sharded layer; give it bias=True")
            return site.path, True
        raise ValueError(
            f"it has no bias to carry the centring shift of {recipe.bias.mean:.4g}, without which its outputs drift; "
            "give it bias=True, or pass register_missing_bias=True (before the optimizer is made)"
        )


def apply_(
    model: nn.Module,
    example_inputs: Any = None,
    *,
    convex_inputs: Iterable[str | int] | str | int | None = None,
    positive: Selection | None = None,
    exclude: Selection | None = None,
    activation: ActivationLike | Mapping[str, ActivationLike] | None = None,
    positivity: str | Positivity | None = None,
    register_missing_bias: bool = False,
    generator: torch.Generator | None = None,
    **settings: Any,
) -> nn.Module:
    """Initialise an input-convex network in place with the principled initialisation, and return it.

    Layers that see the input through affine maps only are *free*: weights N(0, σ*²/fan_in) (LeCun), bias 0. Layers
    behind a non-linearity are *positive*: non-negative weights and a centring bias that keep pre-activations at mean
    0, variance σ*² and correlation ρ* (equations 8–12, 33–46). Weights behind a positivity map are written through it.
    Plain positive layers are marked, so that :func:`project_` and :func:`project_after_step` keep them non-negative.

    What can be read: ``nn.Sequential`` (nested), single layers, :class:`ICNN`, modules with a ``convex_sites()``
    method, and, with ``example_inputs``, what any other model does with its Linear and convolution layers when it runs:
    which of them stand behind a non-linearity, what feeds them, which map makes their weight non-negative, and which
    free layers are summed with them. Without example inputs, layers of ours and parametrized weights are taken as the
    positive ones. Otherwise name the positive layers.

    Args:
        model: a module; a compiled one is initialised through its original.
        example_inputs: one input, a tuple of positional inputs or a dict of keyword inputs, with which a copy of the
            model is run to see what it does; also used to give lazy layers their shapes.
        convex_inputs: names or positions of the inputs in which the model is convex, all floating-point ones by
            default; layers that see only the others (context) are left alone.
        positive: layers whose weights must be non-negative: paths or patterns (``"layers.*.wz"``), or a predicate
            ``f(path, module)``. All others are then free.
        exclude: layers to leave alone, in the same form.
        activation: what *feeds* the positive layers, where it cannot be read: a name, module or function, or a mapping
            from patterns of layer paths to these.
        positivity: the map for positive layers that carry none themselves; ``"projection"`` by default. Give the name
            of the map if the model's forward applies it.
        register_missing_bias: add a bias to positive layers that have none and need one. Do it before the optimizer is
            made.
        generator: source of randomness; torch's global CPU generator by default. One number is taken from it.
        **settings: ``correlation`` (ρ*, 0.5), ``variance`` (σ*², 1.0), ``bias_noise`` (β, 0.0), ``distribution``
            (``"log_normal"``), ``skip_share`` (0.5); see :class:`convex_init_core.InitSettings`.

    Returns:
        ``model``.

    Raises:
        ValueError: if a layer cannot be decided or an argument is out of range. All problems are listed with the paths
            of their layers, and nothing has been written.
        TypeError: if an argument has the wrong type.

    Warns:
        UserWarning: if some weights are on the meta device; those are not written.
    """
    decided = plan(
        model,
        example_inputs,
        convex_inputs=convex_inputs,
        positive=positive,
        exclude=exclude,
        activation=activation,
        positivity=positivity,
        register_missing_bias=register_missing_bias,
        **settings,
    )
    on_meta = [layer.path for layer in decided.layers if raw_parameter(layer.module).device.type == "meta"]
    if on_meta:
        warnings.warn(
            f"weights on the meta device were not written: {', '.join(on_meta)}; call to_empty(device=...) "
            "and apply_ again",
            stacklevel=2,
        )
    decided.execute(generator)
    return model
