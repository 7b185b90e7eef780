"""An ordinary Keras classifier, read as the stages that the core knows."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from convex_init.keras.model.calls import said
from convex_init.keras.serialisation import core_activation
from convex_init_core.carrier.stages import SIGMOID, Alike, Bend, Flat, Product, Stage, Windows, scaled

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_MAX_POOLS = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
_MEANS = (
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
)
_BENDS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
_NOTHING = (layers.InputLayer, layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.Identity)
_SOFTMAX = (keras.activations.softmax, keras.activations.log_softmax)
_LAST = "channels_last"
_REMEDY = (
    "write the classifier as a chain of Dense, convolutions with channels last, BatchNormalization, ReLU and its like, "
    "pooling, Flatten and Dropout, up to its logits"
)


def stages_of(model: keras.Model, x: Any) -> tuple[list[Stage], Any]:
    """Return the stages of a classifier up to its logits, and the logits.

    Args:
        model: a Sequential or functional model.
        x: example inputs.

    Raises:
        ValueError: if it fails on the inputs, or is no chain of known layers; the message names the layer.
    """
    shown = _run(model, x)
    found: list[Stage] = []
    z, softmax = x, None
    for layer in _chain(model):
        if softmax is not None:
            raise ValueError(f"{layer.name}: there is a layer behind the softmax; {_REMEDY}")
        if _does_as(layer, _NOTHING):
            continue
        if _does_as(layer, (layers.BatchNormalization,)):
            _fold(found, layer, len(z.shape))
            z = layer(z, training=False)
            continue
        activation = getattr(layer, "activation", None)
        if _does_as(layer, (layers.Dense, *CONVOLUTIONS)):
            found.append(_product(layer, z))
            z = _linear(layer, z)
        elif _does_as(layer, (layers.Softmax,)) or activation in _SOFTMAX:
            softmax = activation if activation in _SOFTMAX else _softmax_of(layer, z)
            continue
        elif _does_as(layer, _BENDS):
            found.append(_bend(layer.name, activation if type(layer) is layers.Activation else layer, layer))
            z = layer(z)
            continue
        else:
            found += _moved(layer, z, found)
            z = layer(z)
            continue
        if activation in _SOFTMAX:
            softmax = activation
        elif activation is not None and activation is not keras.activations.linear:
            found.append(_bend(layer.name, activation, layers.Activation(activation)))
            z = activation(z)
    ended = z if softmax is None else softmax(z)
    if not np.allclose(_array(ended), _array(shown), rtol=1e-4, atol=1e-5, equal_nan=True):
        raise ValueError(f"the classifier does not do what its layers do one after another; {_REMEDY}")
    return found, z


def _run(model: Any, x: Any) -> Any:
    try:
        return model(x, training=False)
    except Exception as error:  # whatever a backend raises
        raise ValueError(
            f"example_inputs: the model fails on them ({tuple(x.shape)}) with {type(error).__name__}: {said(error)}; "
            "pass a batch of what model(...) takes"
        ) from error


def _chain(model: Any) -> list[Any]:
    if not isinstance(model, keras.Sequential):
        if not getattr(model, "_functional", None) and not hasattr(model, "operations"):
            raise ValueError(f"{model.name}: {type(model).__name__} is neither Sequential nor functional; {_REMEDY}")
        for layer in model.layers:
            if isinstance(layer, layers.Add | layers.Concatenate):
                raise ValueError(f"{layer.name}: {type(layer).__name__} joins two branches; {_REMEDY}")
    parts: list[Any] = []
    for layer in model.layers:
        parts += _chain(layer) if isinstance(layer, keras.Model) else [layer]
    return parts


def _does_as(layer: Any, kinds: tuple[type[Any], ...]) -> bool:
    """Whether a layer is of one of these classes, and computes what that does; those of ours do."""
    return any(
        isinstance(layer, kind)
        and all(
            (own := getattr(type(layer), name, None)) is getattr(kind, name, None)
            or str(getattr(own, "__module__", "")).startswith("convex_init.")
            for name in ("call", "convolution_op")
        )
        for kind in kinds
    )


def _softmax_of(layer: Any, z: Any) -> Any:
    if layer.axis not in (-1, len(z.shape) - 1):
        raise ValueError(f"{layer.name}: it is not over the classes, but over axis {layer.axis}; end with Softmax()")
    return keras.activations.softmax


def _product(layer: Any, z: Any) -> Product:
    kernel = _array(getattr(layer, "effective_kernel", layer.kernel)).astype(np.float64)
    groups = 1
    if isinstance(layer, layers.Dense):
        if len(z.shape) != 2:
            raise ValueError(f"{layer.name}: Dense on an array with positions; put Flatten in front of it")
    else:
        if layer.data_format != _LAST:
            raise ValueError(f"{layer.name}: data_format must be 'channels_last'; {_REMEDY}")
        groups = layer.groups
    weight = np.moveaxis(np.moveaxis(kernel, -1, 0), -1, 1)
    bias = None if layer.bias is None else _array(layer.bias).astype(np.float64)
    return Product(weight, bias, layer.name, groups, layer)


def _linear(layer: Any, z: Any) -> Any:
    """The layer without its activation."""
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        return layer(z)
    finally:
        layer.activation = activation


def _bend(name: str, spec: Any, layer: Any) -> Bend:
    if spec is keras.activations.sigmoid:
        raise ValueError(f"{name}: {SIGMOID}")
    try:
        return Bend(core_activation(spec), name, layer)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _moved(layer: Any, z: Any, found: list[Stage]) -> list[Stage]:
    bent = any(isinstance(stage, (Bend, Windows)) for stage in found)
    if bent and len(z.shape) > 2 and getattr(layer, "data_format", _LAST) != _LAST:
        raise ValueError(f"{layer.name}: data_format must be 'channels_last'; {_REMEDY}")
    if _does_as(layer, _MAX_POOLS):
        if layer.padding != "valid" or layer.data_format != _LAST:
            raise ValueError(f"{layer.name}: max pooling has a convex form with padding='valid' and channels last only")
        return [Windows(layer.name, layer)]
    if _does_as(layer, _MEANS):
        return [Alike(layer.name, layer)]
    if _does_as(layer, (layers.Flatten,)):
        return [Flat(int(np.prod(z.shape[1:-1])), layer.name, layer, channels_last=True)] if len(z.shape) > 2 else []
    if not bent and _does_as(layer, (layers.Reshape, layers.Rescaling)):
        return [Alike(layer.name, layer)]
    raise ValueError(f"{layer.name}: {type(layer).__name__} is no layer that as_convex knows; {_REMEDY}")


def _fold(found: list[Stage], layer: Any, ndim: int) -> None:
    """Put a normalisation with fixed statistics into the product in front of it."""
    if layer.axis not in (-1, ndim - 1):
        raise ValueError(f"{layer.name}: axis must be last, that of the channels, got {layer.axis}")
    if not found or not isinstance(found[-1], Product):
        raise ValueError(f"{layer.name}: BatchNormalization is known directly behind a Dense or a convolution only")
    scale = 1.0 / np.sqrt(_array(layer.moving_variance).astype(np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * _array(layer.gamma)
    shift = -scale * _array(layer.moving_mean)
    found[-1] = scaled(found[-1], scale, shift + (_array(layer.beta) if layer.center else 0.0))


def _array(tensor: Any) -> Any:
    return keras.ops.convert_to_numpy(tensor)
