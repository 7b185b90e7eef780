"""What an ``ICNNBias`` without a fan-in needs to know: the kernel that the same layer has drawn just before it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from convex_init.keras.owners.callers import calling, layer_of

if TYPE_CHECKING:
    from convex_init_core.weights.weight_axes import Geometry


@dataclass(frozen=True)
class Kernel:
    """A kernel that was drawn.

    Attributes:
        shape: of the kernel.
        fan_in: N.
        settings: all that kernel and bias must have in common.
        geometry: which axes are summed, for the methods that need it.
        owner: of the variable.
    """

    shape: tuple[int, ...]
    fan_in: float
    settings: tuple[Any, ...]
    geometry: Geometry | None
    owner: _Owner


@dataclass(frozen=True)
class _Owner:
    """Whose variable is initialised: the layer, and the path, as far as either is known.

    A layer may have the name of another; a path is there even if Keras draws all values of a model at its end.
    """

    layer: weakref.ref[Any] | None
    path: str | None

    @classmethod
    def now(cls) -> _Owner:
        variable = calling(keras.Variable)
        if variable is None:
            return cls(None, None)
        layer = layer_of(variable)
        return cls(None if layer is None else weakref.ref(layer), variable.path.rpartition("/")[0])


class _Last(threading.local):
    kernel: Kernel | None = None


_last = _Last()


def remember_kernel(shape: Sequence[int], fan_in: float, settings: tuple[Any, ...], geometry: Geometry | None) -> None:
    """Keep what has just been drawn, for the bias of the layer that is being built in this thread."""
    _last.kernel = Kernel(tuple(shape), fan_in, settings, geometry, _Owner.now())


def kernel_of(units: int, settings: tuple[Any, ...]) -> Kernel:
    """Return the kernel that the layer whose bias is being drawn has drawn just before.

    Args:
        units: that the bias has: of the last axis of the kernel, of the one before (transposed), or both (depthwise).
        settings: of the bias.

    Raises:
        ValueError: if no kernel was drawn before, or it was that of another layer, or of other settings.
    """
    found, owner = _last.kernel, _Owner.now()
    if owner.path is None:  # a bare call: nothing says that a second bias would be of the same layer
        _last.kernel = None
    if found is None:
        reason = "no ICNNInit kernel has just been drawn"
    elif found.owner != owner:
        reason = (
            f"the last ICNNInit kernel is that of {found.owner.path or 'no layer'}, and not of "
            f"{owner.path or 'this call'}, whose kernel has another initializer"
        )
    elif found.settings != settings or all(units % size for size in found.shape[-2:]):
        reason = f"the last ICNNInit kernel, of shape {found.shape}, has not the same settings, or not {units} units"
    else:
        return found
    raise ValueError(
        f"ICNNBias without fan_in takes it from the kernel of the same layer, but {reason}: set both by "
        "**icnn(fed_by), or pass fan_in"
    )
