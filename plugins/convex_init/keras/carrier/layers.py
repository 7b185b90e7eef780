"""What stands between the layers of a convex form: units and their carrier side by side, the carrier last."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

_SHIFTED = {"elu": ops.elu, "celu": ops.celu}


@keras.saving.register_keras_serializable(package="convex_init")
class CarrierActivation(layers.Layer):
    """``r + φ(s − r)`` on units s and their carrier r along the last axis; the carrier passes as it is.

    Args:
        form: ``"maximum"``, ``max(s, αs + (1−α) r)``; ``"log_add_exp"``, ``log(exp(βs) + exp(βr))/β``; or
            ``"shifted"``, as it stands, for φ = ``activation``.
        number: α of the maximum, β, or the α of ELU and CELU.
        activation: ``"elu"`` or ``"celu"`` where the form is ``"shifted"``.
        **kwargs: of a Keras layer.
    """

    def __init__(self, form: str, number: float, activation: str = "", **kwargs: Any) -> None:
        """Make the layer; see the class."""
        super().__init__(**kwargs)
        self.form, self.number, self.shifted = form, float(number), activation

    def call(self, z: Any) -> Any:
        """Return the features and the carrier."""
        s, r = z[..., :-1], z[..., -1:]
        if self.form == "shifted":
            h = r + _SHIFTED[self.shifted](s - r, self.number)
        elif self.form == "log_add_exp":
            h = ops.logaddexp(self.number * s, self.number * r) / self.number
        else:
            low = r if self.number == 0.0 else self.number * s + (1.0 - self.number) * r
            h = ops.maximum(s, low)
        return ops.concatenate([h, r], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for ``from_config``."""
        return {**super().get_config(), "form": self.form, "number": self.number, "activation": self.shifted}


@keras.saving.register_keras_serializable(package="convex_init")
class CarrierMaxPooling(layers.Layer):
    """The largest of each window beside a carrier that differs from place to place; channels last, no padding.

    Each element of a window is raised by what the carrier has at the others; the new carrier is their sum.

    Args:
        pool_size: of the windows, by axis.
        strides: likewise.
        **kwargs: of a Keras layer.
    """

    def __init__(self, pool_size: Sequence[int], strides: Sequence[int], **kwargs: Any) -> None:
        """Make the layer; see the class."""
        super().__init__(**kwargs)
        self.pool_size, self.strides = tuple(pool_size), tuple(strides)

    def call(self, z: Any) -> Any:
        """Return the pooled features and carriers."""
        counts = self._counts(z.shape[1:-1])
        parts = []
        for tap in itertools.product(*map(range, self.pool_size)):
            at = [
                slice(first, first + stride * (count - 1) + 1, stride)
                for first, stride, count in zip(tap, self.strides, counts, strict=True)
            ]
            parts.append(z[(slice(None), *at)])
        carrier = parts[0][..., -1:]
        for part in parts[1:]:
            carrier = carrier + part[..., -1:]
        largest = None
        for place, part in enumerate(parts):
            raised = part[..., :-1]
            for other in (*parts[:place], *parts[place + 1 :]):
                raised = raised + other[..., -1:]
            largest = raised if largest is None else ops.maximum(largest, raised)
        return ops.concatenate([largest, carrier], axis=-1)

    def _counts(self, sizes: Sequence[int]) -> list[int]:
        return [
            (size - pool) // stride + 1 for size, pool, stride in zip(sizes, self.pool_size, self.strides, strict=True)
        ]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return as many places as there are windows."""
        return (input_shape[0], *self._counts(input_shape[1:-1]), input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for ``from_config``."""
        return {**super().get_config(), "pool_size": self.pool_size, "strides": self.strides}


@keras.saving.register_keras_serializable(package="convex_init")
class WithoutCarrier(layers.Layer):
    """The units alone."""

    def call(self, z: Any) -> Any:
        """Return all but the last element."""
        return z[..., :-1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return one element less along the last axis."""
        return (*input_shape[:-1], input_shape[-1] - 1)
