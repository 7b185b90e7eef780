"""Activations and positivity maps as users write them, and as the configuration of a Keras object holds them."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from convex_init_core.theory.activation import Activation, custom
from convex_init_core.theory.activations import as_activation
from convex_init_core.weights.positivity import POSITIVITIES, Positivity, as_positivity

ActivationSpec = Any
"""A name, a function of ``keras.activations``, an activation layer, a core ``Activation``, its config, or ``None``."""


def core_activation(spec: ActivationSpec, argument: str = "fed_by") -> Activation:
    """Return the core's activation for whatever Keras accepts as one; `argument` is what the user calls it.

    Names have Keras' defaults: ``"leaky_relu"`` has slope 0.2 (``keras.activations``), ``layers.LeakyReLU()`` 0.3.

    Raises:
        ValueError: if it is not convex and non-decreasing (with the reason), or unknown.
        TypeError: if it is no activation at all.
    """
    if isinstance(spec, Activation):
        return as_activation(spec)
    if spec is None:
        return as_activation("identity")
    if isinstance(spec, dict):
        return _named(spec["name"], spec.get("parameters", {}))
    if isinstance(spec, str):
        return _named(spec, {})
    if isinstance(spec, layers.Layer):
        return _from_layer(spec)
    name = getattr(spec, "__name__", "")
    if name and getattr(keras.activations, name, None) is spec:
        return _named(name, {})
    if callable(spec):
        raise ValueError(
            f"activation {name or spec!r} is none of keras.activations, and its moments cannot be integrated in the "
            "backend's precision; pass convex_init_core.custom(f) with f on NumPy arrays"
        )
    raise TypeError(f"{argument} must be a name, a keras activation or a core Activation, got {spec!r}")


def activation_config(activation: Activation) -> dict[str, Any]:
    """Return what :func:`core_activation` turns back into ``activation``.

    Raises:
        ValueError: for a custom function, which has no name under which it could be found again.
    """
    parameters = dict(activation.parameters)
    if activation.name == "exponential":
        return {"name": "exponential", "parameters": {}}
    if "function" in parameters:
        raise ValueError(
            f"activation {activation} is a custom function and cannot be saved; use convex_init.keras.apply_ on the "
            "built model, which leaves no initializer behind, or a named activation"
        )
    return {"name": activation.name, "parameters": parameters}


def _named(name: str, parameters: dict[str, float]) -> Activation:
    if name in ("softmax", "log_softmax", "sparsemax"):
        raise ValueError(f"activation {name!r} is not element-wise, so it can feed no layer of the network")
    if name == "exponential":
        return custom(np.exp, derivative=np.exp, name="exponential")
    if name == "leaky_relu" and not parameters:
        default = inspect.signature(keras.activations.leaky_relu).parameters["negative_slope"].default
        return as_activation(name, negative_slope=default)
    return as_activation(name, **parameters)


def _from_layer(layer: Any) -> Activation:
    if isinstance(layer, layers.Activation):
        return core_activation(layer.activation)
    if isinstance(layer, layers.ReLU):
        if layer.max_value is not None:
            raise ValueError(f"ReLU with max_value {layer.max_value:g} is not convex: its slope drops to 0 there")
        if layer.threshold:
            raise ValueError(f"ReLU with threshold {layer.threshold:g} jumps there; use threshold=0")
        slope = float(layer.negative_slope)
        return as_activation("leaky_relu", negative_slope=slope) if slope else as_activation("relu")
    if isinstance(layer, layers.LeakyReLU):
        return as_activation("leaky_relu", negative_slope=float(layer.negative_slope))
    if isinstance(layer, layers.ELU):
        return as_activation("elu", alpha=float(layer.alpha))
    if isinstance(layer, layers.PReLU):
        slopes = np.unique(ops.convert_to_numpy(layer.alpha)) if layer.built else np.zeros(0)
        if slopes.size != 1:
            raise ValueError("PReLU has no single slope (unbuilt, or units differ); use LeakyReLU or equal slopes")
        return as_activation("prelu", negative_slope=float(slopes[0]))
    raise ValueError(
        f"{type(layer).__name__} is not an activation that the theory knows; use Activation, ReLU, LeakyReLU, PReLU "
        "or ELU"
    )


def positivity_from(spec: str | dict[str, Any] | Positivity) -> Positivity:
    """Return the map of a name, a config or a ``Positivity``."""
    if isinstance(spec, dict):
        parameters = dict(spec)
        return POSITIVITIES[parameters.pop("name")](**parameters)
    return as_positivity(spec)


def positivity_config(positivity: Positivity) -> str | dict[str, Any]:
    """Return what :func:`positivity_from` turns back into ``positivity``: its name if that says everything."""
    if positivity == POSITIVITIES[positivity.name]():
        return positivity.name
    return {"name": positivity.name, **asdict(positivity)}
