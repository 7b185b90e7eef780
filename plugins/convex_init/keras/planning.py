"""The plan: what would be done to each layer and why, with every check made before the first weight is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from convex_init.keras.activations import ActivationSpec, core_activation
from convex_init.keras.constraints import NonNeg
from convex_init.keras.drawing import BIAS, KERNEL, fresh_seed, seed_stream, wide
from convex_init.keras.fans import AFFINE, kernel_fan_in, layer_geometry, layer_layout
from convex_init.keras.filling import drawn
from convex_init.keras.reading import Selection, Site, is_chain, read
from convex_init_core import (
    InitSettings,
    Law,
    Positivity,
    Recipe,
    as_positivity,
    free_recipe,
    has_even_overlap,
    needs_geometry,
    positive_recipe,
    skip_recipe,
    warn_of_depth,
)

if TYPE_CHECKING:
    from convex_init_core import Isometric, Matched


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What would be done to one layer.

    Attributes:
        path: of the layer in the model.
        layer: the Keras layer.
        role: ``"free"``, ``"positive"`` or ``"skip"``.
        recipe: the laws of its effective weight and of its bias.
        reason: why it has this role.
        note: anything to know besides; empty if nothing.
        shift_into: path of the layer whose bias takes the centring shift; ``""`` if there is nothing to shift.
        add_constraint: whether the layer gets a :class:`NonNeg` constraint.
    """

    path: str
    layer: Any
    role: str
    recipe: Recipe
    reason: str
    note: str = ""
    shift_into: str = ""
    add_constraint: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """The list of :class:`LayerPlan` for a model, in the order of the signal; prints as a table."""

    layers: tuple[LayerPlan, ...]
    settings: InitSettings
    advice: str = ""

    def __str__(self) -> str:
        """Return the table, and the advice below it, if there is any."""
        from convex_init_core.tables import table  # only for who looks at the plan

        head = ("layer", "role", "fan_in", "fed by", "weight law", "mean", "variance", "bias", "through", "why")
        shown = table([head, *(_row(layer) for layer in self.layers)])
        return f"{shown}\n{self.advice}" if self.advice else shown

    def execute(self, seed: int | None = None) -> None:
        """Draw every parameter as planned; see :func:`apply_`."""
        root = fresh_seed() if seed is None else seed
        biases = {layer.path: layer.recipe.bias for layer in self.layers}
        for layer in self.layers:
            if layer.shift_into:
                biases[layer.shift_into] = layer.recipe.bias
        for place, layer in enumerate(self.layers):
            kernel, bias = layer.layer.kernel, layer.layer.bias
            _write(kernel, layer.recipe.weight, layer.recipe.positivity, root, KERNEL, place)
            if bias is not None:
                _write(bias, biases[layer.path], None, root, BIAS, place)
            if layer.add_constraint:
                kernel.constraint = NonNeg()
                setattr(layer.layer, _constraint_name(layer.layer), kernel.constraint)


def _row(layer: LayerPlan) -> tuple[str, ...]:
    stats = layer.recipe.statistics
    bias = f"{stats.bias_mean:.4g}" if stats.bias_variance == 0 else f"{stats.bias_mean:.4g} ± {stats.bias_std:.3g}"
    return (
        layer.path,
        layer.role,
        f"{stats.fan_in:g}",
        str(layer.recipe.activation) if layer.role == "positive" else "-",
        type(layer.recipe.weight).__name__,
        f"{stats.weight_mean:.4g}",
        f"{stats.weight_variance:.4g}",
        bias,
        "-" if layer.recipe.positivity is None else str(layer.recipe.positivity),
        "; ".join(part for part in (layer.reason, layer.note) if part),
    )


def _write(
    variable: Any, law: Law | Matched | Isometric, positivity: Positivity | None, seed: int, *place: int
) -> None:
    raw = drawn(law, positivity, variable.shape, wide(variable.dtype), seed_stream(seed, *place))
    variable.assign(ops.cast(raw, variable.dtype))


def _constraint_name(layer: Any) -> str:
    return "depthwise_constraint" if hasattr(layer, "depthwise_constraint") else "kernel_constraint"


def layer_positivity(layer: Any) -> Positivity:
    """Return the map of a convex layer; Keras' own layers have the projection."""
    return getattr(layer, "positivity", None) or as_positivity("projection")


def feeding_activation(activation: Any, site: Site) -> Any:
    """Return what feeds a site: the user's word, by pattern or for all, before what the graph says."""
    if isinstance(activation, Mapping):
        hits = [a for pattern, a in activation.items() if _matches(site, pattern)]
        return core_activation(hits[0]) if hits else site.activation
    return site.activation if activation is None else core_activation(activation)


def _matches(site: Site, pattern: str) -> bool:
    return fnmatchcase(site.path, pattern) or fnmatchcase(site.layer.name, pattern)


class _Planner:
    """Turn sites into layer plans, collecting every problem so that the user sees them all at once."""

    def __init__(self, sites: list[Site], settings: InitSettings, activation: Any) -> None:
        self.settings, self.activation = replace(settings, threshold=0.0), activation
        self.chosen, self.of_chain = settings, dict[str, Recipe]()
        self.problems: list[str] = []
        self.sites = {site.path: site for site in sites}
        self.skips = {site.beside: site for site in sites if site.role == "skip"}

    def spread(self) -> None:
        """Decide what the positive layers get as parts of one chain."""
        from convex_init_core import spread_bends  # rarely needed

        sites = [site for site in self.sites.values() if site.role == "positive"]
        try:
            for site in sites:
                self.check(site)
            recipes = [self.recipe(site) for site in sites]
        except (ValueError, TypeError):
            return  # the layer reports it
        try:
            found = spread_bends(recipes, self.chosen, [f"layer {site.path!r}" for site in sites])
        except ValueError as error:
            self.problems.append(str(error))
        else:
            self.of_chain = {site.path: recipe for site, recipe in zip(sites, found, strict=True)}

    def layer(self, site: Site) -> LayerPlan | None:
        try:
            self.check(site)
            recipe = self.recipe(site)
            note = _caveat(site.layer)
            return LayerPlan(
                site.path,
                site.layer,
                site.role,
                recipe,
                site.reason,
                note,
                self.shift(site, recipe),
                self.lacks_constraint(site, recipe),
            )
        except (ValueError, TypeError) as error:
            self.problems.append(f"layer {site.path!r}: {error}")
            return None

    def check(self, site: Site) -> None:
        layer = site.layer
        if site.problem or not isinstance(layer, AFFINE):
            raise ValueError(site.problem or f"{type(layer).__name__} has no single kernel")
        if not layer.built:
            raise ValueError("it is unbuilt and has no kernel yet; run the model once on a batch")
        if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
            raise ValueError("its kernel is quantised or has a LoRA part; initialise before either")
        if not layer.trainable:
            raise ValueError("it is frozen (trainable=False); unfreeze it, or leave it out with exclude=")

    def recipe(self, site: Site) -> Recipe:
        if site.path in self.of_chain:
            return self.of_chain[site.path]
        fan_in = kernel_fan_in(site.layer.kernel.shape, *layer_layout(site.layer))
        through = layer_positivity(site.layer)
        if site.role == "positive":
            phi = feeding_activation(self.activation, site)
            if phi is None:
                raise ValueError("the activation that feeds it is not known; pass activation='relu' (or yours)")
            where = layer_geometry(site.layer) if needs_geometry(self.settings) else None
            return positive_recipe(fan_in, phi, self.settings, through, site.path in self.skips, where)
        if through.reparametrises or hasattr(site.layer, "positivity"):
            raise ValueError(
                f"{type(site.layer).__name__} has non-negative weights, but it is {site.role} ({site.reason}); use "
                "Keras' own layer there, or name it in positive="
            )
        if site.role == "skip":
            if site.beside not in self.sites:
                raise ValueError(f"it is summed with {site.beside!r}, which is excluded; exclude both or neither")
            return skip_recipe(fan_in, self.recipe(self.sites[site.beside]))
        return free_recipe(fan_in, self.settings)

    def shift(self, site: Site, recipe: Recipe) -> str:
        """Find the bias for the centring shift: the layer's own, or that of a free skip beside it."""
        if site.role != "positive" or (recipe.bias.mean == 0.0 and recipe.bias.std == 0.0):
            return ""
        if site.layer.bias is not None:
            return site.path
        skip = self.skips.get(site.path)
        if skip is not None and skip.layer.bias is not None:
            return skip.path
        raise ValueError(
            f"it has no bias to carry the centring shift of {recipe.bias.mean:.4g}, without which its outputs drift; "
            "give it use_bias=True (bias_axes for EinsumDense), or a bias to a free layer that is summed with it"
        )

    def lacks_constraint(self, site: Site, recipe: Recipe) -> bool:
        name = _constraint_name(site.layer)
        constraint = getattr(site.layer, name)
        if constraint is not None and not isinstance(constraint, keras.constraints.NonNeg):
            raise ValueError(
                f"its {name} is {type(constraint).__name__}, which would undo the initialisation or the convexity; "
                "remove it (NonNeg is the only one that fits)"
            )
        if site.role != "positive" and constraint is not None:
            raise ValueError(
                f"its {name} is NonNeg, but it is {site.role} ({site.reason}) and takes weights of either sign; "
                "remove the constraint, or name the layer in positive="
            )
        if recipe.positivity is None or recipe.positivity.reparametrises:
            return False
        return constraint is None


def _caveat(layer: Any) -> str:
    _, strides = layer_layout(layer)
    if strides is not None and not has_even_overlap(layer.kernel_size, strides, layer.dilation_rate):
        return "uneven overlap: fan_in is an average over positions"
    if getattr(layer, "padding", "valid") != "valid" and any(size > 1 for size in layer.kernel_size):
        return "zero padding: borders sum fewer features"
    return ""


def plan(
    model: keras.Model,
    *,
    positive: Selection | None = None,
    exclude: Selection | None = None,
    activation: ActivationSpec | Mapping[str, ActivationSpec] = None,
    **settings: Any,
) -> Plan:
    """Return what :func:`apply_` would do to each layer of ``model``, and why; ``print`` it for a table.

    Nothing is written. Arguments and errors are those of :func:`apply_`.
    """
    try:
        chosen = InitSettings(**settings)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        known = ", ".join(InitSettings.__dataclass_fields__)
        raise TypeError(f"unknown argument in {sorted(settings)}; the settings are {known}") from None
    sites = read(model, positive, exclude)
    planner = _Planner(sites, chosen, activation)
    if chosen.threshold > 0.0:
        _check_chain(model, {"positive": positive, "exclude": exclude})
        planner.spread()
    layers = [layer for layer in map(planner.layer, sites) if layer is not None]
    if planner.problems:
        raise ValueError("nothing was written: " + "\n".join(planner.problems))
    beside = {site.beside for site in sites if site.role == "skip"}
    in_a_row = sum(layer.role == "positive" and layer.path not in beside for layer in layers)
    with_skips = sum(layer.role == "positive" and layer.path in beside for layer in layers)
    return Plan(tuple(layers), chosen, warn_of_depth(chosen, in_a_row, with_skips))


def _check_chain(model: keras.Model, selections: Mapping[str, Selection | None]) -> None:
    """Refuse a threshold where it is not known which layers follow one another."""
    from convex_init_core.methods.bend_spread import check_no_selection  # rarely needed

    check_no_selection(selections)
    if not is_chain(model):
        raise ValueError(
            "threshold= needs a chain of layers: a Sequential model, or a functional one whose layers follow one "
            f"another, each used once; model {model.name!r} branches, so leave threshold out"
        )


def apply_(
    model: keras.Model,
    *,
    positive: Selection | None = None,
    exclude: Selection | None = None,
    activation: ActivationSpec | Mapping[str, ActivationSpec] = None,
    seed: int | None = None,
    **settings: Any,
) -> keras.Model:
    """Initialise a built input-convex network in place with the principled initialisation, and return it.

    Layers that see the input through affine maps only are *free*: weights N(0, σ*²/fan_in) (LeCun), bias 0. Layers
    behind a non-linearity are *positive*: non-negative weights and a centring bias that keep pre-activations at mean
    0, variance σ*² and correlation ρ* (equations 8–12, 33–46), and a :class:`NonNeg` constraint unless a positivity
    map does its work. Sequential and Functional models (nested too) are read from their graph.

    The model is left without initializers of ours: a ``clone_model`` of it starts from what its layers declare.

    Args:
        model: a built model.
        positive: layers whose weights must be non-negative, for a subclassed model or where the graph cannot be
            read: paths, names, patterns (``"hidden_*"``), or a predicate ``f(path, layer)``. All others are free.
        exclude: layers to leave alone, in the same form.
        activation: what *feeds* the positive layers, where it cannot be read, or a mapping from patterns to it.
        seed: an integer draws everything from it and leaves global state alone; ``None`` takes one from Keras'.
        **settings: ``correlation`` (ρ*, 0.5), ``variance`` (σ*², 1.0), ``bias_noise`` (β, 0.0), ``distribution``
            (``"log_normal"``), ``skip_share`` (0.5), ``method`` (``"log_normal"``, or ``"isometric"`` for any depth),
            ``match_moments`` (``False``), ``threshold`` (τ, 0.0: with ``"isometric"``, where the bends of a chain of
            ReLU layers arrive, in standard deviations of the signal;
            ``convex_init_core/methods/bend_spread.py``, not the paper's);
            see :class:`convex_init_core.InitSettings`.

    Raises:
        ValueError: if a layer cannot be decided or an argument is out of range. All problems are listed with the
            paths of their layers, and nothing has been written.
        TypeError: if an argument has the wrong type.

    Warns:
        UserWarning: if the method is not known to carry so many positive layers in a row.
    """
    decided = plan(model, positive=positive, exclude=exclude, activation=activation, **settings)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise TypeError(f"seed must be an integer or None, got {seed!r}")
    decided.execute(seed)
    if getattr(model, "train_function", None) is not None:
        model.make_train_function(force=True)  # a traced step does not see new constraints
    return model
