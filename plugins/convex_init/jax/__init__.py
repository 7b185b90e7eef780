"""Principled initialisation of input-convex functions ``fn(params, *inputs)`` in JAX.

``apply`` returns new parameters, ``plan`` shows what it would do, ``certify`` tells whether the function is convex,
``signal_report`` shows what the signal does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import jax as _jax  # noqa: F401  (so that who lacks it hears so here, and not at the first call)

if TYPE_CHECKING:
    from convex_init.jax.api import LayerPlan, LayerSignal, Plan, SignalReport, apply, apply_, plan, signal_report
    from convex_init.jax.carrier import as_convex
    from convex_init.jax.certificate import Certificate, assert_convex, certify
    from convex_init.jax.initializers import icnn, icnn_bias, icnn_kernel
    from convex_init.jax.level_sets import LevelSetPath, level_set_path
    from convex_init.jax.training.constraint import Kept, Mapped, constrain, constrain_, constraints
    from convex_init.jax.training.projection import project, projection
    from convex_init.jax.training.rates import scale_positive

# Where each name lives: it is imported when first asked for, which keeps the import short.
_ON_DEMAND = {
    **dict.fromkeys(("LayerPlan", "Plan", "apply", "apply_", "plan"), "api"),
    **dict.fromkeys(("LayerSignal", "SignalReport", "signal_report"), "api"),
    "as_convex": "carrier",
    **dict.fromkeys(("Certificate", "assert_convex", "certify"), "certificate"),
    **dict.fromkeys(("icnn", "icnn_bias", "icnn_kernel"), "initializers"),
    **dict.fromkeys(("LevelSetPath", "level_set_path"), "level_sets"),
    **dict.fromkeys(("Kept", "Mapped", "constrain", "constrain_", "constraints"), "training.constraint"),
    **dict.fromkeys(("project", "projection"), "training.projection"),
    "scale_positive": "training.rates",
}

__all__ = [
    "Certificate",
    "Kept",
    "LayerPlan",
    "LayerSignal",
    "LevelSetPath",
    "Mapped",
    "Plan",
    "SignalReport",
    "apply",
    "apply_",
    "as_convex",
    "assert_convex",
    "certify",
    "constrain",
    "constrain_",
    "constraints",
    "icnn",
    "icnn_bias",
    "icnn_kernel",
    "level_set_path",
    "plan",
    "project",
    "projection",
    "scale_positive",
    "signal_report",
]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
