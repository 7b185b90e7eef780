"""Ten hidden layers with other positivity maps and other activations: does the isometric start still train?"""

from __future__ import annotations

from typing import Any

from experiments.depth import RATES, Scope, declare
from experiments.depth_report import depth_report
from experiments.experiment import Run


def _settings(preset: str, **more: Any) -> list[Run]:
    limit, epochs, width, depth = {"smoke": (320, 1, 24, 3), "cpu": (6000, 4, 256, 10), "paper": (60000, 4, 784, 10)}[
        preset
    ]
    base = {"dataset": "mnist", "limit": limit, "epochs": epochs, "width": width, "depth": depth, **more}
    if "positivity" in more:
        return [{**base, "method": "isometric"}]
    return [{**base, "method": method} for method in ("non-convex, He", "isometric")]


def _scopes(preset: str) -> list[Scope]:
    if preset == "smoke":
        return [Scope(_settings(preset, positivity="exp") + _settings(preset, activation="softplus"), RATES[2:3])]
    rates, seeds = (RATES[1:3], 5) if preset == "cpu" else (RATES, 10)
    return [
        Scope(_settings(preset, activation="relu"), rates, seeds),
        *(Scope(_settings(preset, positivity=name), rates, seeds) for name in ("exp", "softplus", "square", "relu")),
        *(Scope(_settings(preset, activation=name), rates, seeds) for name in ("leaky_relu(0.2)", "elu", "softplus")),
        Scope(_settings(preset, activation="softplus", variance=16.0)[1:], rates, seeds),
    ]


EXPERIMENT = declare("depth_maps", "Depth on MNIST: positivity maps and activations", _scopes, depth_report)
