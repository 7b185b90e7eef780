"""Input-convex networks in TensorFlow: :mod:`convex_init.tensorflow.trace` reads what a function computes."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import tensorflow as _tensorflow  # noqa: F401 its absence is told here, not when something is first asked for

__all__ = ["trace"]


def __getattr__(name: str) -> ModuleType:
    if name == "trace":
        return import_module(f"{__name__}.trace")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
