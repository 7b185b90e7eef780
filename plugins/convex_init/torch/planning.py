"""The plan: what would be done to each layer and why, with every check made before the first weight is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from convex_init.torch.activations import ActivationLike
from convex_init.torch.drawing import Fill, check_generator, fill_
from convex_init.torch.fans import caveats, fan_in, geometry, units
from convex_init.torch.positivity import mark_projected, nothing_applies, raw_parameter, read_positivity
from convex_init.torch.reading import (
    Selection,
    activation_for,
    is_chain,
    is_read_by_running,
    read,
    selected,
    takes_weight_as_it_is,
)
from convex_init.torch.sharding import check_placements, is_sharded, local, reshard
from convex_init.torch.sites import Site, Slot, shown
from convex_init_core import (
    InitSettings,
    Normal,
    Positivity,
    Recipe,
    as_positivity,
    free_recipe,
    needs_geometry,
    positive_recipe,
    skip_recipe,
)


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What would be done to one weight.

    Attributes:
        path: of the layer in the model; of the parameter itself where it belongs to no Linear or convolution layer.
        module: that holds the weight.
        role: ``"free"``, ``"positive"`` or ``"skip"``.
        recipe: the laws of its effective weight and of its bias.
        reason: why it has this role.
        note: anything to know besides, such as a bias that will be added; empty if nothing.
        shift_into: path of the layer or bias that takes the centring shift; ``""`` if there is nothing to shift.
        add_bias: whether the layer gets a bias that it did not have.
        written: whether the weight is drawn here: ``False`` on the meta device, and for the later of two layers that
            share a weight.
        name: of the weight's parameter in ``module``.
        beside: the paths of the (other) positive layers that it is summed with.
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
    name: str = "weight"
    beside: tuple[str, ...] = ()

    @property
    def raw(self) -> Tensor:
        """The tensor behind the weight, to write to."""
        return raw_parameter(self.module, self.name)


@dataclass(frozen=True, eq=False)
class Plan:
    """The list of :class:`LayerPlan` for a model, in the order of the signal; prints as a table.

    Attributes:
        layers: one for each weight.
        settings: that the recipes were made with.
        biases: what is written to the biases.
        calibration: what is measured afterwards, on the example inputs; ``None`` for nothing.
        advice: what would suit the model better than the chosen method; empty if nothing is known to.
    """

    layers: tuple[LayerPlan, ...]
    settings: InitSettings
    biases: tuple[tuple[Slot, Normal], ...] = ()
    calibration: Callable[[], None] | None = None
    advice: str = ""

    def __str__(self) -> str:
        """Return the table, and the advice below it."""
        from convex_init_core.tables import table  # only for who looks at the plan

        head = ("layer", "role", "fan_in", "fed by", "weight law", "mean", "variance", "bias", "through", "why")
        text = table([head, *(_row(layer) for layer in self.layers)])
        return "\n".join([text, *([self.advice] if self.advice else [])])

    def execute(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter as planned; see :func:`apply_`."""
        check_generator(generator)
        with torch.no_grad():
            for layer in self.layers:
                if layer.add_bias:
                    layer.module.bias = nn.Parameter(layer.raw.new_zeros(units(layer.module)))
            fills = self._fills()
            # Only a measurement can fail in ways that no check foresees.
            before = [] if self.calibration is None else [(fill.raw, fill.raw.clone()) for fill in fills]
            fill_(fills, generator)
            for layer in self.layers:
                if layer.written and parametrize.is_parametrized(layer.module, layer.name):
                    _read_back(layer)
        if self.calibration is not None:
            try:
                self.calibration()
            except BaseException:
                self._undo(before)
                raise
        for layer in self.layers:
            if layer.recipe.positivity is not None and not layer.recipe.positivity.reparametrises:
                mark_projected(layer.module, layer.name)

    @torch.no_grad()
    def _undo(self, before: list[tuple[Tensor, Tensor]]) -> None:
        for raw, values in before:
            raw.copy_(values)
        for layer in self.layers:
            if layer.add_bias:
                layer.module.register_parameter("bias", None)

    def _fills(self) -> list[Fill]:
        """Weights, each followed by the bias of its layer, so that a draw does not depend on how a model was read."""
        biases = {(id(slot.module), slot.name): (slot, law) for slot, law in self.biases}
        fills = []
        for layer in self.layers:
            if layer.written:
                fills.append(Fill(layer.raw, layer.recipe.weight, layer.recipe.positivity))
            own = biases.pop((id(layer.module), "bias"), None)
            fills += _bias_fill(own)
        for found in biases.values():
            fills += _bias_fill(found)
        return fills


def _bias_fill(found: tuple[Slot, Normal] | None) -> list[Fill]:
    if found is None or found[0].raw.device.type == "meta":
        return []
    return [Fill(found[0].raw, found[1])]


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
    return f"{recipe.weight.mean:.4g}, {recipe.weight.variance:.4g}, {recipe.bias.mean:.4g}"


def _read_back(layer: LayerPlan) -> None:
    """Compute the effective weight through the module's own parametrization and make sure that it can be used."""
    weight = getattr(layer.module, layer.name)
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
    entry: str = "forward",
    positive: Selection | None = None,
    free: Selection | None = None,
    exclude: Selection | None = None,
    activation: ActivationLike | Mapping[str, ActivationLike] | None = None,
    positivity: str | Positivity | None = None,
    register_missing_bias: bool = False,
    calibrate: bool | None = None,
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
    if calibrate is not None and not isinstance(calibrate, bool):
        raise TypeError(f"calibrate must be True, False or None, got {calibrate!r}")
    if not isinstance(entry, str):
        raise TypeError(f"entry must be the name of a method, such as 'energy', got {entry!r}")
    if calibrate and example_inputs is None:
        raise ValueError("calibrate=True measures the signal: pass example_inputs")
    if example_inputs is not None and _is_lazy(model):
        from convex_init.torch.inputs import arguments_of  # rarely needed

        args, kwargs = arguments_of(example_inputs)
        with torch.no_grad(), torch.random.fork_rng():  # the values that torch gives them are overwritten anyway
            model(*args, **kwargs)
    wanted = None if positivity is None else as_positivity(positivity)
    runs = example_inputs is not None and (
        calibrate or entry != "forward" or is_read_by_running(model, register_missing_bias)
    )
    if chosen.threshold > 0.0:
        _check_chain(model, runs, calibrate, {"positive": positive, "free": free, "exclude": exclude})
    if runs:
        from convex_init.torch.running import plan_by_running  # only needed here, and not small

        return plan_by_running(
            model,
            example_inputs,
            chosen,
            convex_inputs=convex_inputs,
            entry=entry,
            positive=positive,
            free=free,
            exclude=exclude,
            activation=activation,
            positivity=wanted,
            register_missing_bias=register_missing_bias,
            calibrate=calibrate,
        )
    if entry != "forward" or calibrate:
        name = "calibrate" if calibrate else "entry"
        raise ValueError(f"{name}= needs a model that is run: pass example_inputs")
    sites = read(model, positive, exclude)
    if free is not None:
        named = selected("free", free, model)
        sites = [
            replace(site, role="free", beside=(), reason="named in free=") if site.path in named else site
            for site in sites
        ]
    check_patterns(activation, [site.path for site in sites])
    planner = _Planner(sites, chosen, activation, wanted, register_missing_bias)
    if chosen.threshold > 0.0:
        planner.spread()
    layers = [layer for layer in map(planner.layer, sites) if layer is not None]
    if planner.problems:
        raise ValueError("nothing was written: " + "\n".join(planner.problems))
    if wanted is not None and wanted.reparametrises:
        _check_map(model, sites, wanted)
    beside = {path for layer in layers for path in layer.beside}
    in_a_row = sum(layer.role == "positive" and layer.path not in beside for layer in layers)
    with_skips = sum(layer.role == "positive" and layer.path in beside for layer in layers)
    return Plan(tuple(layers), chosen, _biases(layers), advice=advise(chosen, in_a_row, with_skips))


def _check_map(model: nn.Module, sites: list[Site], wanted: Positivity) -> None:
    """Refuse a map that nothing applies: weights drawn for it would be used raw, and would not stay non-negative."""
    for site in sites:
        known = read_positivity(site.module) or site.positivity
        if site.role == "positive" and known is None and takes_weight_as_it_is(model, site.path):
            raise ValueError(f"{shown(site.path)}: {nothing_applies(wanted)}")


def _check_chain(
    model: nn.Module, runs: bool, calibrate: bool | None, selections: Mapping[str, Selection | None]
) -> None:
    """Refuse a threshold where it is not known which layers follow one another."""
    from convex_init_core.methods.bend_spread import check_no_selection  # rarely needed

    check_no_selection(selections)
    if calibrate:
        raise ValueError(
            "threshold= leaves the signal off its centre in every layer, and calibrate=True would centre it; leave one "
            "of them out"
        )
    if not runs and not is_chain(model):
        raise ValueError(
            f"threshold= needs to know which layers follow one another, and the forward of {type(model).__name__} is "
            "not a chain that can be read without running it, such as nn.Sequential or ICNN: pass example_inputs, or "
            "leave threshold out"
        )


def advise(settings: InitSettings, depth: int, with_skips: int = 0) -> str:
    """Return the core's advice for so many positive layers without and with free skips, and warn where it has some."""
    if max(depth, with_skips) <= 1:
        return ""
    from convex_init_core import warn_of_depth  # spares short networks the import

    return warn_of_depth(settings, depth, with_skips)


def check_patterns(activation: ActivationLike | Mapping[str, ActivationLike] | None, paths: list[str]) -> None:
    """Refuse an ``activation=`` pattern that means no layer.

    Raises:
        ValueError: naming the pattern.
    """
    for pattern in activation if isinstance(activation, Mapping) else ():
        if not any(fnmatchcase(path, pattern) for path in paths):
            raise ValueError(f"activation= pattern {pattern!r} matches no layer; there are: {', '.join(paths)}")


def _biases(layers: list[LayerPlan]) -> tuple[tuple[Slot, Normal], ...]:
    """The law of each layer's bias: its own, or the shift of the positive layer beside it."""
    laws = {layer.path: layer.recipe.bias for layer in layers}
    for layer in layers:
        if layer.shift_into and layer.shift_into != layer.path:
            laws[layer.shift_into] = layer.recipe.bias
    has_bias = [layer for layer in layers if layer.add_bias or isinstance(layer.module.bias, Tensor)]
    return tuple((Slot(layer.module, "bias", layer.path), laws[layer.path]) for layer in has_bias)


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


def check_weight(slot: Slot) -> Tensor:
    """Return the tensor behind a weight, if it can be written to.

    Raises:
        ValueError: with the reason why it cannot.
    """
    module, name = slot.module, slot.name
    if not parametrize.is_parametrized(module, name) and name not in module._parameters:
        raise ValueError(
            "its weight is recomputed by a hook (an old-style weight_norm or spectral_norm?), so a value written "
            "to it would be lost; remove the hook, or leave the layer out with exclude="
        )
    weight = slot.raw
    if isinstance(weight, UninitializedParameter):
        raise ValueError("it is lazy and has no shape yet; run the model once, or pass example_inputs")
    if not weight.is_floating_point():
        raise ValueError(f"its weight is {weight.dtype}; initialise before quantising or converting")
    if weight.ndim < 2 and name == "weight":
        raise ValueError(
            f"its weight has shape {tuple(weight.shape)}, flattened by a wrapper such as FullyShardedDataParallel; "
            "initialise before wrapping, or shard with fully_shard"
        )
    bias = getattr(module, "bias", None) if name == "weight" else None
    for kind, tensor in (("weight", weight), ("bias", bias)):
        if isinstance(tensor, Tensor) and not tensor.requires_grad:
            raise ValueError(
                f"its {kind} is frozen (requires_grad=False); unfreeze it, or leave the layer out with exclude="
            )
        check_placements(tensor)
    return weight


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
        self.settings, self.activation, self.positivity = replace(settings, threshold=0.0), activation, positivity
        self.chosen, self.of_chain = settings, dict[str, Recipe]()
        self.register_missing_bias = register_missing_bias
        self.problems: list[str] = []
        self.skips = {path: site for site in sites for path in site.beside}
        self.sites = {site.path: site for site in sites}
        self.weights: dict[int, tuple[str, Recipe]] = {}

    def spread(self) -> None:
        """Decide what the positive layers get as parts of one chain."""
        from convex_init_core import spread_bends  # rarely needed

        sites = [site for site in self.sites.values() if site.role == "positive"]
        try:
            for site in sites:
                check_weight(Slot(site.module, "weight", site.path))
            recipes = [self._recipe(site) for site in sites]
        except (ValueError, TypeError):
            return  # the layer reports it
        try:
            found = spread_bends(recipes, self.chosen, [shown(site.path) for site in sites])
        except ValueError as error:
            self.problems.append(str(error))
        else:
            self.of_chain = {site.path: recipe for site, recipe in zip(sites, found, strict=True)}

    def layer(self, site: Site) -> LayerPlan | None:
        try:
            return self._layer(site)
        except _SaidElsewhere:
            return None
        except (ValueError, TypeError) as error:
            self.problems.append(f"{shown(site.path)}: {error}")
            return None

    def _layer(self, site: Site) -> LayerPlan:
        weight = check_weight(Slot(site.module, "weight", site.path))
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
                    f"its weight is tied to that of {shown(first)}, which needs another law (mean, variance and bias "
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
        return LayerPlan(
            *(site.path, site.module, site.role, recipe, site.reason, note, shift_into, add_bias, written),
            beside=(site.beside,) if isinstance(site.beside, str) else site.beside,
        )

    def _recipe(self, site: Site) -> Recipe:
        if site.path in self.of_chain:
            return self.of_chain[site.path]
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
            where = geometry(site.module) if needs_geometry(self.settings) else None
            return positive_recipe(fan_in(site.module), phi, self.settings, through, has_skip, where)
        if through is not None:
            raise ValueError(
                f"its weight is made non-negative (by {through}), but it is {site.role} ({site.reason}); make it a "
                "plain layer, or name it in positive="
            )
        if site.role == "skip":
            missing = next((path for path in site.beside if path not in self.sites), None)
            if missing is not None:
                raise ValueError(f"it is summed with {shown(missing)}, which is excluded; exclude both or neither")
            try:
                beside = self._recipe(self.sites[site.beside[0]])
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
    entry: str = "forward",
    positive: Selection | None = None,
    free: Selection | None = None,
    exclude: Selection | None = None,
    activation: ActivationLike | Mapping[str, ActivationLike] | None = None,
    positivity: str | Positivity | None = None,
    register_missing_bias: bool = False,
    calibrate: bool | None = None,
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
        entry: name of the method to run, such as ``"energy"``.
        positive: layers whose weights must be non-negative: paths or patterns (``"layers.*.wz"``), or a predicate
            ``f(path, module)``. All others are then free, unless example inputs show what they do.
        free: layers whose weights keep either sign, in the same form, against what the model's data flow says.
        exclude: layers to leave alone, in the same form.
        activation: what *feeds* the positive layers, where it cannot be read: a name, module or function, or a mapping
            from patterns of layer paths to these.
        positivity: the map for positive layers that carry none themselves; ``"projection"`` by default. Give the name
            of the map if the model's forward applies it; where nothing does, it is refused.
        register_missing_bias: add a bias to positive layers that have none and need one. Do it before the optimizer is
            made.
        calibrate: measure each pre-activation on the example inputs, in the order of the signal, and set the scale of
            its weights and its shift by what was found. By default, in a model that is read by running it, where there
            is no theory (such as behind pooling), and where the measured variance is off by more than a factor of
            1.5 (a sample of a heavy-tailed law in a narrow layer); ``True`` for every layer, ``False`` for none.
        generator: source of randomness; torch's global CPU generator by default. One number is taken from it.
        **settings: ``correlation`` (ρ*, 0.5), ``variance`` (σ*², 1.0), ``bias_noise`` (β, 0.0), ``distribution``
            (``"log_normal"``), ``skip_share`` (0.5), ``method`` (``"log_normal"``, or ``"isometric"`` for any depth),
            ``match_moments`` (``False``), ``threshold`` (τ, 0.0: with ``"isometric"``, where the bends of ReLU layers
            arrive that follow one another, in standard deviations of the signal;
            ``convex_init_core/methods/bend_spread.py``, not the paper's); see :class:`convex_init_core.InitSettings`.

    Returns:
        ``model``.

    Raises:
        ValueError: if a layer cannot be decided or an argument is out of range. All problems are listed with the paths
            of their layers, and nothing has been written.
        TypeError: if an argument has the wrong type.

    Warns:
        UserWarning: if some weights are on the meta device; those are not written. If the method is not known to carry
            so many positive layers in a row.
    """
    decided = plan(
        model,
        example_inputs,
        convex_inputs=convex_inputs,
        entry=entry,
        positive=positive,
        free=free,
        exclude=exclude,
        activation=activation,
        positivity=positivity,
        register_missing_bias=register_missing_bias,
        calibrate=calibrate,
        **settings,
    )
    on_meta = [layer.path for layer in decided.layers if layer.raw.device.type == "meta"]
    if on_meta:
        warnings.warn(
            f"weights on the meta device were not written: {', '.join(on_meta)}; call to_empty(device=...) "
            "and apply_ again",
            stacklevel=2,
        )
    decided.execute(generator)
    return model
