"""Input-convex models of torch, Keras and JAX in cvxpy: as expressions, minimised, conjugated, as proximal maps."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import cvxpy as _cvxpy  # noqa: F401  (so that who lacks it hears so here, and not at the first call)

if TYPE_CHECKING:
    from convex_init.cvxpy.batched import Batch, conjugate_batched, minimise_batched, proximal_batched
    from convex_init.cvxpy.expressions import expression
    from convex_init.cvxpy.problems import Solution, conjugate, minimise, proximal

# Where each name lives: it is imported when first asked for, which keeps the import short.
_ON_DEMAND = {
    "expression": "expressions",
    **dict.fromkeys(("Solution", "conjugate", "minimise", "proximal"), "problems"),
    **dict.fromkeys(("Batch", "conjugate_batched", "minimise_batched", "proximal_batched"), "batched"),
}

__all__ = [
    "Batch",
    "Solution",
    "conjugate",
    "conjugate_batched",
    "expression",
    "minimise",
    "minimise_batched",
    "proximal",
    "proximal_batched",
]


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
