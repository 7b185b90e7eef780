"""Fully connected networks of 3 to 100 hidden layers on MNIST, without skips: who still trains?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.depth import METHODS, RATES, Scope, declare
from experiments.depth_report import depth_report, weights_table
from experiments.experiment import Record, Run
from experiments.page import Page

_DEEP = ("non-convex, He", "isometric", "isometric, relu map")
_ALL = (*_DEEP, "log-normal, matched", "paper, bias noise 1/2", "paper")
_ALONE = ("isometric start, not projected", "isometric, hidden layers frozen")
_BENDS = ("isometric, bends apart",)
_BOTH = ("isometric, relu map, bends apart",)
_CARRIER = ("carrier, c = 0.03, bends apart",)
_MIDDLE = (3e-5, 1e-4, 3e-4)
_BESIDE_A_CARRIER = {  # the deeper, the lower its best rate
    **{3: (*_MIDDLE, 1e-3), 5: _MIDDLE, 7: _MIDDLE, 10: _MIDDLE},
    **{20: (1e-5, *_MIDDLE), 50: (1e-5, 3e-5, 1e-4), 100: (1e-5, 3e-5, 1e-4)},
}
_MEASURED = ("log-normal, matched, measured",)
_LAWS = ("gamma, matched", "spike-and-slab, matched")


def _settings(preset: str, width: int, depth: int, methods: Sequence[str], **more: Any) -> list[Run]:
    limit, epochs = {"smoke": (320, 1), "cpu": (12000, 4), "paper": (60000, 4)}[preset]
    common = {"dataset": "mnist", "limit": limit, "epochs": epochs, "width": width, "depth": depth, **more}
    return [{**common, "method": method} for method in methods]


def _scopes(preset: str) -> list[Scope]:
    """In the order of their importance, since the CPU's runs are cut off where time ends."""
    if preset == "smoke":
        return [Scope(_settings(preset, 24, 3, _DEEP), RATES[2:3])]
    if preset == "paper":
        depths = (5, 20, 10, 7, 3, 50, 100)
        return [Scope(_settings(preset, 784, depth, tuple(METHODS)), RATES, 10) for depth in depths]
    slow = RATES[:3]  # the highest was the worst wherever it was tried
    return [
        *(
            Scope(_settings(preset, 784, depth, of), rates, 5 if depth < 100 else 1)
            for depth in (10, 7, 5, 20, 3, 50, 100)
            for of, rates in ((_CARRIER, _BESIDE_A_CARRIER[depth]), (_DEEP[:1], (1e-5, 3e-5, 1e-4)))
        ),
        Scope(_settings(preset, 784, 5, _ALL[:2])),
        Scope(_settings(preset, 784, 5, (*_ALL[2:], *_ALONE, *_BENDS)), slow),
        Scope(_settings(preset, 256, 5, (*_ALL, *_ALONE, *_BENDS, *_LAWS)), slow, 5),
        Scope(_settings(preset, 256, 10, (*_ALL, *_MEASURED, *_BENDS)), slow, 5),
        Scope(_settings(preset, 256, 20, _DEEP[:2]), RATES, 5),
        Scope(_settings(preset, 256, 20, (*_ALL[2:], *_MEASURED, *_BENDS)), slow, 5),
        *(Scope(_settings(preset, 256, depth, ("isometric", "paper"), skip=True), slow, 5) for depth in (5, 10, 20)),
        Scope(_settings(preset, 784, 5, (*_DEEP, *_BOTH, "paper")), slow, 5),
        Scope(_settings(preset, 784, 7, (*_DEEP, *_BOTH, "paper")), slow, 5),
        Scope(_settings(preset, 784, 10, _DEEP), slow, 5),
        Scope(_settings(preset, 784, 20, _DEEP), RATES[:2], 5),
        Scope(_settings(preset, 784, 50, (*_DEEP, *_BOTH)), RATES[:2]),
        Scope(_settings(preset, 784, 100, (*_DEEP, *_BOTH)), RATES[:2]),
        Scope(_settings(preset, 784, 10, (*_BOTH, "paper")), slow, 5),
        Scope(_settings(preset, 784, 20, (*_BOTH, "paper")), RATES[:2], 5),
        Scope(_settings(preset, 784, 3, (*_DEEP, "paper")), slow, 5),
        *(Scope(_settings(preset, 256, depth, _BOTH), slow, 5) for depth in (5, 10, 20)),
        Scope(_settings(preset, 784, 50, (*_DEEP, *_BOTH)), RATES[:2], 5),
        Scope(_settings(preset, 256, 50, _DEEP), RATES[:2], 5),
        Scope(_settings(preset, 256, 100, _DEEP), RATES[:2]),
        Scope(_settings(preset, 256, 7, _ALL), slow, 5),
        Scope(_settings(preset, 256, 3, _ALL), slow, 5),
    ]


def _report(records: Sequence[Record], page: Page) -> None:
    depth_report(records, page)
    weights_table(records, page)


EXPERIMENT = declare(
    "depth_mnist", "Depth on MNIST: training loss by method, no skips", _scopes, _report, store="depth_mnist"
)
