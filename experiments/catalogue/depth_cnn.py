"""Plain input-convex convolutional networks, without residuals or normalisation: does any depth train, and how well?"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from experiments.convolutional import network_of
from experiments.data.images import flat_images
from experiments.depth import CARRIER, NOT_PROJECTED, RATES, Scope, declare, of_carrier, of_last_epoch
from experiments.depth_report import depth_report
from experiments.experiment import Context, Results, Run
from experiments.training import Schedule, accuracy, fit

_PLAIN = ("non-convex, He", "isometric", "paper, bias noise 1/2")
_ALONE = "isometric start, not projected"
_FROZEN = "isometric, hidden layers frozen"
_BENDS = "isometric, bends apart"


def train(run: Run, context: Context) -> Results:
    """Train on images: settings as for :func:`experiments.convolutional.network_of`, and of the schedule."""
    images = flat_images(run["dataset"], context, run["limit"], 2000)
    inputs, labels, test, test_labels = (
        torch.from_numpy(part).to(context.device)
        for part in (images.train, images.train_labels, images.test, images.test_labels)
    )
    with warnings.catch_warnings():  # that a method is not known to carry this depth: here it is what is measured
        warnings.simplefilter("ignore", UserWarning)
        network = network_of(run, images.classes, run["seed"], inputs[:64].cpu()).to(context.device)
    schedule = Schedule(run["epochs"], 64, run["lr"], points=5)
    losses = fit(network, inputs, labels, schedule, run["seed"], project=run["method"] not in NOT_PROJECTED)
    return {
        "loss": of_last_epoch(losses, run["epochs"]),
        "accuracy": accuracy(network, test, test_labels),
        "losses": losses,
        **(of_carrier(network, inputs[:500], test[:500]) if run["method"] in CARRIER else {}),
    }


def _settings(preset: str, methods: tuple[str, ...], depth: int, dataset: str = "mnist", **more: Any) -> list[Run]:
    limit, epochs, channels = {"smoke": (128, 1, 4), "cpu": (4000, 4, 24), "paper": (60000, 4, 64)}[preset]
    base = {"dataset": dataset, "limit": limit, "epochs": epochs, "channels": channels, "depth": depth, **more}
    return [{**base, "method": method} for method in methods]


def _scopes(preset: str) -> list[Scope]:
    if preset == "smoke":
        settings = _settings(preset, ("isometric", _ALONE), 3)
        return [Scope([*settings, *_settings(preset, ("ICNN, He",), 3, skip=True)], RATES[2:3])]
    rates, seeds = (RATES[2:], 5) if preset == "cpu" else (RATES, 10)
    some = 1 if preset == "cpu" else seeds

    def scope(methods: tuple[str, ...], depth: int, of: int = some, **more: Any) -> Scope:
        lower = RATES[1:] if preset == "cpu" and depth == 20 else rates
        return Scope(_settings(preset, methods, depth, **more), lower, of)

    return [
        scope((*_PLAIN, _ALONE), 10, seeds),
        scope((*_PLAIN[:2], _ALONE), 10, seeds, first_kernel=7),
        scope((*_PLAIN, _ALONE), 5, seeds),
        scope((*_PLAIN, _ALONE), 20, seeds),
        scope(("isometric", "ICNN, He", "paper"), 10, seeds, skip=True),
        # What the distance from the non-convex network comes from, one change at a time.
        scope(("non-convex, He", "isometric", _ALONE), 10, head="mean"),
        scope((_FROZEN,), 10, seeds),
        *(scope((_BENDS,), depth, seeds) for depth in (5, 10, 20)),
        scope((_BENDS,), 10, seeds, first_kernel=7),
        scope(("isometric",), 10, head="mean", difference=True),
        scope(("isometric",), 10, difference=True),
        scope(("isometric",), 10, first_kernel=13),
        scope(("isometric",), 10, **({"channels": 48} if preset == "cpu" else {"channels": 128})),
        scope(_PLAIN[:2], 5, seeds, first_kernel=7),
        scope(_PLAIN[:2], 20, seeds, first_kernel=7),
        *(scope((*_PLAIN, _ALONE, _BENDS), depth, dataset="cifar10") for depth in (5, 10)),
        scope((*_PLAIN[:2], _ALONE, _BENDS), 20, dataset="cifar10"),
        scope(("isometric", "paper", "ICNN, He"), 10, dataset="cifar10", skip=True),
        *(scope((*_PLAIN, _ALONE, _BENDS), depth, seeds, dataset="cifar10") for depth in (5, 10)),
    ]


EXPERIMENT = declare("depth_cnn", "Depth: plain convolutional networks", _scopes, depth_report, train)
