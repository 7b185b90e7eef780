"""The projection, as Keras does it: a constraint on the kernel, which reaches the optimizer's average, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="convex_init")
class NonNeg(keras.constraints.NonNeg):
    """Set negative weights to 0 after each optimiser step: the paper's ICNN.

    Keras' own ``NonNeg`` under a name that saved models find again once ``convex_init.keras`` is imported: −inf
    becomes 0, NaN stays NaN so that a diverged run is seen. ``get_config`` is empty.

    It differs in one thing. With ``use_ema=True`` Keras averages the weights *before* it applies the constraint, and
    puts these averages into the model in the end (``SwapEMAWeights`` earlier): they may be negative under Keras' own
    ``NonNeg``. This one sets negative averages of the same variable to 0 at each step, too.

    Example:
        >>> import keras
        >>> from convex_init.keras import NonNeg
        >>> layer = keras.layers.Dense(3, kernel_constraint=NonNeg())
    """

    def __call__(self, w: Any) -> Any:
        """Return ``w`` with 0 in the place of what is negative."""
        from convex_init.keras.owners.callers import calling  # needed when a model is trained, and not before

        optimizer = calling(keras.optimizers.Optimizer)
        if optimizer is not None:
            for variable, average in averages(optimizer):
                if variable is w:
                    average.assign(super().__call__(average))
        return super().__call__(w)


def averages(optimizer: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each variable that ``optimizer``, or one within it, averages, with its average."""
    inner = getattr(optimizer, "inner_optimizer", None)  # of a LossScaleOptimizer
    for one in [*([] if inner is None else [inner]), *getattr(optimizer, "optimizers", [])]:
        yield from averages(one)
    found = getattr(optimizer, "_model_variables_moving_average", None)
    if found is not None:
        for variable, average in zip(optimizer._trainable_variables, found, strict=True):
            if average is not None:
                yield variable, average
