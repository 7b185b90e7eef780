"""Initialise input-convex networks in Keras 3, on the tensorflow, torch and jax backends.

``**icnn("relu")`` in a layer sets its kernel, bias and constraint; importing this module is what ``load_model`` needs.
"""

from convex_init.keras.constraints import NonNeg
from convex_init.keras.fans import kernel_fan_in
from convex_init.keras.initializers import ICNNBias, ICNNInit, icnn
from convex_init.keras.layers import ConvexConv1D, ConvexConv2D, ConvexConv3D, ConvexDense
from convex_init.keras.network import ICNN
from convex_init.keras.planning import LayerPlan, Plan, apply_, plan
from convex_init.keras.report import LayerSignal, SignalReport, signal_report

__all__ = [
    "ICNN",
    "ConvexConv1D",
    "ConvexConv2D",
    "ConvexConv3D",
    "ConvexDense",
    "ICNNBias",
    "ICNNInit",
    "LayerPlan",
    "LayerSignal",
    "NonNeg",
    "Plan",
    "SignalReport",
    "apply_",
    "icnn",
    "kernel_fan_in",
    "plan",
    "signal_report",
]
