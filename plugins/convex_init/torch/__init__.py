"""Principled initialisation of input-convex networks for torch.

``apply_`` initialises a model, ``plan`` shows what it would do, ``project_after_step`` keeps the weights non-negative
while training, ``signal_report`` shows what the signal does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch as _torch  # noqa: F401  (so that who lacks it hears so here, and not at the first call)

if TYPE_CHECKING:
    from convex_init.torch.api import LayerPlan, Plan, apply_, plan
    from convex_init.torch.carrier.convex_form import ConvexForm, as_convex
    from convex_init.torch.certificate import Certificate, assert_convex_, certify
    from convex_init.torch.init_functions import icnn_, lecun_
    from convex_init.torch.layers import ConvexConv1d, ConvexConv2d, ConvexConv3d, ConvexLinear
    from convex_init.torch.level_sets import LevelSetPath, level_set_path
    from convex_init.torch.model.activations import read_activation
    from convex_init.torch.network import ICNN
    from convex_init.torch.report import LayerSignal, SignalReport, signal_report
    from convex_init.torch.training.constraint import constrain_
    from convex_init.torch.training.projection import project_, project_after_step
    from convex_init.torch.training.rates import parameter_groups
    from convex_init.torch.write.marks import projected_parameters
    from convex_init.torch.write.positivity import Positive, mark_projected

# Where each name lives: it is imported when first asked for, which keeps the import short.
_ON_DEMAND = {
    "read_activation": "model.activations",
    **dict.fromkeys(("LayerPlan", "Plan", "apply_", "plan"), "api"),
    **dict.fromkeys(("Positive", "mark_projected"), "write.positivity"),
    "projected_parameters": "write.marks",
    **dict.fromkeys(("project_", "project_after_step"), "training.projection"),
    **dict.fromkeys(("icnn_", "lecun_"), "init_functions"),
    **dict.fromkeys(("ConvexForm", "as_convex"), "carrier.convex_form"),
    **dict.fromkeys(("Certificate", "assert_convex_", "certify"), "certificate"),
    **dict.fromkeys(("ConvexConv1d", "ConvexConv2d", "ConvexConv3d", "ConvexLinear"), "layers"),
    **dict.fromkeys(("LevelSetPath", "level_set_path"), "level_sets"),
    "constrain_": "training.constraint",
    "parameter_groups": "training.rates",
    "ICNN": "network",
    **dict.fromkeys(("LayerSignal", "SignalReport", "signal_report"), "report"),
}

__all__ = [
    "ICNN",
    "Certificate",
    "ConvexConv1d",
    "ConvexConv2d",
    "ConvexConv3d",
    "ConvexForm",
    "ConvexLinear",
    "LayerPlan",
    "LayerSignal",
    "LevelSetPath",
    "Plan",
    "Positive",
    "SignalReport",
    "apply_",
    "as_convex",
    "assert_convex_",
    "certify",
    "constrain_",
    "icnn_",
    "lecun_",
    "level_set_path",
    "mark_projected",
    "parameter_groups",
    "plan",
    "project_",
    "project_after_step",
    "projected_parameters",
    "read_activation",
    "signal_report",
]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
