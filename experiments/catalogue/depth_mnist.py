"""Fully connected networks of 3 to 100 hidden layers on MNIST, without skips: who still trains?"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.depth import METHODS, declare
from experiments.depth_report import depth_report
from experiments.experiment import Run

_BY_DEPTH = ("non-convex, He", "isometric", "log-normal, matched", "paper, bias noise 1/2", "paper")
_DEEP = ("non-convex, He", "isometric")

# (width, depth, methods) in the order of their importance.
_SCOPES = {
    "smoke": [(24, 3, ("non-convex, He", "isometric"))],
    "cpu": [
        (784, 5, _DEEP),
        (256, 20, _BY_DEPTH),
        (256, 10, _BY_DEPTH),
        (256, 5, _BY_DEPTH),
        (256, 50, _DEEP),
        (784, 20, _DEEP),
        (256, 100, _DEEP),
        (256, 3, _BY_DEPTH),
        (256, 7, _BY_DEPTH),
        (784, 10, _DEEP),
        (784, 5, ("paper, bias noise 1/2", "paper", "log-normal, matched")),
        (256, 5, ("gamma, matched", "spike-and-slab, matched")),
        (784, 7, _DEEP),
        (784, 3, _DEEP),
    ],
    "paper": [(784, depth, tuple(METHODS)) for depth in (5, 20, 10, 7, 3, 50, 100)],
}


def _settings(preset: str) -> Sequence[Run]:
    limits = {"smoke": (320, 1), "cpu": (12000, 4), "paper": (60000, 4)}
    limit, epochs = limits[preset]
    return [
        {"dataset": "mnist", "limit": limit, "epochs": epochs, "width": width, "depth": depth, "method": method}
        for width, depth, methods in _SCOPES[preset]
        for method in methods
    ]


EXPERIMENTS = declare("depth_mnist", "Depth on MNIST: training loss by method, no skips", _settings, depth_report)
