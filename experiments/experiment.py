"""What an experiment is: a list of runs for each preset, how to do one, and what to make of all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.failure import ExperimentError

if TYPE_CHECKING:
    from experiments.page import Page

PRESETS = ("smoke", "cpu", "paper")

# The settings of one run: everything that decides its result, as JSON has it (numbers, strings, lists, None).
Run = dict[str, Any]
# What came of a run, as JSON has it; numbers that are not finite become None.
Results = dict[str, Any]
# One line of a result file.
Record = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """Where a run finds its data and what it may use; nothing in here decides its result.

    Attributes:
        data: folder with ``mnist/``, ``cifar10/`` and so on; ``None`` if the user named none.
        cache: folder for what is slow to read or compute and can always be made again.
        device: as torch names it.
        tensorboard: folder for TensorBoard; nothing is logged if ``None``.
        options: what the command line was given for single experiments, such as ``cddd``.
    """

    data: Path | None
    cache: Path
    device: str = "cpu"
    tensorboard: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        """Return the data folder ``name``.

        Raises:
            ExperimentError: if it is not there.
        """
        if self.data is None:
            raise ExperimentError(f"{name} is needed: pass --data DIR or set CONVEX_INIT_DATA to the folder above it")
        if not (self.data / name).is_dir():
            raise ExperimentError(f"there is no folder {name} in {self.data}; see experiments/README.md for its files")
        return self.data / name


@dataclass(frozen=True)
class Experiment:
    """One experiment; a module of ``experiments.catalogue`` has one as ``EXPERIMENT``, or several in ``EXPERIMENTS``.

    Attributes:
        name: on the command line, and of its files.
        title: one line for ``list`` and the report.
        runs: the runs of a preset, in the order of their importance; gets the preset and the options.
        execute: does one run and returns its results.
        report: writes figures and tables from the records alone.
        together: does runs that differ in their ``seed`` only at once, and returns their results in order; for an
            accelerator, where one small network leaves most of it idle.
        store: name of the result file, where several experiments share runs; the experiment's own name by default.
    """

    name: str
    title: str
    runs: Callable[[str, Mapping[str, str]], Iterable[Run]]
    execute: Callable[[Run, Context], Results]
    report: Callable[[Sequence[Record], Page], None]
    together: Callable[[Sequence[Run], Context], Sequence[Results]] | None = None
    store: str = ""

    def file(self, out: Path, preset: str) -> Path:
        """Return the path of its result file."""
        return out / preset / f"{self.store or self.name}.jsonl"


def run_key(run: Run) -> str:
    """Return twelve hexadecimal digits that identify the settings, whatever their order."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:12]


def without_seed(run: Run) -> str:
    """Return the settings but the seed, as text: the same for runs that may be done together."""
    return json.dumps({name: value for name, value in run.items() if name != "seed"}, sort_keys=True)
