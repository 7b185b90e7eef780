"""Fully connected networks on MNIST: over which learning rates does each method train?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.depth import Scope, declare
from experiments.depth_report import draw_rates
from experiments.experiment import Record, Run
from experiments.page import Page
from experiments.styles import grouped, middle, shown

_RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
_METHODS = (
    "non-convex, He",
    "isometric",
    "isometric, relu map",
    "isometric, relu map, bends apart",
    "log-normal, matched",
    "paper, bias noise 1/2",
    "paper",
)
_TRAINS = math.log(10.0) / 2.0  # half of what guessing has


def _scopes(preset: str) -> list[Scope]:
    limit, epochs, width = {"smoke": (320, 1, 24), "cpu": (12000, 4, 256), "paper": (60000, 4, 784)}[preset]
    depths, methods = ((3,), _METHODS[1:2]) if preset == "smoke" else ((5, 20), _METHODS)
    common: Run = {"dataset": "mnist", "limit": limit, "epochs": epochs, "width": width}
    settings = [{**common, "depth": depth, "method": method} for depth in depths for method in methods]
    return [Scope(settings, _RATES[2:4] if preset == "smoke" else _RATES)]


def _report(records: Sequence[Record], page: Page) -> None:
    draw_rates(records, page)
    rows = []
    for (depth,), of_depth in grouped(records, "depth").items():
        for (method,), found in grouped(of_depth, "method").items():
            losses = {record["settings"]["lr"]: middle([record["results"]["loss"]]) for record in found}
            rates = sorted(rate for rate, loss in losses.items() if loss < _TRAINS)
            reach = f"{rates[0]:g} to {rates[-1]:g}" if rates else "none"
            best = min(losses, key=lambda rate: losses[rate])
            rows.append([f"depth {depth}", method, len(losses), reach, f"{best:g}", shown(losses[best])])
    page.table(
        ("network", "method", "rates tried", "trains at", "best", "loss there"),
        rows,
        f"Trains: training loss of the last epoch below {_TRAINS:.2f}, half of what guessing has. Seed 0.",
    )


EXPERIMENT = declare(
    "depth_rates", "Depth on MNIST: the learning rates at which a method trains", _scopes, _report, store="depth_mnist"
)
