"""Keep a model convex that has its weights already: loaded, pretrained, or drawn by other means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from convex_init.keras.api import asked_of
from convex_init.keras.backend.runner import wide
from convex_init_core.constraints.present import refuse_settings, warn_of_outside
from convex_init_core.planning.build import what_to_keep

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from convex_init_core.request import Selections


def constrain_(model: keras.Model, example_inputs: Any = None, **options: Unpack[Selections]) -> keras.Model:
    """Put a constraint on everything that convexity depends on, and draw nothing.

    What that is, is found as :func:`convex_init.keras.plan` does; its ``kept`` lists it: kernels behind a
    non-linearity, scales of normalisations, slopes of a ``PReLU``, gates. They get :class:`NonNeg` or :class:`Between`,
    unless they have a constraint that is as strict. Keras' optimizers apply them from the next step on, and
    :func:`convex_init.keras.project_` at once.

    Example:
        >>> import keras
        >>> from convex_init.keras import constrain_, project_
        >>> last = keras.layers.Dense(1, kernel_initializer="ones")
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), last])
        >>> layer = project_(constrain_(model)).layers[-1]
        >>> layer.kernel_constraint.__class__.__name__, bool(keras.ops.all(layer.kernel >= 0))
        ('NonNeg', True)

    Args:
        model: a model; an unbuilt one is built on ``example_inputs``.
        example_inputs: as for :func:`convex_init.keras.plan`.
        **options: ``convex_inputs``, ``entry``, ``positive``, ``free`` and ``exclude``, as for
            :func:`convex_init.keras.apply_`.

    Returns:
        ``model``.

    Raises:
        ValueError: if the model is not known to be convex even if all of this is kept; nothing has been changed then.
        TypeError: if an argument does not exist or has the wrong type.

    Warns:
        UserWarning: if present numbers lie outside of their interval, so that the next step will change them, or the
            model's convexity rests on numbers that nothing keeps as they are.
    """
    refuse_settings("constrain_", options)
    framework, asked = asked_of(model, example_inputs, options)
    kept = what_to_keep(framework, asked)
    framework.mark(kept)

    def held(name: str) -> Any:
        numbers = wide(framework.variables.slots[name].variable.value)
        return numbers if numbers.size else None

    warn_of_outside(kept, held, "the next step will change")
    return model
