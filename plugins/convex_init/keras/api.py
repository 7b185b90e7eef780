"""``plan`` and ``apply_``: the core's planner on a Keras model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from convex_init.keras.framework import KerasFramework
from convex_init.keras.model.calls import Call, on_example_inputs
from convex_init.keras.model.inputs import given_call
from convex_init.keras.owners.own_settings import keep_settings, own_settings
from convex_init_core import checks
from convex_init_core.convexity.inputs.names import input_names
from convex_init_core.convexity.inputs.parts import Part, convex_inputs_of
from convex_init_core.planning import build
from convex_init_core.planning.plan import LayerPlan, Plan
from convex_init_core.request import Options, check_names, refuse_source, request, with_own

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from convex_init_core.request import Request

__all__ = ["LayerPlan", "Plan", "apply_", "plan"]


def plan(model: keras.Model, example_inputs: Any = None, **options: Unpack[Options]) -> Plan:
    """Return what :func:`apply_` would do to each weight of ``model``, and why; ``print`` it for a table.

    Nothing is written (an unbuilt model is built if ``example_inputs`` are passed). Arguments and errors are those of
    :func:`apply_`.

    Example:
        >>> import keras, convex_init
        >>> dense = [keras.layers.Dense(16, activation="relu", name="a"), keras.layers.Dense(1, name="b")]
        >>> made = convex_init.keras.plan(keras.Sequential([keras.Input((4,)), *dense]))
        >>> [(layer.path, layer.role) for layer in made.layers]
        [('a', 'free'), ('b', 'positive')]
    """
    check_names(options, plan)
    framework, asked = asked_of(model, example_inputs, options)
    return build.plan(framework, asked)


def apply_(
    model: keras.Model, example_inputs: Any = None, *, seed: int | None = None, **options: Unpack[Options]
) -> keras.Model:
    """Initialise an input-convex network in place with the principled initialisation, and return it.

    The model is traced on its backend, and everything is read from what it does at inference. Weights that see the
    input through affine maps only are *free*: N(0, σ*²/fan_in) (LeCun), bias 0. Weights behind a non-linearity are
    *positive*: non-negative, with a centring bias that keeps pre-activations at mean 0, variance σ*² and correlation ρ*
    (equations 8–12, 33–46), and a :class:`NonNeg` constraint unless a positivity map does its work.

    The model is left without initializers of ours: a ``clone_model`` of it starts from what its layers declare.

    Args:
        model: a model; an unbuilt one is built on ``example_inputs``.
        example_inputs: what the model takes, as arrays: one, a list, a dict, or a tuple of positional arguments. Not
            needed where the model has ``keras.Input``s.
        seed: an integer draws everything from it and leaves global state alone; ``None`` takes one from Keras'.
        **options: what else to know of the model, and the settings:

            - ``convex_inputs``: names or positions of the inputs in which the model is convex, all floating-point ones
              by default; layers that see only the others (context) are left alone. ``{"x": slice(0, 3)}`` names a part
              of an input: elements along its last axis by a slice or a list, along another by ``np.s_[:, 0:3]``.
            - ``entry``: name of another method to run in place of the model itself.
            - ``positive``, ``free``, ``exclude``: weights that must be non-negative, that keep either sign, that are
              left alone, against what the data flow says: paths or patterns of layers or variables (``"hidden_*"``),
              or a predicate ``f(path)``.
            - ``fed_by``: what feeds the positive layers, where it cannot be read: a name or function, or a mapping from
              patterns of layer paths to these. Names have Keras' default slopes.
            - ``positivity``: the map for positive layers that carry none themselves; ``"projection"`` by default. Where
              nothing applies it, it is refused.
            - ``register_missing_bias``: add a bias to positive layers that have none and need one. Do it before the
              optimizer is made.
            - ``calibrate``: measure each pre-activation on the example inputs, in the order of the signal, and set the
              scale of its weights and its shift by what was found: ``True`` for all, ``False`` for none; by default
              where there is no theory, and, with ``"bounded_gain"``, where the measured variance is off by more than a
              factor of 1.5.
            - ``targets``, or ``output_mean`` and ``output_variance``: a sample of what the model will be trained on, of
              shape ``(examples, outputs)``, or its moments, so that the output starts there; a number for all outputs
              or one for each. By default an output has variance 1, whatever ``variance`` says of the layers before it.
            - Settings; a network or layer of ours keeps those that it was made with, if they are not the defaults, and
              a contradiction is an error.
            - ``method``: ``"auto"`` (default), one of the others, by what is read of the model; ``print(plan(model))``
              says which and why. ``"bounded_gain"``, ``"log_normal"`` (the paper's equations everywhere) or
              ``"isometric"`` (for any depth).
            - ``kinks``: ``"spread"`` lets the units of the free first layer bend all over the example inputs (over a
              Gaussian without), ``"origin"`` all in one point; by default ``"auto"`` decides, and it is ``"origin"``
              with the other methods.
            - ``correlation`` (ρ*, 0.5), ``variance`` (σ*², 1.0), ``bias_noise`` (β, 0.0), ``distribution``
              (``"log_normal"``), ``skip_share`` (0.5), ``match_moments`` (``False``), ``threshold`` (τ, 0.0); see
              :class:`convex_init_core.InitSettings`.

    Returns:
        ``model``.

    Raises:
        ValueError: if a weight cannot be decided or an argument is out of range. All problems are listed with the paths
            of their layers, and nothing has been written.
        TypeError: if an argument does not exist or has the wrong type.

    Warns:
        UserWarning: if the method is not known to carry so many positive layers in a row.

    Example:
        >>> import keras, convex_init
        >>> dense = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)]
        >>> model = keras.Sequential([keras.Input((4,)), *dense])
        >>> model = convex_init.keras.apply_(model, seed=0)
        >>> bool(keras.ops.all(model.layers[1].kernel >= 0))
        True
    """
    check_names(options, apply_)
    whole_seed = checks.seed(seed)
    framework, asked = asked_of(model, example_inputs, options)
    own = list(own_settings(model))
    build.execute(build.plan(framework, asked), framework, whole_seed)
    for _, settings in own:
        keep_settings(model, settings)  # its initializers, which hold them, are gone
    return model


def asked_of(model: Any, example_inputs: Any, options: Mapping[str, Any]) -> tuple[KerasFramework, Request]:
    """Return the port for a model, and what the user asks of it, with activations and inputs as Keras names them."""
    refuse_source(options, "apply_ takes seed=, an integer; plan and signal_report draw nothing")
    given: dict[str, Any] = with_own(options, own_settings(model))
    if "fed_by" in given:
        given["fed_by"] = _activations(given["fed_by"])
    asked = request(**given)
    framework = framework_of(model, example_inputs, asked.entry)
    for name, array in framework.call.arrays.items() if framework.has_inputs else ():
        checks.example(name, array.size, array.dtype.kind not in "fc" or bool(np.isfinite(array).all()))
    return framework, replace(asked, convex_inputs=chosen_inputs(given.get("convex_inputs"), framework.call))


def framework_of(model: Any, example_inputs: Any, entry: str = "forward") -> KerasFramework:
    """Return the port for a model, checked; an unbuilt one is built on the example inputs.

    Raises:
        TypeError: if it is no model of Keras.
        ValueError: if it is unbuilt and there are no inputs, or inputs are needed.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}; for a layer there is icnn(...)")
    if not isinstance(entry, str):
        raise TypeError(f"entry must be the name of a method, such as 'forward', got {entry!r}")
    entry = "" if entry == "forward" else entry
    if entry and not callable(getattr(model, entry, None)):
        classes = [kind for kind in type(model).__mro__ if not kind.__module__.startswith("keras.")]
        found = {name: value for kind in classes for name, value in vars(kind).items()}
        known = [name for name, value in found.items() if inspect.isfunction(value) and name[0] != "_"]
        raise ValueError(
            f"entry {entry!r} is no method of {type(model).__name__}, which has 'forward' (the model itself)"
            + "".join(f", {name!r}" for name in known if name not in _NO_ENTRIES)
        )
    if example_inputs is None:
        if not model.built:
            raise ValueError(
                f"model {model.name!r} is unbuilt and has no weights yet; call model.build(input_shape), give it an "
                "Input, run it on a batch, or pass example_inputs"
            )
        return KerasFramework(model, None)
    call = given_call(model, example_inputs, entry)
    if not all(layer.built for layer in model._flatten_layers()):
        with on_example_inputs(call):
            call.run(keras.tree.map_structure(keras.ops.convert_to_tensor, call.structure))
        call = given_call(model, example_inputs, entry)
    return KerasFramework(model, call)


_NO_ENTRIES = ("call", "build", "get_config", "from_config", "compute_output_shape", "train_step", "test_step")


def chosen_inputs(convex_inputs: Any, call: Call) -> dict[str, Part | None] | None:
    """Return what a user names as convex inputs, by the names of the inputs where they are given as positions.

    Raises:
        TypeError: if it is no name, position, or mapping from these to parts.
        ValueError: if there is no such input.
    """
    wanted = convex_inputs_of(convex_inputs) or {}
    names = input_names(wanted, call.names, further_names(call))
    return dict(zip(names, wanted.values(), strict=True)) or None


def further_names(call: Call) -> dict[str, str]:
    """Return what the inputs are called besides: by their positions, and in the signature."""
    positions = {str(position): name for position, name in enumerate(call.names) if str(position) not in call.names}
    return {**positions, **call.other_names}


def _activations(fed_by: Any) -> Any:
    """Activations of Keras as the core knows them."""
    if fed_by is None:
        return None
    from convex_init.keras.serialisation import core_activation

    if isinstance(fed_by, Mapping):
        return {pattern: core_activation(phi) for pattern, phi in fed_by.items()}
    return core_activation(fed_by)
