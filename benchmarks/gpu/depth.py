"""Who still trains at which depth: fully connected networks on all of MNIST, every method at several rates."""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.images import mnist
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.parts import OutOfTimeError, Place
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.stacks import Stack, train
from convex_init.torch import ICNN

CLASSES = 10

# The most telling first, under the names of the experiments on depth.
METHODS: dict[str, dict[str, Any]] = {
    "non-convex, He": {"positivity": None},
    "carrier, c = 0.03, bends apart": {"carrier": True, "threshold": 1.0},
    "isometric, relu map, bends apart": {"positivity": "relu", "method": "isometric", "threshold": 1.0},
    "auto": {"method": "auto"},
    "paper": {"method": "log_normal"},
}


def settings(sizes: Sizes) -> dict[str, Any]:
    """What decides a row, but for its depth and method."""
    return {
        "dataset": "mnist",
        "images": sizes.images or 60_000,
        "width": sizes.width,
        "epochs": sizes.epochs,
        "seeds": sizes.seeds,
        "rates": sizes.rates,
        "methods": METHODS,
    }


def run(place: Place, journal: Journal) -> None:
    """Add a row for each depth and method: all rates and seeds, and the median of the seeds at the best rate.

    Raises:
        OutOfTimeError: if some cells did not fit, naming them.
    """
    images = mnist(place)
    sizes, left_out = place.sizes, []
    for depth in sizes.depths:
        for method in METHODS:
            key = f"{depth} layers, {method}"
            if journal.has(key):
                continue
            try:
                place.need(2.0, key)
                journal.add(key, depth=depth, method=method, **_trained(depth, method, images, place))
            except OutOfTimeError as error:
                left_out.append(f"{key} ({error})")
    if left_out:
        raise OutOfTimeError("; ".join(left_out))


def network(depth: int, width: int, method: str, seed: int, inputs: int = 784) -> nn.Module:
    """Return the network of a method, drawn from its seed on the CPU."""
    with warnings.catch_warnings():  # that a method is not known to carry this depth: it is what is measured
        warnings.simplefilter("ignore", UserWarning)
        made = ICNN(inputs, [width] * depth, CLASSES, **METHODS[method])
        made.reset_parameters(torch.Generator().manual_seed(seed))
    return made


def _trained(depth: int, method: str, images: Any, place: Place) -> dict[str, Any]:
    sizes = place.sizes
    known = [network(depth, sizes.width, method, seed).to(place.device) for seed in range(sizes.seeds)]
    rates = [rate for rate in sizes.rates for _ in known]
    seeds = [seed for _ in sizes.rates for seed in range(sizes.seeds)]
    stack = Stack([known[seed] for seed in seeds], rates)
    everything = torch.arange(len(images.train))
    found = train(stack, images, [everything] * len(seeds), seeds, sizes.epochs, place)
    points = len(found.losses[0]) // sizes.epochs
    ends = [sum(course[-points:]) / points for course in found.losses]  # means over the last epoch
    by_rate = {rate: _middle([end for end, of in zip(ends, rates, strict=True) if of == rate]) for rate in sizes.rates}
    best = min(by_rate, key=lambda rate: by_rate[rate])
    rows = [
        {"rate": rate, "seed": seed, "loss": end, "accuracy": share, "losses": course}
        for rate, seed, end, share, course in zip(rates, seeds, ends, found.accuracies, found.losses, strict=True)
    ]
    return {
        "best_rate": best,
        "loss": by_rate[best],
        "accuracy": _middle([row["accuracy"] for row in rows if row["rate"] == best]),
        "loss_by_rate": {f"{rate:g}": loss for rate, loss in by_rate.items()},
        "seconds_per_step": found.seconds_per_step,
        "networks": rows,
    }


def _middle(values: list[float]) -> float:
    """The median; what is not a number counts as infinite."""
    return statistics.median(value if value == value else float("inf") for value in values)
