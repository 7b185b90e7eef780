"""Figure 2 of the paper at its size, on MNIST: five hidden layers as wide as the input, ten epochs, ten seeds."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from benchmarks.gpu.images import mnist
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.parts import OutOfTimeError, Place
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.stacks import Stack, train
from experiments.networks import build

METHODS = ("non-convex", "ICNN", "ICNN + init", "ICNN + skip", "ICNN + isometric")  # the last is not in the paper
HIDDEN, RATE, SHARE = 5, 1e-3, 0.9
CLASSES = 10


def settings(sizes: Sizes) -> dict[str, Any]:
    """What decides a row, but for its method."""
    return {
        "dataset": "mnist",
        "images": sizes.images or 60_000,
        "share": SHARE,
        "hidden_layers": HIDDEN,
        "width": sizes.width,
        "rate": RATE,
        "epochs": sizes.figure2_epochs,
        "seeds": sizes.figure2_seeds,
    }


def run(place: Place, journal: Journal) -> None:
    """Add a row for each network of the figure: the course of the training loss of each seed.

    Raises:
        OutOfTimeError: if some did not fit, naming them.
    """
    images = mnist(place)
    sizes, left_out = place.sizes, []
    seeds = list(range(sizes.figure2_seeds))
    shares = [_share(seed, len(images.train)) for seed in seeds]
    for method in METHODS:
        if journal.has(method):
            continue
        try:
            place.need(2.0, method)
            made = [
                build(
                    method, images.train.shape[1], [sizes.width] * HIDDEN, CLASSES, torch.Generator().manual_seed(seed)
                )
                for seed in seeds
            ]
            stack = Stack([each.to(place.device) for each in made], [RATE] * len(seeds))
            found = train(stack, images, shares, seeds, sizes.figure2_epochs, place, points=10)
        except OutOfTimeError as error:
            left_out.append(f"{method} ({error})")
            continue
        ends = [course[-1] for course in found.losses]
        journal.add(
            method,
            loss=statistics.median(end if end == end else float("inf") for end in ends),
            accuracy=statistics.median(found.accuracies),
            accuracies=found.accuracies,
            losses=found.losses,
            seconds_per_step=found.seconds_per_step,
        )
    if left_out:
        raise OutOfTimeError("; ".join(left_out))


def _share(seed: int, images: int) -> torch.Tensor:
    """Which training images a seed takes, at random."""
    order = torch.randperm(images, generator=torch.Generator().manual_seed(1000 + seed))
    return order[: round(SHARE * images)]
