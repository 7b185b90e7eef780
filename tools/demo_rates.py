"""Choose the demo's learning rates, away from what it shows: ``python tools/demo_rates.py [TASK ...]``.

Trains every network of a task with the rates of a grid, on what the demo does not show: the functions of
``CHOSEN_ON``, seeds from 100 on, and the digits without the last fifth of the training images.
The best rate has the smallest mean of the logarithm of the loss, which is that of the table. All losses go into
``results/demo_rates.json``, and what is there already is not tried again; ``convex_init/demo/rates.py`` holds what is
best there.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from convex_init.demo.data import load
from convex_init.demo.functions import CHOSEN_ON, sample
from convex_init.demo.networks import VARIANTS, Variant
from convex_init.demo.rates import GRID
from convex_init.demo.results.record import versions, write
from convex_init.demo.settings import DEFAULTS
from convex_init.demo.training import Problem, train

RESULTS = Path(__file__).resolve().parent.parent / "results" / "demo_rates.json"
Losses = dict[str, list[float]]
TASKS = ("digits", "curve", "surface")
SEEDS = {"digits": (100, 101), "curve": (100,), "surface": (100,)}


def problems(task: str) -> list[Problem]:
    """Return what a task's settings are chosen on."""
    if task != "digits":
        return [Problem.of_points(sample(target, SEEDS[task][0]), "cpu") for target in CHOSEN_ON[task]]
    images = load("digits", None, None)
    cut = len(images.train) * 4 // 5
    held_out = replace(
        images,
        train=images.train[:cut],
        train_labels=images.train_labels[:cut],
        test=images.train[cut:],
        test_labels=images.train_labels[cut:],
    )
    return [Problem.of_images(held_out, "cpu")]


def losses(task: str, variant: Variant, depth: int, rate: float) -> list[float]:
    """Return the losses of one network: of the digits on the training images, of a fit on held-out points."""
    settings = replace(DEFAULTS[task], lr=rate)
    found = []
    for problem in problems(task):
        for seed in SEEDS[task]:
            run = train(variant, problem, depth, settings, seed)
            found.append(run.losses[-1] if task == "digits" else run.score)
    return found


def best(by_rate: Losses) -> float:
    """Return the rate with the smallest mean logarithm of the loss; what is not finite, or above 10, counts as 10."""

    def mean_log(values: list[float]) -> float:
        return sum(math.log(min(value, 10.0) if math.isfinite(value) else 10.0) for value in values) / len(values)

    return float(min(by_rate, key=lambda rate: mean_log(by_rate[rate])))


def try_all(lossy: Callable[[float], list[float]], known: Losses) -> Losses:
    """Try the middle of the grid, and go on while the best is at an end of what was tried."""
    low, high = 2, len(GRID) - 3
    tried = dict(known)
    while True:
        for rate in GRID[low : high + 1]:
            if f"{rate:g}" not in tried:
                tried[f"{rate:g}"] = [float(f"{loss:.4g}") for loss in lossy(rate)]
        place = GRID.index(best(tried))
        if low < place < high or place in (0, len(GRID) - 1):
            return {f"{rate:g}": tried[f"{rate:g}"] for rate in GRID if f"{rate:g}" in tried}
        low, high = (low - 1, high) if place == low else (low, high + 1)


def main(tasks: list[str]) -> int:
    """Try all rates of the tasks, all by default, and write what came of it."""
    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    found |= {"seeds": SEEDS, "grid": GRID, "versions": versions()}
    for task in tasks or TASKS:
        known, found[task] = found.get(task, {}), {}
        for variant in VARIANTS:
            for depth in DEFAULTS[task].depths:
                before = known.get(variant.label, {}).get(str(depth), {})
                tried = try_all(partial(losses, task, variant, depth), before)
                found[task].setdefault(variant.label, {})[str(depth)] = tried
                print(f"{task}: {variant.label}, {depth} layers: {best(tried):g}", tried, flush=True)
        write(found, RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
