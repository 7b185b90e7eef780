"""The backends of Keras: how a model is traced, run and differentiated on each, by the tracer of its array library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from convex_init.keras.backend.runner import Runner
    from convex_init.keras.model.calls import Call
    from convex_init.keras.model.variables import Variables


def runner_of(call: Call, variables: Variables) -> Runner:
    """Return what runs a model on the active backend.

    Raises:
        ValueError: if there is no tracer for it.
    """
    name = keras.backend.backend()
    if name not in ("torch", "jax", "tensorflow"):
        raise ValueError(f"Keras runs on {name}, for which there is no tracer; set KERAS_BACKEND to jax, torch or "
                         "tensorflow")  # fmt: skip
    made: Runner = import_module(f"{__name__}.{name}").Runner(call, variables)
    return made
