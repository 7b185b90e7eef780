"""Which cells the presets have: a covering subset of tasks and shapes, each with every method that exists there."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from experiments.experiment import Context, Results, Run
from experiments.field.networks import Shape
from experiments.field.objectives import HAS_VALUES
from experiments.field.starts import METHODS, Method
from experiments.field.tasks import HELD_OUT, TASKS, TUNE, half_of
from experiments.field.tasks.task import Task
from experiments.field.training import Schedule, explored

# By group, the network as it is written there: width, hidden layers, skips, activation.
Usual = tuple[int, int, bool, str]
USUAL: dict[str, Usual] = {
    "convex regression": (64, 3, True, "relu"),
    "transport": (64, 2, True, "softplus"),
    "hyperelasticity": (16, 2, True, "softplus"),
    "control": (32, 2, True, "relu"),
    "tables": (64, 3, True, "relu"),
    "classification": (64, 3, False, "relu"),
    "flows": (32, 3, True, "softplus"),
    "regularisers": (8, 3, True, "softplus"),
    "labels": (32, 2, True, "softplus"),
}
# Of tasks whose networks are not fully connected, if not as above.
OF_FORM: dict[tuple[str, str], Usual] = {
    ("classification", "convolutional"): (8, 3, False, "relu"),
}
# Further shapes of some tasks: depth, skips, width and activation one at a time.
_PLAIN: Usual = (64, 3, False, "relu")
FURTHER: dict[str, tuple[Usual, ...]] = {
    "log-sum-exp, 16 inputs": (_PLAIN, (64, 10, False, "relu"), (64, 3, True, "softplus")),
    "quadratic, 16 inputs": ((64, 10, True, "relu"), _PLAIN),
    "norms shifted, 16 inputs": (_PLAIN, (64, 10, False, "relu"), (16, 3, True, "relu")),
    "Ogden solid": ((64, 2, False, "softplus"),),
    "max-affine, 16 inputs": ((64, 5, False, "relu"), _PLAIN, (64, 5, True, "relu")),
    "concrete": ((64, 10, True, "relu"), _PLAIN),
    "gradient of log-sum-exp, 16 inputs": ((64, 3, True, "elu"), (64, 5, True, "softplus")),
    "two masses": (_PLAIN, (64, 3, True, "relu")),
    "airfoil_centred": (_PLAIN, (64, 10, False, "relu")),
    "support, 16 inputs": (_PLAIN,),
    "norms, 16 inputs": (_PLAIN,),
    "MNIST 14 × 14": ((64, 5, True, "relu"),),
    "double integrator": ((512, 2, True, "relu"),),
    "log-sum-exp, 64 inputs": ((256, 3, True, "relu"),),
}
FIRST = (
    "auto",
    "auto, targets",
    "auto behind softplus/fan_in",
    "default",
    "U(0, 0.001)",
    "default behind softplus/fan_in",
    "identity",
    "Gaussian map",
    "bounded_gain",
    "isometric",
    "bounded_gain, spike_and_slab",
    "bounded_gain behind softplus/fan_in",
    "bounded_gain, spread",
    "spike_and_slab, spread",
    "isometric, spread",
    "bounded_gain, spread behind softplus/fan_in",
    "non-convex, He",
)
# One task of each objective and form.
SMOKE = (
    "log-sum-exp, 4 inputs",
    "gradient of log-sum-exp, 2 inputs",
    "two rings",
    "MNIST 14 × 14, noise",
    "building",
    "digits completed",
)
SEEDS = {"smoke": 1, "cpu": 5, "paper": 5}


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the cells of a preset, the usual shapes of all tasks first."""
    if preset == "smoke":
        for name in SMOKE:
            for method in ("default", "bounded_gain"):
                yield run_of(TASKS[name], (8, 2, True, "softplus"), method, 6, 8, 1)
        return
    steps = {"cpu": 800, "paper": 10000}[preset]
    usual = [(task, OF_FORM.get((task.group, task.form), USUAL[task.group])) for task in _in_turns()]
    rounds = max(map(len, FURTHER.values()))
    further = [(TASKS[name], of[place]) for place in range(rounds) for name, of in FURTHER.items() if place < len(of)]
    cells: list[tuple[Task, Usual]] = []
    while usual or further:  # two tasks in their usual shape, then another shape
        cells += [*usual[:2], *further[:1]]
        usual, further = usual[2:], further[1:]
    for first in (True, False):  # what most is learnt from in all cells before the other rows in any
        for task, shape in cells:
            for name, row in METHODS.items():
                effort = task.effort if task.effort and preset == "cpu" else (steps, 64)
                run = run_of(task, shape, name, *effort, SEEDS[preset])
                if (name in FIRST) == first and exists(row, run, task):
                    yield run


def _in_turns() -> list[Task]:
    """All tasks: one of each group and half, then the next of each."""
    of_group: dict[str, list[Task]] = {}
    for task in (*TUNE, *HELD_OUT):
        of_group.setdefault(task.group, []).append(task)
    for group, tasks in of_group.items():
        parts = [[task for task in tasks if half_of(task.name) == half] for half in ("tune", "held out")]
        of_group[group] = [task for both in itertools.zip_longest(*parts) for task in both if task is not None]
    rounds = itertools.zip_longest(*of_group.values())
    return [task for turn in rounds for task in turn if task is not None]


def exists(method: Method, run: Run, task: Task) -> bool:
    """Whether a method has a meaning in a cell."""
    facts = {**run, "has_values": task.objective in HAS_VALUES, "form": task.form, "composed": False}
    return all(facts[name] == value for name, value in method.where.items())


def run_of(task: Task, shape: Usual, method: str, steps: int, batch: int, seeds: int) -> Run:
    """Return the settings of a cell and a method."""
    width, depth, skip, activation = shape
    return {
        "task": task.name,
        "group": task.group,
        "half": half_of(task.name),
        "width": width,
        "depth": depth,
        "skip": skip,
        "activation": activation,
        "quadratic": task.quadratic,
        "method": method,
        "steps": steps,
        "batch": batch,
        "seeds": seeds,
    }


_CACHE: dict[tuple[str, int], Any] = {}


def execute(run: Run, context: Context) -> Results:
    """Do one cell of one method: all rates and seeds."""
    torch.set_flush_denormal(True)  # networks that die are no slower for it
    task, method = TASKS[run["task"]], METHODS[run["method"]]
    known = (task.name, run["seeds"])
    if known not in _CACHE:
        _CACHE.clear()
        _CACHE[known] = task.data(range(run["seeds"]), context)
    data = _CACHE[known]
    outputs = 10 if task.objective == "classes" else 1
    names = ("width", "depth", "skip", "activation", "quadratic")
    shape = Shape(data.train[0].shape[-1], outputs, **{name: run[name] for name in names})
    shape = replace(shape, positivity=method.positivity, form=task.form, decisions=task.decisions)
    found = explored(task, shape, method, range(run["seeds"]), Schedule(run["steps"], run["batch"]), data)
    return {**found, "options": dict(method.options), "load": round(os.getloadavg()[0], 1)}
