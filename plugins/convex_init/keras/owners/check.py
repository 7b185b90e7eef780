"""Whether what a layer was given fits together: kernel, bias and constraint."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from convex_init.keras.draws.drawing import BIAS, KERNEL


def check_initializers(model: Any) -> Any:
    """Return ``model`` if each of its layers with an ``ICNNInit`` kernel has the bias and constraint that belong to it.

    A layer warns of the same when it is built. ``ICNNInit`` alone, with Keras' zero bias and without a constraint, is
    not the paper's initialisation: the mean of the signal grows from layer to layer, and training makes weights
    negative. Whether a layer sees the input, and should not be non-negative at all, is not looked at: ``plan`` does.

    Example:
        >>> import keras
        >>> from convex_init.keras import ICNNInit, check_initializers, icnn
        >>> ok = check_initializers(keras.Sequential([keras.layers.Dense(3, **icnn("relu"))]))
        >>> check_initializers(keras.Sequential([keras.layers.Dense(3, kernel_initializer=ICNNInit(), name="d")]))
        Traceback (most recent call last):
            ...
        ValueError: d has an ICNNInit kernel, but no NonNeg constraint keeps it non-negative in training...

    Args:
        model: a model or a layer, built or not.

    Raises:
        ValueError: if a bias or a constraint is missing; the message names every layer and the remedy.
        TypeError: if it is no Keras model or layer.
    """
    if not isinstance(model, keras.Layer):
        raise TypeError(f"model must be a Keras model or layer, got {type(model).__name__}")
    found = [flaw for layer in model._flatten_layers() if (flaw := layer_flaw(layer))]
    if found:
        raise ValueError("\n".join(found))
    return model


def layer_flaw(layer: Any) -> str:
    """Return what a layer with an ``ICNNInit`` kernel lacks, with the remedy, or an empty string."""
    ends = "_initializer"
    found = {key.removesuffix(ends): each for key, each in vars(layer).items() if key.endswith(ends)}
    ours = [name for name, each in found.items() if getattr(each, "role", None) == KERNEL]
    if not ours:
        return ""
    name = next((name for name in ("kernel", "depthwise") if name in ours), ours[0])
    kernel: Any = found[name]
    lacks = []
    if not kernel.positivity.reparametrises and not isinstance(
        getattr(layer, f"{name}_constraint", None), keras.constraints.NonNeg
    ):
        lacks.append(f"no NonNeg constraint keeps it non-negative in training ({name}_constraint=NonNeg())")
    if not _has_bias(layer):
        if kernel.settings.skip_share == 0.0:  # else the skip may hold the bias
            lacks.append("it has no bias to take the shift of the non-negative weights away (use_bias=True)")
    elif getattr(layer.bias_initializer, "role", None) != BIAS and not _is_set(layer):
        kind = type(layer.bias_initializer).__name__
        lacks.append(f"its bias_initializer is {kind}, which does not centre (ICNNBias with the same settings)")
    if not lacks:
        return ""
    return f"{layer.name} has an ICNNInit kernel, but {', and '.join(lacks)}; **icnn(fed_by) sets all three"


def _has_bias(layer: Any) -> bool:
    return bool(getattr(layer, "use_bias", getattr(layer, "bias_axes", None)))


def _is_set(layer: Any) -> bool:
    """Whether something, such as ``apply_``, has written a bias since."""
    bias = getattr(layer, "bias", None)
    return layer.built and bias is not None and bool(np.any(keras.ops.convert_to_numpy(bias)))
