"""Keras layers whose effective weights are non-negative by a map of the raw kernel, or by projection."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from convex_init.keras.constraints import NonNeg
from convex_init.keras.initializers import ICNNInit
from convex_init.keras.serialisation import ActivationSpec, positivity_config, positivity_from
from convex_init_core.weights.positivity import Positivity

_DEFAULT = "relu"


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, np.integer) else value


class Convex(layers.Layer):
    """What the layers below share; the next base of each is a Keras layer with a kernel.

    Their arguments are those of the Keras layer, with these differences:

    Args:
        positivity: ``"projection"`` (a ``NonNeg`` constraint; the default), ``"relu"``, ``"exp"``, ``"softplus"``,
            ``"square"``, ``"abs"``, or a ``convex_init_core.Positivity``.
        fed_by: the activation that feeds the layer, as for :class:`ICNNInit`. The layer applies ``activation``.
        kernel_initializer: an :class:`ICNNInit`; by default ``ICNNInit(fed_by=fed_by)``. It writes the raw kernel, the
            inverse image of weights with the right law.
        bias_initializer: by default an :class:`ICNNBias` with the same settings.

    Raises:
        TypeError: if ``kernel_initializer`` is something else: it would not know the map.
        ValueError: if both ``fed_by`` and ``kernel_initializer`` are given.
    """

    layout = "conv"

    def __init__(
        self,
        *args: Any,
        positivity: str | dict[str, Any] | Positivity = "projection",
        fed_by: ActivationSpec = _DEFAULT,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        """Bind the initializer to the map and to the layer; see the class."""
        self.positivity = positivity_from(positivity)
        if kernel_initializer is None:
            initializer = ICNNInit(fed_by=fed_by)
        elif fed_by == _DEFAULT:
            initializer = keras.initializers.get(kernel_initializer)
        else:
            raise ValueError("fed_by belongs into the kernel_initializer where that is given: ICNNInit(fed_by=...)")
        if not isinstance(initializer, ICNNInit):
            raise TypeError(
                f"kernel_initializer of {type(self).__name__} must be an ICNNInit, got {kernel_initializer!r}: the raw "
                f"kernel has to be the inverse image under {self.positivity} of a non-negative weight"
            )
        bound = initializer.bound(self.positivity, self.layout)
        if bias_initializer is None:
            bias_initializer = bound.bias()
        if not self.positivity.reparametrises and kernel_constraint is None:
            kernel_constraint = NonNeg()
        args = tuple(_plain(arg) for arg in args)  # Keras takes no NumPy integers
        kwargs = {name: _plain(value) for name, value in kwargs.items()}
        super().__init__(
            *args,
            kernel_initializer=bound,
            bias_initializer=bias_initializer,
            kernel_constraint=kernel_constraint,
            **kwargs,
        )

    def weights_of(self, kernel: Any) -> Any:
        """Return the non-negative weights of a raw kernel."""
        return self.positivity.value(ops.convert_to_tensor(kernel), ops)

    @property
    def effective_kernel(self) -> Any:
        """The non-negative weights, a tensor of the kernel's shape."""
        if not self.built:
            raise ValueError(
                f"{self.name} has not been built, so it has no kernel yet: call it once, or build(input_shape)"
            )
        return self.weights_of(self.kernel)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for ``from_config``."""
        config: dict[str, Any] = super().get_config()
        return {**config, "positivity": positivity_config(self.positivity)}


@keras.saving.register_keras_serializable(package="convex_init")
class ConvexDense(Convex, layers.Dense):
    """``keras.layers.Dense`` with non-negative effective weights; the arguments that differ are below.

    Args:
        *args: as for ``keras.layers.Dense``: ``units``, ``activation``, ...
        positivity: ``"projection"`` (a ``NonNeg`` constraint; the default), ``"relu"``, ``"exp"``, ``"softplus"``,
            ``"square"``, ``"abs"``, or a ``convex_init_core.Positivity``.
        fed_by: the activation that feeds the layer, ``"relu"`` by default, as for :class:`ICNNInit`. The one that the
            layer itself applies is Keras' ``activation``.
        kernel_initializer: an :class:`ICNNInit`; ``ICNNInit(fed_by=fed_by)`` by default. It writes the raw kernel: the
            inverse image of weights with the right law.
        bias_initializer: an :class:`ICNNBias` with the same settings by default.
        kernel_constraint: ``NonNeg`` by default where the positivity is the projection.
        **kwargs: as for ``keras.layers.Dense``.

    Raises:
        TypeError: if ``kernel_initializer`` is not an :class:`ICNNInit`: it would not know the map.
        ValueError: if both ``fed_by`` and ``kernel_initializer`` are given.

    Example:
        >>> import keras
        >>> from convex_init.keras import ConvexDense, ICNNInit
        >>> layer = ConvexDense(64, activation="relu", positivity="exp", kernel_initializer=ICNNInit(seed=0))
        >>> layer.build((None, 784))
        >>> bool(keras.ops.all(layer.effective_kernel > 0))
        True
    """

    layout = "dense"

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return ``activation(inputs @ effective_kernel + bias)``."""
        outputs = ops.matmul(inputs, self.effective_kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


class _ConvexConv(Convex):
    """Convolutions go through ``convolution_op``, which Keras offers for such changes."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve with the effective kernel."""
        padding = self.padding
        if padding == "causal":
            padding, past = "valid", [(self.kernel_size[0] - 1) * self.dilation_rate[0], 0]
            inputs = ops.pad(inputs, [[0, 0], past, [0, 0]] if self._channels_last else [[0, 0], [0, 0], past])
        return ops.conv(
            inputs,
            self.weights_of(kernel),
            strides=list(self.strides),
            padding=padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    @property
    def _channels_last(self) -> bool:
        return bool(self.data_format == "channels_last")


@keras.saving.register_keras_serializable(package="convex_init")
class ConvexConv1D(_ConvexConv, layers.Conv1D):
    """``keras.layers.Conv1D`` with non-negative effective weights; see :class:`ConvexDense`."""

    def call(self, inputs: Any) -> Any:
        """Return the activated convolution with the effective kernel."""
        return super(layers.Conv1D, self).call(inputs)  # Conv1D itself bypasses convolution_op


@keras.saving.register_keras_serializable(package="convex_init")
class ConvexConv2D(_ConvexConv, layers.Conv2D):
    """``keras.layers.Conv2D`` with non-negative effective weights; see :class:`ConvexDense`."""


@keras.saving.register_keras_serializable(package="convex_init")
class ConvexConv3D(_ConvexConv, layers.Conv3D):
    """``keras.layers.Conv3D`` with non-negative effective weights; see :class:`ConvexDense`."""
