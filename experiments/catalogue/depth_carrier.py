"""Classifiers that are convex up to a common shift of their logits, beside ordinary ones, by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.catalogue.depth_cnn import train as train_convolutions
from experiments.depth import CARRIER, Scope, at_best_rate, declare
from experiments.depth_report import depth_report
from experiments.experiment import Record, Run
from experiments.page import Page
from experiments.styles import middle

_RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
_HE, _RELU, _BENDS = "non-convex, He", "isometric, relu map, bends apart", "carrier, c = 0.03, bends apart"
_FIRST = (_HE, _BENDS, "carrier, c = 0.03", _RELU)
_OTHERS = (f"{_RELU}, centred gradients", f"{_RELU}, free last layer", "carrier, c = 0.1", "carrier, c = 0.01")
_PICKED = (  # c and τ on seed 0, and what the scale of the outputs alone does
    "carrier, c = 0.1, bends apart",
    "carrier, c = 0.03, bends half apart",
    "isometric, relu map",
    "isometric, relu map, bends half apart",
    "isometric, relu map, bends twice apart",
    f"{_HE}, outputs times 3",
    f"{_BENDS}, outputs times 3",
)
_CONVOLUTIONS = (_HE, "carrier, c = 0.1", "carrier, c = 0.1, bends apart")
_LESS_APART = ("carrier, c = 0.1, bends half apart", "carrier, c = 0.1, bends a quarter apart")
_TIGHTER = ("carrier, c = 0.3", "carrier, c = 0.03", _BENDS, "isometric, bends apart")


def _dense(preset: str, width: int, depth: int, methods: Sequence[str]) -> list[Run]:
    limit, epochs = {"smoke": (320, 1), "cpu": (6000, 4), "paper": (60000, 4)}[preset]
    common = {"dataset": "mnist", "limit": limit, "epochs": epochs, "width": width, "depth": depth}
    return [{**common, "method": method} for method in methods]


def _dense_scopes(preset: str) -> list[Scope]:
    if preset == "smoke":
        return [Scope(_dense(preset, 24, 3, (_BENDS, _OTHERS[0], _OTHERS[1])), _RATES[3:4])]
    width, seeds, depths = (256, 5, (5, 10, 20, 7, 3)) if preset == "cpu" else (784, 10, (5, 10, 20, 7, 3, 50, 100))
    return [
        *(
            Scope(_dense(preset, width, depth, of), rates, seeds)
            for of, rates in (((_HE,), _RATES), (_FIRST[1:], _RATES[1:]), (_OTHERS, _RATES[1:]))
            for depth in depths
        ),
        *(Scope(_dense(preset, width, depth, _PICKED), _RATES[2:]) for depth in (5, 10)),
    ]


def _convolution_scopes(preset: str) -> list[Scope]:
    limit, epochs, channels = {"smoke": (128, 1, 4), "cpu": (4000, 4, 24), "paper": (60000, 4, 64)}[preset]
    common: Run = {"limit": limit, "epochs": epochs, "channels": channels}

    def of(methods: Sequence[str], depth: int, dataset: str = "mnist") -> list[Run]:
        return [{"dataset": dataset, **common, "depth": depth, "method": method} for method in methods]

    if preset == "smoke":
        return [Scope(of(_CONVOLUTIONS[1:2], 3), _RATES[3:4])]
    seeds = {"cpu": 5, "paper": 10}[preset]
    rates = (*_RATES[4:], 1e-2)  # below, all of them are slow
    lower = _RATES[3:]  # twenty layers do not train at the highest
    return [
        Scope(of(_CONVOLUTIONS[1:2], 10), rates, seeds),
        Scope(of(_LESS_APART, 5), rates, seeds),
        Scope(of(_CONVOLUTIONS[1:2], 20), lower, seeds),
        Scope(of(_LESS_APART[:1], 10), rates, seeds),
        Scope(of(_LESS_APART[:1], 20), lower, seeds),
        Scope(of(_CONVOLUTIONS, 5), rates, seeds),
        Scope(of(_CONVOLUTIONS, 10), rates, seeds),
        Scope(of(_CONVOLUTIONS, 20), lower, seeds),
        *(
            Scope(of(methods, depth, "cifar10"), (*lower, 1e-2) if depth == 5 else lower, seeds)
            for methods in ((_HE, *_LESS_APART[:1]), _CONVOLUTIONS[1:2])
            for depth in (5, 10, 20)
        ),
        Scope(of(_TIGHTER, 5), rates),
    ]


def _report(records: Sequence[Record], page: Page) -> None:
    depth_report(records, page)
    rows = [_digits(found) for found in at_best_rate(records).values() if found[0]["settings"]["method"] in CARRIER]
    page.table(
        ("layers", "method", "seeds", "R", "logits", "common part", "float32", "float64"),
        sorted(rows, key=lambda row: (int(row[0]), row[1])),
        "The convex form of the trained networks, on images that did not centre it: row sum R (median over layers), "
        "largest logit of the ordinary network, largest size of what all logits have in common, and the largest error "
        "of a class probability in each dtype. Medians over seeds.",
    )


_NUMBERS = ("carrier_row_sum", "logits", "common_part", "error_float32", "error_float64")


def _digits(records: Sequence[Record]) -> list[Any]:
    of_all = [middle([record["results"][name] for record in records]) for name in _NUMBERS]
    settings = records[0]["settings"]
    return [settings["depth"], settings["method"], len(records), *(f"{number:.2g}" for number in of_all)]


EXPERIMENTS = [
    declare("depth_carrier", "The carrier: ordinary and convex classifiers by depth", _dense_scopes, _report),
    declare(
        "depth_carrier_cnn",
        "The carrier in convolutional networks",
        _convolution_scopes,
        _report,
        train_convolutions,
    ),
]
