"""Fully connected networks on CIFAR-10 and CIFAR-100 by depth, without skips."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.depth import METHODS, RATES, Scope, declare
from experiments.depth_report import depth_report
from experiments.experiment import Run

_DEEP = ("non-convex, He", "isometric", "isometric, relu map")
_WIDE = (*_DEEP, "isometric, relu map, bends apart", "paper")
_CARRIER = ("carrier, c = 0.03, bends apart",)
_LOW = (1e-5, 3e-5, *RATES[:2])
_TOGETHER = ("carrier, c = 0.03",)  # all bends in one point
_ALL = (*_DEEP, "log-normal, matched", "paper")


def _settings(preset: str, dataset: str, width: int, depth: int, methods: Sequence[str]) -> list[Run]:
    limit, epochs = {"smoke": (320, 1), "cpu": (12000, 4), "paper": (50000, 4)}[preset]
    common = {"dataset": dataset, "limit": limit, "epochs": epochs, "width": width, "depth": depth}
    return [{**common, "method": method} for method in methods]


def _scopes(preset: str) -> list[Scope]:
    """In the order of their importance, since the CPU's runs are cut off where time ends."""
    if preset == "smoke":
        return [Scope(_settings(preset, "cifar10", 24, 3, _DEEP[1:2]), RATES[2:3])]
    sets = ("cifar10", "cifar100")
    if preset == "paper":
        depths = (5, 20, 7, 10, 3, 50, 100)
        return [
            Scope(_settings(preset, name, 3072, depth, tuple(METHODS)), RATES, 10) for depth in depths for name in sets
        ]
    slow = RATES[:3]
    return [
        *(
            Scope(_settings(preset, name, 1024, depth, of), rates, 5)
            for depth in (5, 7, 20)
            for name in sets
            for of, rates in ((_CARRIER, _LOW if depth == 20 else _LOW[1:]), (_DEEP[:1], _LOW))
        ),
        *(
            Scope(_settings(preset, name, 1024, depth, _TOGETHER), _LOW[1:], 5)
            for depth in (5, 7, 20)
            for name in reversed(sets)
        ),
        Scope(_settings(preset, "cifar10", 512, 5, _ALL), slow),
        Scope(_settings(preset, "cifar100", 512, 5, _DEEP), slow),
        *(Scope(_settings(preset, name, 1024, 5, _WIDE), slow) for name in sets),
        *(Scope(_settings(preset, name, 1024, 20, _WIDE[:-1]), RATES[:2]) for name in sets),
        *(Scope(_settings(preset, name, 1024, 7, _WIDE), slow) for name in sets),
        Scope(_settings(preset, "cifar10", 512, 20, _DEEP), slow),
        *(Scope(_settings(preset, name, 1024, depth, _WIDE), slow, 5) for depth in (5, 7) for name in sets),
        *(Scope(_settings(preset, name, 1024, 20, _WIDE[:-1]), RATES[:2], 5) for name in sets),
    ]


EXPERIMENT = declare("depth_cifar", "Depth on CIFAR-10 and CIFAR-100: training loss by method", _scopes, depth_report)
