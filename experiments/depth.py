"""What the experiments on depth share: methods, the grid of learning rates, and one training run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convex_init.torch import ICNN, apply_, as_convex, plan
from convex_init.torch.layers import ConvexLinear
from convex_init.torch.model.parameters import Parameters
from convex_init.torch.write.drawing import Fill, fill_
from convex_init.torch.write.positivity import raw_parameter
from experiments import records
from experiments.data.images import flat_images
from experiments.experiment import Context, Experiment, Record, Results, Run, run_key
from experiments.networks import he_
from experiments.styles import STYLES, middle
from experiments.training import Schedule, accuracy, fit

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
"""Of Adam; every method is given its best."""

FOLDER = Path("results/experiments")

_PAPER = {"method": "log_normal"}

METHODS: dict[str, dict[str, Any] | None] = {
    "non-convex, He": None,
    "paper": {**_PAPER},
    "paper, bias noise 1/2": {**_PAPER, "bias_noise": 0.5},
    "log-normal, matched": {**_PAPER, "match_moments": True},
    "log-normal, matched, measured": {**_PAPER, "match_moments": True, "calibrate": True},
    "gamma, matched": {**_PAPER, "distribution": "gamma", "match_moments": True},
    "spike-and-slab, matched": {**_PAPER, "distribution": "spike_and_slab", "match_moments": True},
    "isometric": {"method": "isometric"},
    "isometric, relu map": {"method": "isometric"},
    "isometric, bends apart": {"method": "isometric", "threshold": 0.5},
    "isometric, relu map, bends apart": {"method": "isometric", "threshold": 1.0},
    "isometric, hidden layers frozen": {"method": "isometric"},
    "isometric start, not projected": {"method": "isometric"},
    "ICNN, He": {**_PAPER},
    "isometric, relu map, free last layer": {"method": "isometric"},
    "isometric, relu map, bends apart, centred gradients": {"method": "isometric", "threshold": 1.0},
    "isometric, relu map, bends apart, free last layer": {"method": "isometric", "threshold": 1.0},
    "carrier, c = 0.01": {"method": "isometric"},
    "carrier, c = 0.03": {"method": "isometric"},
    "carrier, c = 0.1": {"method": "isometric"},
    "carrier, c = 0.3": {"method": "isometric"},
    "carrier, c = 0.03, bends apart": {"method": "isometric", "threshold": 1.0},
    "carrier, c = 0.1, bends apart": {"method": "isometric", "threshold": 1.0},
    "carrier, c = 0.1, bends half apart": {"method": "isometric", "threshold": 0.5},
    "carrier, c = 0.1, bends a quarter apart": {"method": "isometric", "threshold": 0.25},
    "carrier, c = 0.03, bends half apart": {"method": "isometric", "threshold": 0.5},
    "isometric, relu map, bends half apart": {"method": "isometric", "threshold": 0.5},
    "isometric, relu map, bends twice apart": {"method": "isometric", "threshold": 2.0},
    "non-convex, He, outputs times 3": None,
    "carrier, c = 0.03, bends apart, outputs times 3": {"method": "isometric", "threshold": 1.0},
}
"""Settings of the positive layers by method; ``None`` is the network with weights of both signs."""

NOT_PROJECTED = frozenset({"isometric start, not projected"})
"""Starts as a convex network and does not stay one: it tells the start from the constraint."""

FROZEN = frozenset({"isometric, hidden layers frozen"})
"""Trains the first and the last layer only: it tells what the hidden layers learn."""

_MAPS = {name: "relu" for name in METHODS if "relu map" in name}

CARRIER = {name: float(name.split(", ")[1].removeprefix("c = ")) for name in METHODS if name.startswith("carrier")}
"""Down to which −c the weights of a method may go; its last layer is free."""

STYLES.update(
    {
        "non-convex, He": {"color": "#000000", "linestyle": (0, (1, 1.2))},
        "isometric": {"color": "#009E73", "linestyle": "-"},
        "isometric, relu map": {"color": "#332288", "linestyle": "-"},
        "isometric, bends apart": {"color": "#882255", "linestyle": "-"},
        "isometric, relu map, bends apart": {"color": "#882255", "linestyle": (0, (5, 1.5))},
        "isometric, hidden layers frozen": {"color": "#999933", "linestyle": (0, (1, 1.2))},
        "isometric start, not projected": {"color": "#7F7F7F", "linestyle": (0, (3, 1, 1, 1))},
        "log-normal, matched": {"color": "#E69F00", "linestyle": (0, (5, 1.5))},
        "log-normal, matched, measured": {"color": "#CC79A7", "linestyle": (0, (5, 1.5, 1, 1.5))},
        "gamma, matched": {"color": "#B8860B", "linestyle": (0, (1, 1.2))},
        "spike-and-slab, matched": {"color": "#B8860B", "linestyle": (0, (3, 1, 1, 1))},
        "paper, bias noise 1/2": {"color": "#56B4E9", "linestyle": (0, (3, 1))},
        "paper": {"color": "#0072B2", "linestyle": "-"},
        "ICNN, He": {"color": "#D55E00", "linestyle": "-"},
        "isometric, relu map, free last layer": {"color": "#88CCEE", "linestyle": "-"},
        "isometric, relu map, bends apart, free last layer": {"color": "#88CCEE", "linestyle": (0, (5, 1.5))},
        "isometric, relu map, bends apart, centred gradients": {"color": "#999933", "linestyle": (0, (5, 1.5))},
        "carrier, c = 0.01": {"color": "#D55E00", "linestyle": (0, (1, 1.2))},
        "carrier, c = 0.03": {"color": "#D55E00", "linestyle": "-"},
        "carrier, c = 0.1": {"color": "#D55E00", "linestyle": (0, (3, 1, 1, 1))},
        "carrier, c = 0.3": {"color": "#CC79A7", "linestyle": "-"},
        "carrier, c = 0.03, bends apart": {"color": "#D55E00", "linestyle": (0, (5, 1.5))},
        "carrier, c = 0.1, bends apart": {"color": "#CC79A7", "linestyle": (0, (5, 1.5))},
        "carrier, c = 0.1, bends half apart": {"color": "#CC79A7", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
        "carrier, c = 0.1, bends a quarter apart": {"color": "#CC79A7", "linestyle": (0, (1, 1.2))},
        "carrier, c = 0.03, bends half apart": {"color": "#D55E00", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
        "isometric, relu map, bends half apart": {"color": "#882255", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
        "isometric, relu map, bends twice apart": {"color": "#882255", "linestyle": (0, (1, 1.2))},
        "non-convex, He, outputs times 3": {"color": "#000000", "linestyle": "-"},
        "carrier, c = 0.03, bends apart, outputs times 3": {"color": "#D55E00", "linestyle": (0, (8, 1, 1, 1))},
    }
)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu(0.2)": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "softplus": nn.Softplus,
}


def build(run: Run, inputs: int, outputs: int, examples: torch.Tensor | None = None) -> nn.Module:
    """Return the network of a run, drawn from its seed.

    Methods that measure the signal do so on ``examples``.

    Settings: ``width``, ``depth``, ``method``, ``seed``; and, if not the usual, ``positivity``, ``activation``,
    ``skip`` (free maps of the input into every layer) and ``variance`` (of the first layer's outputs).
    """
    chosen = METHODS[run["method"]]
    generator = torch.Generator().manual_seed(run["seed"])
    network = ICNN(
        inputs,
        [run["width"]] * run["depth"],
        outputs,
        activation=ACTIVATIONS[run.get("activation", "relu")](),
        positivity=None if chosen is None else run.get("positivity", _MAPS.get(run["method"], "projection")),
        skip=run.get("skip", False),
        carrier=CARRIER.get(run["method"], 0.0),
    )
    variance = run.get("variance", 1.0)
    if chosen is None:
        network.reset_parameters(generator)
        return _with_larger_outputs(network, run)
    if chosen.get("calibrate"):
        apply_(network, examples, generator=generator, **chosen)
        return network
    if run.get("skip"):
        with warnings.catch_warnings():  # "paper" is what is measured, whatever is advised
            warnings.simplefilter("ignore", UserWarning)
            apply_(network, generator=generator, **chosen)
        return network
    he_(network, generator)  # for the first layer, which is LeCun's
    if run["method"] == "ICNN, He":
        return network
    with torch.no_grad():
        network.layers[0].weight.mul_(variance**0.5)  # type: ignore[operator]
    tensors = Parameters(network)
    for each in plan(network, variance=variance, **chosen).layers[1:]:
        weight = Fill(tensors.slot(each.name).raw, each.recipe.weight, each.recipe.positivity)
        fill_([weight, Fill(tensors.slot(each.bias).raw, each.recipe.bias)], generator)
    if run["method"].endswith("free last layer"):
        free_last_layer(network)
    if run["method"].endswith("centred gradients"):
        centre_gradients(network)
    if run["method"] in FROZEN:
        for layer in list(network.layers)[1:-1]:
            layer.requires_grad_(False)
    return _with_larger_outputs(network, run)


@torch.no_grad()
def _with_larger_outputs(network: ICNN, run: Run) -> ICNN:
    if run["method"].endswith("outputs times 3"):
        network.layers[-1].weight.mul_(3.0)  # type: ignore[operator]
    return network


@torch.no_grad()
def free_last_layer(network: ICNN) -> None:
    """Let the last weights have either sign: softmax does not see what a column gives to all classes alike."""
    last = network.layers[-1]
    assert isinstance(last, nn.Linear)
    free = nn.Linear(last.in_features, last.out_features)
    free.weight.copy_(last.weight)
    free.bias.copy_(last.bias)
    network.layers[-1] = free


def centre_gradients(network: nn.Module) -> None:
    """Take the mean over a row's inputs off the gradient of each positive weight."""
    for layer in network.modules():
        if isinstance(layer, ConvexLinear):
            raw_parameter(layer).register_hook(  # type: ignore[no-untyped-call]
                lambda gradient: gradient - gradient.mean(-1, keepdim=True)
            )


def train(run: Run, context: Context) -> Results:
    """Train on images: settings as for :func:`build`, with ``dataset``, ``limit``, ``epochs`` and ``lr``."""
    images = flat_images(run["dataset"], context, run["limit"], 5000)
    inputs, labels, test, test_labels = (
        torch.from_numpy(part).to(context.device)
        for part in (images.train, images.train_labels, images.test, images.test_labels)
    )
    network = build(run, inputs.shape[1], images.classes, inputs[:512].cpu()).to(context.device)
    schedule = Schedule(run["epochs"], 64, run["lr"], points=5)
    losses = fit(network, inputs, labels, schedule, run["seed"], project=run["method"] not in NOT_PROJECTED)
    return {
        "loss": of_last_epoch(losses, run["epochs"]),
        "accuracy": accuracy(network, test, test_labels),
        "losses": losses,
        **_weights_of(network),
        **(of_carrier(network, inputs[:1000], test[:1000]) if run["method"] in CARRIER else {}),
    }


@torch.no_grad()
def of_carrier(network: nn.Module, examples: torch.Tensor, others: torch.Tensor) -> Results:
    """What the convex form of a trained network adds to its logits, and what that costs in digits, on other inputs."""
    exact = as_convex(network, examples, dtype=torch.float64, tolerance=1.0)
    try:
        rounded = as_convex(network, examples, tolerance=1.0)
    except ValueError:  # the common part is beyond float32, so no probability comes out
        rounded = None
    expected = network.double()(others.double())
    network.float()
    common = exact(others.double()) - expected
    errors = [
        1.0 if form is None else float((form(x).double().softmax(1) - expected.softmax(1)).abs().max())
        for form, x in ((rounded, others), (exact, others.double()))
    ]
    return {
        "carrier_row_sum": middle(exact.measured.row_sums),
        "common_part": float(common.abs().max()),
        "logits": float(expected.abs().max()),
        "error_float32": errors[0],
        "error_float64": errors[1],
    }


@torch.no_grad()
def _weights_of(network: nn.Module) -> Results:
    """How far the convex hidden layers went from their start: the sum of a row, and the share of weights above 0."""
    matrices = [layer.weight for layer in list(network.layers)[1:-1] if isinstance(layer, ConvexLinear)]  # type: ignore[arg-type]
    if not matrices:
        return {}
    sums = torch.stack([matrix.sum(1).mean() for matrix in matrices])
    shares = torch.stack([(matrix > 0.0).float().mean() for matrix in matrices])
    return {"row_sum": float(sums.median()), "above_0": float(shares.median())}


def of_last_epoch(losses: Sequence[float | None], epochs: int) -> float | None:
    """Return the mean training loss over the last epoch, of a course of equal epochs."""
    points = len(losses) // epochs
    last = [loss for loss in losses[-points:] if loss is not None]
    return sum(last) / points if len(last) == points else None


@dataclass(frozen=True)
class Scope:
    """Runs that belong together: some settings, each at several rates with seed 0, then more seeds at the best rate.

    Attributes:
        settings: of the runs, but for ``lr`` and ``seed``.
        rates: that are tried with seed 0.
        seeds: number of seeds at the best rate.
    """

    settings: Sequence[Run]
    rates: Sequence[float] = RATES
    seeds: int = 1


def runs_of(scopes: Sequence[Scope], store: str, preset: str) -> Iterator[Run]:
    """Yield the runs of all scopes, in order; seeds beyond the first as soon as the file holds the rates of seed 0."""
    best = _best_rates(FOLDER / preset / f"{store}.jsonl")
    for scope in scopes:
        for each in scope.settings:
            yield from ({**each, "lr": rate, "seed": 0} for rate in scope.rates)
        for each in scope.settings:
            losses = best.get(_key(each), {})
            if set(scope.rates) <= set(losses):
                rate = min(scope.rates, key=lambda rate: losses[rate])
                yield from ({**each, "lr": rate, "seed": seed} for seed in range(1, scope.seeds))


def _key(run: Mapping[str, Any]) -> str:
    return str(sorted((name, value) for name, value in run.items() if name not in ("lr", "seed")))


@lru_cache
def _best_rates(path: Path) -> dict[str, dict[float, float]]:
    """For each setting the last training loss of seed 0 by rate."""
    losses: dict[str, dict[float, float]] = {}
    for record in records.read(path):
        run = record["settings"]
        if run["seed"] == 0:
            losses.setdefault(_key(run), {})[run["lr"]] = middle([record["results"]["loss"]])
    return losses


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
    scopes: Callable[[str], Sequence[Scope]],
    report: Callable[[Sequence[Record], Any], None],
    execute: Callable[[Run, Context], Results] = train,
    store: str = "",
) -> Experiment:
    """Return the experiment of these scopes, each rate and seed a run; ``store`` as for :class:`Experiment`."""

    def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
        there: set[str] = set()
        for run in runs_of(scopes(preset), store or name, preset):
            key = run_key(run)
            if key not in there:
                there.add(key)
                yield run

    return Experiment(name, title, runs, execute, report, store=store)
