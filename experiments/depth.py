"""What the experiments on depth share: methods, the grid of learning rates, and one training run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convex_init.torch import ICNN
from convex_init.torch.layers import ConvexLinear
from experiments import records
from experiments.data.images import flat_images
from experiments.experiment import PRESETS, Context, Experiment, Record, Results, Run
from experiments.networks import he_
from experiments.styles import middle
from experiments.training import Schedule, accuracy, fit

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
"""Of Adam; every method is given its best."""

FOLDER = Path("results/experiments")

METHODS: dict[str, dict[str, Any] | None] = {
    "non-convex, He": None,
    "paper": {},
    "paper, bias noise 1/2": {"bias_noise": 0.5},
    "log-normal, matched": {"match_moments": True},
    "gamma, matched": {"distribution": "gamma", "match_moments": True},
    "spike-and-slab, matched": {"distribution": "spike_and_slab", "match_moments": True},
    "isometric": {"method": "isometric"},
}
"""Settings of the positive layers by method; ``None`` is the network with weights of both signs."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu(0.2)": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "softplus": nn.Softplus,
}


def build(run: Run, inputs: int, outputs: int) -> nn.Module:
    """Return the network of a run, drawn from its seed.

    Settings: ``width``, ``depth``, ``method``, ``seed``; and, if not the usual, ``positivity``, ``activation`` and
    ``variance`` (of the first layer's outputs).
    """
    chosen = METHODS[run["method"]]
    generator = torch.Generator().manual_seed(run["seed"])
    network = ICNN(
        inputs,
        [run["width"]] * run["depth"],
        outputs,
        activation=ACTIVATIONS[run.get("activation", "relu")](),
        positivity=None if chosen is None else run.get("positivity", "projection"),
    )
    variance = run.get("variance", 1.0)
    if chosen is None:
        network.reset_parameters(generator)
        return network
    he_(network, generator)  # for the first layer, which is LeCun's
    with torch.no_grad():
        network.layers[0].weight.mul_(variance**0.5)  # type: ignore[operator]
    for layer in list(network.layers)[1:]:
        assert isinstance(layer, ConvexLinear)
        layer.reset_parameters(generator, variance=variance, **chosen)
    return network


def train(run: Run, context: Context) -> Results:
    """Train on images: settings as for :func:`build`, with ``dataset``, ``limit``, ``epochs`` and ``lr``."""
    images = flat_images(run["dataset"], context, run["limit"], 5000)
    inputs, labels, test, test_labels = (
        torch.from_numpy(part).to(context.device)
        for part in (images.train, images.train_labels, images.test, images.test_labels)
    )
    network = build(run, inputs.shape[1], images.classes).to(context.device)
    losses = fit(network, inputs, labels, Schedule(run["epochs"], 64, run["lr"], points=5), run["seed"])
    return {"loss": _of_last_epoch(losses), "accuracy": accuracy(network, test, test_labels), "losses": losses}


def _of_last_epoch(losses: Sequence[float | None]) -> float | None:
    last = [loss for loss in losses[-5:] if loss is not None]
    return sum(last) / 5 if len(last) == 5 else None


def grid(settings: Sequence[Run], rates: Sequence[float] = RATES) -> Iterator[Run]:
    """Yield the runs that choose a rate: each setting, seed 0, at every rate."""
    for each in settings:
        for rate in rates:
            yield {**each, "lr": rate, "seed": 0}


def chosen_runs(
    settings: Sequence[Run], store: str, preset: str, seeds: int, rates: Sequence[float] = RATES
) -> Iterator[Run]:
    """Yield the other seeds of each setting at the rate that was best for seed 0, as far as the grid is there."""
    best = _best_rates(FOLDER / preset / f"{store}.jsonl")
    for each in settings:
        found = best.get(_key(each))
        if found is not None and found[1] == len(rates):
            yield from ({**each, "lr": found[0], "seed": seed} for seed in range(1, seeds))


def _key(run: Mapping[str, Any]) -> str:
    return str(sorted((name, value) for name, value in run.items() if name not in ("lr", "seed")))


@lru_cache
def _best_rates(path: Path) -> dict[str, tuple[float, int]]:
    """For each setting the rate of the lowest last training loss at seed 0, and how many rates were tried."""
    losses: dict[str, dict[float, float]] = {}
    for record in records.read(path):
        run = record["settings"]
        if run["seed"] == 0:
            losses.setdefault(_key(run), {})[run["lr"]] = middle([record["results"]["loss"]])
    return {key: (min(of, key=lambda rate: of[rate]), len(of)) for key, of in losses.items()}


def at_best_rate(found: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the records of each setting at its best rate, all seeds, by the setting's text."""
    by_rate: dict[str, dict[float, list[Record]]] = {}
    for record in found:
        run = record["settings"]
        by_rate.setdefault(_key(run), {}).setdefault(run["lr"], []).append(record)

    def of_seed_0(of: list[Record]) -> float:
        return middle([record["results"]["loss"] for record in of if record["settings"]["seed"] == 0])

    return {key: min(rates.values(), key=of_seed_0) for key, rates in by_rate.items()}


def declare(
    name: str,
    title: str,
    settings: Callable[[str], Sequence[Run]],
    report: Callable[[Sequence[Record], Any], None],
    execute: Callable[[Run, Context], Results] = train,
    rates: Sequence[float] = RATES,
    seeds: Mapping[str, int] | None = None,
) -> list[Experiment]:
    """Return two experiments on one file: ``NAME_rates`` (seed 0, every rate) and ``NAME`` (more seeds, the best)."""
    count = {"smoke": 1, "cpu": 5, "paper": 10, **(seeds or {})}
    assert set(count) == set(PRESETS)

    def of_grid(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
        return grid(settings(preset), rates if preset != "smoke" else rates[2:3])

    def of_seeds(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
        yield from of_grid(preset, _)
        yield from chosen_runs(settings(preset), name, preset, count[preset], rates)

    return [
        Experiment(f"{name}_rates", f"{title}: rates, one seed", of_grid, execute, report, store=name),
        Experiment(name, title, of_seeds, execute, report, store=name),
    ]
