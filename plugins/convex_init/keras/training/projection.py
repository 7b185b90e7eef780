"""The projection outside of Keras' optimizers: once, or as a callback."""

from __future__ import annotations

from typing import Any

import keras

from convex_init.keras.constraints import averages


def constrained_variables(model: Any) -> list[Any]:
    """Return the variables of a model or layer that have a ``NonNeg`` constraint, ours or Keras' own.

    Raises:
        TypeError: if ``model`` is no Keras layer.
        ValueError: if it has not been built, or has no such variable.
    """
    if not isinstance(model, keras.Layer):
        raise TypeError(f"model must be a Keras model or layer, got {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"{model.name} has not been built, so it has no weights yet: call it once, or build(input_shape)"
        )
    found = [variable for variable in model.variables if isinstance(variable.constraint, keras.constraints.NonNeg)]
    if not found:
        raise ValueError(
            f"{model.name} has no weight with a NonNeg constraint: make its layers with **icnn(fed_by), or call "
            "apply_(model) (weights behind a positivity map such as exp need no projection)"
        )
    return found


def project_(model: Any) -> Any:
    """Set negative values of all weights with a ``NonNeg`` constraint to 0, and return ``model``.

    If the model is compiled with ``use_ema=True``, the averages of these weights, too. Keras' optimizers apply
    constraints themselves: this is for weights that something else has written, and for loops of one's own.

    Example:
        >>> import keras
        >>> from convex_init.keras import icnn, project_
        >>> layer = keras.layers.Dense(3, **icnn("relu"))
        >>> layer.build((None, 5))
        >>> lowered = layer.kernel.assign_sub(keras.ops.ones((5, 3)))
        >>> bool(keras.ops.all(project_(layer).kernel >= 0))
        True

    Args:
        model: a model or layer that has been built.

    Raises:
        ValueError: if it has not been built, or no weight has such a constraint.
        TypeError: if it is no Keras model.
    """
    chosen = constrained_variables(model)
    for variable in chosen:
        variable.assign(variable.constraint(variable))
    for variable, average in averages(getattr(model, "optimizer", None)):
        if any(variable is one for one in chosen):
            average.assign(variable.constraint(average))
    return model


class NonNegProjection(keras.callbacks.Callback):
    """Project weights and averages after every batch, as :func:`project_` does.

    Layers with this package's ``NonNeg`` need it not. It is for models with Keras' own ``NonNeg`` under
    ``use_ema=True``, and for weights that another callback writes; its place in the list is behind that one, and before
    those that save.

    Example:
        >>> import keras
        >>> from convex_init.keras import NonNegProjection
        >>> layer = keras.layers.Dense(1, kernel_constraint=keras.constraints.NonNeg())
        >>> model = keras.Sequential([keras.Input((2,)), layer])
        >>> model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
        >>> x = keras.ops.ones((4, 2))
        >>> fitted = model.fit(x, -x[:, :1], verbose=0, callbacks=[NonNegProjection()])

    Raises:
        ValueError: when training begins, if no weight has such a constraint.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Project once."""
        project_(self.model)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Project weights and averages."""
        project_(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Project again what another callback may have written."""
        project_(self.model)

    def on_train_end(self, logs: Any = None) -> None:
        """Project what Keras has put into the model last."""
        project_(self.model)
