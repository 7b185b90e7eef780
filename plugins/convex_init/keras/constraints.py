"""The projection, as Keras does it: a constraint on the kernel."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable(package="convex_init")
class NonNeg(keras.constraints.NonNeg):
    """Set negative weights to 0 after each optimiser step: the paper's ICNN.

    Keras' own ``NonNeg`` under a name that saved models find again once ``convex_init.keras`` is imported: −inf
    becomes 0, NaN stays NaN so that a diverged run is seen. ``get_config`` is empty; either class may be used.

    Example:
        >>> from convex_init.keras import NonNeg
        >>> [float(value) for value in NonNeg()([-0.5, 0.25])]
        [0.0, 0.25]
    """
