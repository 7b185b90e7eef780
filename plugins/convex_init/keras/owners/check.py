"""Whether what a layer was given fits together: kernel, bias and constraint."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from convex_init.keras.draws.drawing import BIAS, KERNEL
from convex_init.keras.owners.callers import added_with, calling, layer_of

_DRAWN_BY = "_convex_init_drawn_by"


def check_initializers(model: Any) -> Any:
    """Return ``model`` if each of its layers with an ``ICNNInit`` kernel has the bias and constraint that belong to it.

    A layer warns of the same when it is built. So does a layer of your own that gives an ``ICNNInit`` to ``add_weight``
    without a ``NonNeg``; that it has no bias to centre is said here alone, once the layer is built, since a weight does
    not know which others will follow. ``ICNNInit`` alone, with Keras' zero bias and without a constraint, is
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
    found = [
        flaw for layer in model._flatten_layers() for flaw in (layer_flaw(layer), _flaw_of_own_weights(layer)) if flaw
    ]
    if found:
        raise ValueError("\n".join(found))
    return model


def note_drawn(initializer: Any) -> str:
    """Note which weight is drawn, and return what its layer lacks as far as it shows now, with the remedy."""
    variable = calling(keras.Variable)
    if variable is None:
        return ""
    setattr(variable, _DRAWN_BY, initializer)
    layer = layer_of(variable)
    if layer is None or initializer.role != KERNEL:
        return ""
    if flaw := layer_flaw(layer):
        return flaw
    known, constraint = added_with(variable, layer)
    if not known or _is_a_part(variable, layer) or _keeps(initializer, constraint):
        return ""
    return _unkept(layer, variable)


def layer_flaw(layer: Any) -> str:
    """Return what a layer lacks that has an ``ICNNInit`` kernel as Keras' layers do, or an empty string."""
    ours = _by_attributes(layer)
    if not ours:
        return ""
    name = next((name for name in ("kernel", "depthwise") if name in ours), next(iter(ours)))
    kernel: Any = ours[name]
    lacks = []
    if not _keeps(kernel, getattr(layer, f"{name}_constraint", None)):
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


def _by_attributes(layer: Any) -> dict[str, Any]:
    """The ``ICNNInit`` of a layer that has settings as Keras' layers do, such as ``kernel_constraint``."""
    ends = "_initializer"
    found = {key.removesuffix(ends): each for key, each in vars(layer).items() if key.endswith(ends)}
    of_keras = "bias" in found or any(f"{name}_constraint" in vars(layer) for name in found)
    return {name: each for name, each in found.items() if of_keras and getattr(each, "role", None) == KERNEL}


def _is_a_part(variable: Any, layer: Any) -> bool:
    """Whether the settings of the layer speak of this weight."""
    return any(variable.name.startswith(name) for name in _by_attributes(layer))


def _keeps(kernel: Any, constraint: Any) -> bool:
    return bool(kernel.positivity.reparametrises) or isinstance(
        keras.constraints.get(constraint), keras.constraints.NonNeg
    )


def _unkept(layer: Any, variable: Any) -> str:
    return (
        f"{layer.name} has the ICNNInit kernel {variable.name!r}, but no NonNeg constraint keeps it non-negative in "
        "training (add_weight(..., constraint=NonNeg()))"
    )


def _flaw_of_own_weights(layer: Any) -> str:
    """What a built layer lacks whose code gives an ``ICNNInit`` to a weight by itself."""
    inner = {id(each) for part in layer._layers for each in part.variables}  # a wrapper may hold the kernel, too
    held = [*layer._trainable_variables, *layer._non_trainable_variables]
    weights = [each for each in held if id(each) not in inner]
    by: dict[int, Any] = {id(each): getattr(each, _DRAWN_BY, None) for each in weights}
    kernels = [each for each in weights if getattr(by[id(each)], "role", None) == KERNEL]
    kernels = [each for each in kernels if not _is_a_part(each, layer)]
    for kernel in kernels:
        if not _keeps(by[id(kernel)], getattr(kernel, "constraint", None)):
            return _unkept(layer, kernel)
    others = [each for each in weights if each.trainable and getattr(by[id(each)], "role", None) != KERNEL]
    to_centre = [each for each in kernels if by[id(each)].settings.skip_share == 0.0]  # else the skip may hold the bias
    if to_centre and not any(getattr(by[id(each)], "role", None) == BIAS or _shifts(each) for each in others):
        return (
            f"{layer.name} has the ICNNInit kernel {to_centre[0].name!r}, but no bias takes the shift of the "
            "non-negative weights away (add_weight(..., initializer=ICNNBias()) right after it, with the same settings)"
        )
    return ""


def _shifts(variable: Any) -> bool:
    """Whether something, such as ``apply_``, has written a shift into a vector: it is below 0."""
    is_vector = sum(size > 1 for size in variable.shape) <= 1
    return is_vector and bool(np.any(keras.ops.convert_to_numpy(variable) < 0.0))


def _has_bias(layer: Any) -> bool:
    return bool(getattr(layer, "use_bias", getattr(layer, "bias_axes", None)))


def _is_set(layer: Any) -> bool:
    """Whether something, such as ``apply_``, has written a bias since."""
    bias = getattr(layer, "bias", None)
    return layer.built and bias is not None and bool(np.any(keras.ops.convert_to_numpy(bias)))
