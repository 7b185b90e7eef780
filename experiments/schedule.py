"""Do the runs of an experiment that are still to be done, on every core or accelerator that is given."""

from __future__ import annotations

import itertools
import multiprocessing
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from experiments import provenance, records
from experiments.catalogue import named
from experiments.experiment import Context, Experiment, Record, Run, run_key, without_seed
from experiments.failure import ExperimentError

Job = tuple[Run, ...]


@dataclass(frozen=True)
class Resources:
    """What the runs may use.

    Attributes:
        devices: one or more, such as ``("cuda:0", "cuda:1")``; workers take turns on them.
        workers: processes; 1 works in this process.
        threads: CPU threads of each.
        together: runs that differ in their seed only are done at once, at most so many; 1 for one at a time.
        minutes: no run is begun after so many.
    """

    devices: tuple[str, ...] = ("cpu",)
    workers: int = 1
    threads: int = 1
    together: int = 1
    minutes: float = float("inf")


def run_all(
    experiment: Experiment, preset: str, runs: Sequence[Run], path: Path, context: Context, resources: Resources
) -> int:
    """Do the runs that ``path`` does not have, and add a line for each; return how many failed.

    Raises:
        ExperimentError: if data or packages are missing.
    """
    known = {record["key"] for record in records.read(path)}
    jobs = list(_jobs(experiment, [run for run in runs if run_key(run) not in known], resources.together))
    total = sum(len(job) for job in jobs)
    print(f"{experiment.name} ({preset}): {len(runs)} runs, {len(runs) - total} there, {total} to do", flush=True)
    start, done, failed = time.perf_counter(), 0, 0
    for job, outcome in _outcomes(experiment.name, preset, jobs, context, resources, start):
        done += len(job)
        if isinstance(outcome, str):
            failed += len(job)
            print(f"failed: {job[0]}\n{outcome}", flush=True)
            continue
        records.append(path, outcome)
        left = (time.perf_counter() - start) / done * (total - done)
        print(f"[{done}/{total}] {_shown(outcome[-1])}; about {left / 60:.1f} min left", flush=True)
    if done < total:
        print(f"{total - done} runs are left: the same command with --resume goes on", flush=True)
    return failed


def _jobs(experiment: Experiment, runs: list[Run], together: int) -> Iterator[Job]:
    if experiment.together is None or together == 1:
        yield from ((run,) for run in runs)
        return
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(without_seed(run), []).append(run)
    for group in groups.values():
        for first in range(0, len(group), together):
            yield tuple(group[first : first + together])


def _outcomes(
    name: str, preset: str, jobs: list[Job], context: Context, resources: Resources, start: float
) -> Iterator[tuple[Job, list[Record] | str]]:
    """Yield each job with its records, or with the text of its failure."""
    places = [replace(context, device=device) for device in resources.devices]
    in_time = iter(_until(jobs, start + 60.0 * resources.minutes))
    if resources.workers == 1:
        _set_threads(resources.threads)
        for number, job in enumerate(in_time):
            yield job, _attempt(name, preset, job, places[number % len(places)])
        return
    # spawn: a forked process may not use an accelerator that its parent has touched.
    pool = ProcessPoolExecutor(
        resources.workers, multiprocessing.get_context("spawn"), _set_threads, (resources.threads,)
    )
    with pool:
        waiting: dict[Future[list[Record] | str], tuple[Job, Context]] = {}
        free = [places[number % len(places)] for number in range(resources.workers)]
        while True:
            for job in itertools.islice(in_time, len(free)):
                place = free.pop(0)
                waiting[pool.submit(_attempt, name, preset, job, place)] = (job, place)
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                job, place = waiting.pop(future)
                free.append(place)
                yield job, future.result()


def _until(jobs: list[Job], end: float) -> Iterator[Job]:
    for job in jobs:
        if time.perf_counter() > end:
            return
        yield job


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _attempt(name: str, preset: str, job: Job, context: Context) -> list[Record] | str:
    experiment = named(name)
    start = time.perf_counter()
    try:
        if len(job) > 1:
            assert experiment.together is not None
            results = list(experiment.together(job, context))
        else:
            results = [experiment.execute(job[0], context)]
    except ExperimentError:
        raise  # every run would say the same
    except Exception:
        return traceback.format_exc()
    seconds = (time.perf_counter() - start) / len(job)
    return [
        {
            "experiment": name,
            "preset": preset,
            "key": run_key(run),
            "settings": run,
            "seed": run.get("seed"),
            "versions": provenance.versions(),
            "device": provenance.device_name(context.device),
            "together": len(job),
            "seconds": round(seconds, 3),
            "results": of_run,
        }
        for run, of_run in zip(job, results, strict=True)
    ]


def _shown(record: Record) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in record["settings"].items() if value is not None)
    numbers = {name: value for name, value in record["results"].items() if isinstance(value, (int, float))}
    results = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    return f"{settings}: {results or 'done'} in {record['seconds'] * record['together']:.1f} s"
