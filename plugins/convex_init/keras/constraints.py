"""The projection, as Keras does it: a constraint on the kernel, which reaches the optimizer's average, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from convex_init_core.constraints.kept import NON_NEGATIVE, Interval


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
                    average.assign(self.clamped(average))
        return self.clamped(w)

    def clamped(self, w: Any) -> Any:
        """Return ``w`` with 0 in the place of what is negative, wherever it comes from."""
        return super().__call__(w)


@keras.saving.register_keras_serializable(package="convex_init")
class Between(NonNeg):
    """Keep numbers between two ends after each optimiser step: slopes of a ``PReLU`` between 0 and 1.

    Averages are clamped, too, as by :class:`NonNeg`, and NaN stays NaN.

    Example:
        >>> import keras
        >>> from convex_init.keras import Between
        >>> layer = keras.layers.PReLU(alpha_constraint=Between(0.0, 1.0))

    Args:
        low: smallest number.
        high: largest.

    Raises:
        ValueError: if ``low`` is not below ``high``.
    """

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        """Check the ends."""
        super().__init__()
        self.low, self.high = float(low), float(high)
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low={low} and high={high}")

    def clamped(self, w: Any) -> Any:
        """Return ``w`` with what lies outside set to the ends."""
        return keras.ops.clip(w, self.low, self.high)

    def get_config(self) -> dict[str, Any]:
        """Return the ends; an infinite one as text, which JSON can hold."""
        return {"low": str(self.low), "high": str(self.high)}


def interval_of(constraint: keras.constraints.NonNeg) -> Interval:
    """Return the interval in which a constraint keeps a weight."""
    return (constraint.low, constraint.high) if isinstance(constraint, Between) else NON_NEGATIVE


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
