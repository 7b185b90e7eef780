"""Who calls: Keras tells an initializer a shape, and a constraint a value, but not for which layer or optimizer."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

import keras

_Kind = TypeVar("_Kind")
_DEPTH = 40  # calls from an initializer to the layer that makes its variables: a dozen, and some of a backend


def calling(kind: type[_Kind]) -> _Kind | None:
    """Return the nearest object of ``kind`` one of whose methods is running, or ``None`` if there is none near."""
    frame = inspect.currentframe()
    for _ in range(_DEPTH):
        if frame is None:
            break
        owner = frame.f_locals.get("self")
        if isinstance(owner, kind):
            return owner
        frame = frame.f_back
    return None


def layer_of(variable: Any) -> Any:
    """Return the layer that has or gets ``variable``, which is being initialised, or ``None`` if none is near.

    Keras makes a variable in ``add_weight`` of its layer. Within a model that is built while it is traced it does so
    with a placeholder, and draws all values later, in the name of the whole model.
    """
    near = None if variable is None else calling(keras.layers.Layer)
    if near is None:
        return None
    for layer in near._flatten_layers():
        if any(variable is own for own in layer._trainable_variables + layer._non_trainable_variables):
            return layer
    return near


def added_with(variable: Any, layer: Any) -> tuple[bool, Any]:
    """Return whether it is known which constraint ``variable``, which is being initialised, has or gets, and that one.

    ``add_weight`` sets it when the values are drawn already. Of a variable that a layer makes without ``add_weight``
    it is not known: the layer may set it afterwards.
    """
    if any(variable is own for own in layer._trainable_variables + layer._non_trainable_variables):
        return True, getattr(variable, "constraint", None)  # drawn after the layer has been made
    frame = inspect.currentframe()
    for _ in range(_DEPTH):
        if frame is None:
            break
        if frame.f_code.co_name == "add_weight" and isinstance(frame.f_locals.get("self"), keras.layers.Layer):
            return True, frame.f_locals.get("constraint")
        frame = frame.f_back
    return False, None
