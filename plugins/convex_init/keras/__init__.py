"""Initialise input-convex networks in Keras 3, on the tensorflow, torch and jax backends.

``**icnn("relu")`` in a layer sets its kernel, bias and constraint; importing this module is what ``load_model`` needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convex_init.keras.carrier import layers as _carrier_layers  # noqa: F401  (registers them with Keras)
from convex_init.keras.constraints import Between, NonNeg
from convex_init.keras.initializers import ICNNBias, ICNNInit, icnn
from convex_init.keras.layers import ConvexConv1D, ConvexConv2D, ConvexConv3D, ConvexDense

if TYPE_CHECKING:
    from convex_init.keras.api import LayerPlan, Plan, apply_, plan
    from convex_init.keras.carrier.convex_form import as_convex
    from convex_init.keras.certificate import Certificate, assert_convex, certify
    from convex_init.keras.model.fans import kernel_fan_in
    from convex_init.keras.network import ICNN
    from convex_init.keras.owners.check import check_initializers
    from convex_init.keras.report import LayerSignal, SignalReport, signal_report
    from convex_init.keras.training.constraint import constrain_
    from convex_init.keras.training.guard import ConvexityGuard
    from convex_init.keras.training.projection import NonNegProjection, project_

# Nothing here is registered with Keras, so it can wait until it is first asked for, which keeps the import short.
_ON_DEMAND = {
    **dict.fromkeys(("Certificate", "assert_convex", "certify"), "certificate"),
    "as_convex": "carrier.convex_form",
    "check_initializers": "owners.check",
    "constrain_": "training.constraint",
    "ConvexityGuard": "training.guard",
    "ICNN": "network",
    "kernel_fan_in": "model.fans",
    **dict.fromkeys(("LayerPlan", "Plan", "apply_", "plan"), "api"),
    **dict.fromkeys(("NonNegProjection", "project_"), "training.projection"),
    **dict.fromkeys(("LayerSignal", "SignalReport", "signal_report"), "report"),
}

__all__ = [
    "ICNN",
    "Between",
    "Certificate",
    "ConvexConv1D",
    "ConvexConv2D",
    "ConvexConv3D",
    "ConvexDense",
    "ConvexityGuard",
    "ICNNBias",
    "ICNNInit",
    "LayerPlan",
    "LayerSignal",
    "NonNeg",
    "NonNegProjection",
    "Plan",
    "SignalReport",
    "apply_",
    "as_convex",
    "assert_convex",
    "certify",
    "check_initializers",
    "constrain_",
    "icnn",
    "kernel_fan_in",
    "plan",
    "project_",
    "signal_report",
]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
