"""Principled initialisation of input-convex neural networks, one subpackage per framework.

``convex_init.torch``, ``convex_init.keras``, ``convex_init.ignite`` and ``convex_init.timm`` are imported
when they are first used, each with nothing but its own framework; ``import convex_init`` alone imports none::

    import convex_init

    convex_init.torch.apply_(model)

The theory lives in ``convex_init_core``, which needs only NumPy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import extend_path, iter_modules
from types import ModuleType

__version__ = "0.2.0"

# The subpackages come from two folders, plugins/ and integrations/, and may come from other distributions.
__path__ = extend_path(__path__, __name__)


def _adapters() -> set[str]:
    """Names of the subpackages; each is named after the framework that it adapts to."""
    found = iter_modules(__path__)
    return {module.name for module in found if module.ispkg and not module.name.startswith("_")}


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_") or name not in _adapters():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        missing = error.name or name
        if missing.partition(".")[0] in (__name__, "convex_init_core"):
            raise  # our own fault: installing a framework would not help
        if name == "keras" and missing.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(_without_backend(), name=missing) from error
        raise ModuleNotFoundError(
            f"{__name__}.{name} needs {missing}, which is not installed: pip install 'convex-init[{name}]'",
            name=missing,
        ) from error


def _without_backend() -> str:
    """Say what to do where Keras is told to run on tensorflow, as by default, and that is not there."""
    others = [backend for backend in ("jax", "torch") if find_spec(backend) is not None]
    chosen = f"set the environment variable KERAS_BACKEND={others[0]} before the first import, or " if others else ""
    return (
        f"{__name__}.keras: Keras runs on tensorflow by default, which is not installed: {chosen}pip install "
        "'convex-init[tensorflow]'"
    )


def __dir__() -> list[str]:
    # Only what can be imported, so that tools which read every attribute work without the other frameworks.
    return sorted(set(globals()) | {name for name in _adapters() if find_spec(name) is not None})
