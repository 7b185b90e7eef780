"""The command line: ``list``, ``run`` and ``report``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import records
from experiments.catalogue import catalogue, named
from experiments.experiment import PRESETS, Context, Experiment, Run, run_key
from experiments.failure import ExperimentError
from experiments.page import Page
from experiments.schedule import Resources, run_all

RESULTS = Path("results/experiments")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all went well, 1 if a run failed, 2 if something is missing."""
    options = _parser().parse_args(arguments)
    try:
        verdict: int = options.do(options)
    except ExperimentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return verdict


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments", description="the paper's figures and tables")
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("list", help="what there is")
    command.set_defaults(do=_list)

    command = commands.add_parser("run", help="do the runs of one experiment (or of 'all')")
    command.add_argument("name")
    command.add_argument("--preset", choices=PRESETS, default="cpu")
    command.add_argument("--data", type=Path, help="folder with the data (default: $CONVEX_INIT_DATA)")
    command.add_argument("--out", type=Path, default=RESULTS, help=f"folder for results (default: {RESULTS})")
    command.add_argument("--resume", action="store_true", help="go on with the runs that are not there yet")
    command.add_argument("--only", action="append", default=[], metavar="NAME=VALUE", help="runs with this setting")
    command.add_argument("--workers", type=int, help="processes (default: one for each accelerator or CPU core)")
    command.add_argument("--threads", type=int, help="CPU threads of each (default: cores / workers)")
    command.add_argument("--device", action="append", help="such as cuda:1; may be repeated (default: all, or cpu)")
    command.add_argument("--together", type=int, help="seeds in one vectorised run (default: 10 on an accelerator)")
    command.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    command.add_argument("--tensorboard", type=Path, help="log to this folder")
    command.add_argument("--cddd", help="CDDD descriptors of the Tox21 table's rows: .npy, [rows, 512]")
    command.set_defaults(do=_run)

    command = commands.add_parser("report", help="make figures and tables from the result files")
    command.add_argument("names", nargs="*", help="experiments (default: all that have results)")
    command.add_argument("--out", type=Path, default=RESULTS, help=f"folder with the results (default: {RESULTS})")
    command.add_argument("--pages", type=Path, help="write to this folder instead of beside the results")
    command.set_defaults(do=_report)
    return parser


def _list(_: argparse.Namespace) -> int:
    for name, experiment in catalogue().items():
        counts = ", ".join(f"{preset} {len(_runs(experiment, preset, {}))}" for preset in PRESETS)
        print(f"{name:22} {experiment.title}\n{'':22} runs: {counts}")
    return 0


def _run(options: argparse.Namespace) -> int:
    data = options.data or (Path(os.environ["CONVEX_INIT_DATA"]) if os.environ.get("CONVEX_INIT_DATA") else None)
    extra = {} if options.cddd is None else {"cddd": options.cddd}
    context = Context(data, options.out / ".cache", tensorboard=options.tensorboard, options=extra)
    experiments = list(catalogue().values()) if options.name == "all" else [named(options.name)]
    plans = []
    for experiment in experiments:
        runs = [run for run in _runs(experiment, options.preset, extra) if _matches(run, options.only)]
        path = experiment.file(options.out, options.preset)
        there = {record["key"] for record in records.read(path)}
        if not options.resume and any(run_key(run) in there for run in runs):
            raise ExperimentError(f"{path} has runs of {experiment.name}: pass --resume to go on, or take it away")
        plans.append((experiment, runs, path))
    resources = _resources(options)
    failed = 0
    for experiment, runs, path in plans:
        failed += run_all(experiment, options.preset, runs, path, context, resources)
    return 1 if failed else 0


def _resources(options: argparse.Namespace) -> Resources:
    import torch

    devices = options.device or [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_cpu = devices == ["cpu"]
    workers = options.workers or (cores if on_cpu else len(devices))
    threads = options.threads or max(1, cores // workers)
    return Resources(tuple(devices), workers, threads, options.together or (1 if on_cpu else 10), options.minutes)


def _report(options: argparse.Namespace) -> int:
    known = catalogue()
    names = options.names or list(known)
    written = 0
    for preset in PRESETS:
        for name in names:
            experiment = known.get(name) or named(name)
            place = {run_key(run): index for index, run in enumerate(_runs(experiment, preset, {}))}
            found = records.read(experiment.file(options.out, preset))
            if experiment.store:
                found = [record for record in found if record["key"] in place]
            if not found:
                continue
            # In the order of the declared runs, whichever ended first; runs with other options come last.
            found.sort(key=lambda record: place.get(record["key"], len(place)))
            folder = (options.pages or options.out) / preset
            folder.mkdir(parents=True, exist_ok=True)
            there = sum(record["key"] in place for record in found)
            page = Page(folder, name, experiment.title, preset, (there, len(place)))
            experiment.report(found, page)
            print(page.write())
            written += 1
    if not written:
        raise ExperimentError(f"no results of {', '.join(names)} in {options.out}: python -m experiments run NAME")
    return 0


def _runs(experiment: Experiment, preset: str, options: Mapping[str, str]) -> list[Run]:
    return list(experiment.runs(preset, options))


def _matches(run: Run, conditions: Sequence[str]) -> bool:
    wanted: dict[str, list[Any]] = {}
    for condition in conditions:
        name, separator, value = condition.partition("=")
        if not separator:
            raise ExperimentError(f"--only {condition}: say NAME=VALUE, such as dataset=mnist")
        wanted.setdefault(name, []).append(_read(value))
    return all(run.get(name) in values for name, values in wanted.items())


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
