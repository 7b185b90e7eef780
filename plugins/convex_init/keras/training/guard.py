"""Notice when a weight that must be non-negative is not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from convex_init.keras.constraints import interval_of
from convex_init.keras.layers import Convex
from convex_init.keras.training.projection import constrained_variables
from convex_init_core.constraints.kept import NON_NEGATIVE, shown_interval


class ConvexityGuard(keras.callbacks.Callback):
    """Raise or warn when an effective weight that must be non-negative is negative, NaN or infinite.

    Checked are the weights with a ``NonNeg`` constraint and those behind a positivity map of ours, after every epoch
    and at the end of training, when Keras has put averages into the model.

    Example:
        >>> import keras
        >>> from convex_init.keras import ConvexityGuard, icnn
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, **icnn("relu"))])
        >>> model.compile(keras.optimizers.SGD(0.1), "mse")
        >>> x = keras.ops.ones((4, 2))
        >>> fitted = model.fit(x, -x[:, :1], verbose=0, callbacks=[ConvexityGuard()])

    Args:
        action: ``"raise"`` for a ``RuntimeError``, which ends the run, or ``"warn"`` for a ``RuntimeWarning``.
        every_batch: check after every batch, too, which waits for the device each time.

    Raises:
        ValueError: if ``action`` is neither, or, when training begins, if the model has no such weight.
    """

    def __init__(self, action: str = "raise", *, every_batch: bool = False) -> None:
        """Remember what to do; see the class."""
        super().__init__()
        if action not in ("raise", "warn"):
            raise ValueError(f"action must be 'raise' or 'warn', got {action!r}")
        self.action, self.every_batch = action, every_batch

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuse a model in which there is nothing to check."""
        if not list(_mapped(self.model)):
            constrained_variables(self.model)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Check if every batch is to be."""
        if self.every_batch:
            self._check(f"batch {batch}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Check."""
        self._check(f"epoch {epoch}")

    def on_train_end(self, logs: Any = None) -> None:
        """Check what Keras has put into the model last."""
        self._check("the end of training")

    def _check(self, when: str) -> None:
        found = []
        for path, tensor, least, most in _weights(self.model):
            values = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
            low, high = (values.min(), values.max()) if values.size else (least, least)
            if not (low >= least and high <= most and np.isfinite(high)):  # true for NaN
                asked = "" if (least, most) == NON_NEGATIVE else f", must be in {shown_interval(least, most)}"
                found.append(f"{path} (between {low:g} and {high:g}{asked})")
        if not found:
            return
        message = (
            f"{when}: weights that must stay in an interval do not, or are not finite: {', '.join(found)}; something "
            "wrote them after the constraint (an average of Keras' own NonNeg under use_ema: add NonNegProjection() of "
            "convex_init.keras, or take its NonNeg), or training diverged (NaN)"
        )
        if self.action == "raise":
            raise RuntimeError(message)
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _weights(model: Any) -> Iterator[tuple[str, Any, float, float]]:
    for variable in model.variables:
        if isinstance(variable.constraint, keras.constraints.NonNeg):
            yield variable.path, variable, *interval_of(variable.constraint)
    for path, kernel in _mapped(model):
        yield path, kernel, *NON_NEGATIVE


def _mapped(model: Any) -> Iterator[tuple[str, Any]]:
    for layer in model._flatten_layers():
        if isinstance(layer, Convex) and layer.built and layer.positivity.reparametrises:
            yield f"{layer.path}/effective_kernel", layer.effective_kernel
