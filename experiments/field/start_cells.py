"""The starts of some cells, measured before and after training."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from experiments.experiment import Context, Record, Results, Run
from experiments.field.cells import exists, run_of
from experiments.field.networks import ConvexNet, Shape
from experiments.field.start import KINDS, measured, network_of
from experiments.field.starts import METHODS, built
from experiments.field.tasks import TASKS
from experiments.field.training import Schedule, trained
from experiments.page import Page
from experiments.styles import middle

CELLS = (
    ("log-sum-exp, 16 inputs", (64, 3, True, "relu")),
    ("log-sum-exp, 16 inputs", (64, 3, False, "relu")),
    ("double integrator", (32, 2, True, "relu")),
    ("max-affine, 16 inputs", (64, 5, False, "relu")),
    ("quadratic, 16 inputs", (64, 10, True, "relu")),
    ("concrete", (64, 3, True, "relu")),
)
ROWS = (
    "default",
    "U(0, 0.001)",
    "default behind softplus/fan_in",
    "auto",
    "auto, positive rate 0.3",
    "log_normal",
    "bounded_gain",
    "bounded_gain, spread",
    "bounded_gain, spike_and_slab",
    "spike_and_slab, spread",
    "isometric",
    "isometric, spread",
    "non-convex, He",
)
RATE = 1e-2  # of the networks that are measured in training and behind it
STEPS, EARLY = 400, 50
_PARTS = ("start", "early", "end")


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare one network for each cell, method and seed."""
    if preset == "smoke":
        yield run_of(TASKS["log-sum-exp, 4 inputs"], (8, 2, True, "relu"), "bounded_gain", 4, 8, 1) | {"seed": 0}
        return
    for seed in range({"cpu": 3, "paper": 5}[preset]):
        for (name, shape), method in itertools.product(CELLS, ROWS):
            run = run_of(TASKS[name], shape, method, STEPS, 64, 1) | {"seed": seed}
            if exists(METHODS[method], run, TASKS[name]):
                yield run


def execute(run: Run, context: Context) -> Results:
    """Measure one start, and what training makes of it."""
    torch.set_flush_denormal(True)
    task, method = TASKS[run["task"]], METHODS[run["method"]]
    data = task.data([run["seed"]], context)
    names = ("width", "depth", "skip", "activation", "quadratic")
    shape = Shape(data.train[0].shape[-1], 1, **{name: run[name] for name in names})
    shape = replace(shape, positivity=method.positivity)
    inputs, targets = data.of(run["seed"])
    network = built(shape, method, inputs, targets, run["seed"])
    assert isinstance(network, ConvexNet)
    start = measured(network, inputs, targets)
    schedule = Schedule(run["steps"], run["batch"])
    found = {}
    for part, until in (("early", min(EARLY, run["steps"])), ("end", run["steps"])):
        course = trained(task, shape, method, [(RATE, run["seed"])], replace(schedule, until=until), data)
        found[part] = measured(network_of(course.stack, 0), inputs, targets)
    return {"start": start, **found, "test": float(course.test[0, -1])}


def report(records: Sequence[Record], page: Page) -> None:
    """One table for each cell."""
    page.text(
        f"Medians over the seeds, at the start → behind {EARLY} steps → behind the last of {STEPS} at rate {RATE:g}. "
        "Output: mean and deviation, in deviations of the target. Bent: the share of the output's variance that no "
        "affine function has. Kernel: of the tangent kernel, effective number of modes, share of the common mode, and "
        "the error that the kernel alone reaches on other inputs. Kinks: different ones that part the inputs, by "
        "units. Listens: (Σw)²/Σw² of a convex unit. Pull: share of the squared gradient in percent by "
        f"{', '.join(KINDS)}; and by layer, the first one first, skips and biases with the layer that they lead into."
    )
    head, cells = head_and_rows(records)
    for (task, shape), rows in cells.items():
        page.table(head, rows, f"**{task}, {shape}**")


def head_and_rows(records: Sequence[Record]) -> tuple[tuple[str, ...], dict[tuple[str, str], list[list[str]]]]:
    """Return the head, and the rows of each cell, by task and shape."""
    cells: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        of = record["settings"]
        key = (of["task"], f"{of['depth']} × {of['width']}{', skips' if of['skip'] else ''}")
        cells.setdefault(key, {}).setdefault(of["method"], []).append(record)
    head = (
        "method",
        "test",
        "mean",
        "deviation",
        "bent",
        "modes",
        "common",
        "kernel error",
        "kinks",
        "listens",
        "pull",
        "pull by layer",
    )
    return head, {key: [_row(name, of) for name, of in methods.items()] for key, methods in cells.items()}


def _row(name: str, records: Sequence[Record]) -> list[str]:
    def at(part: str, measure: str) -> float:
        return middle([record["results"][part][measure] for record in records])

    names = ("mean", "deviation", "bent", "modes", "common", "kernel_error", "kinks", "listens")
    layers = [measure for measure in records[0]["results"]["start"] if measure.startswith("layer_")]

    def course(measure: str) -> str:
        return " → ".join(f"{at(part, measure):.2g}" for part in _PARTS)

    def shares(measures: Sequence[str]) -> str:
        return " → ".join("/".join(f"{100 * at(part, each):.0f}" for each in measures) for part in _PARTS)

    test = middle([record["results"]["test"] for record in records])
    pulls = shares([f"pull_{kind}" for kind in KINDS]), shares(layers)
    return [name, f"{test:.2g}", *map(course, names), *pulls]
