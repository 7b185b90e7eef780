"""Time alternatives side by side in one run, and write what was measured to a result file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "results"


def side_by_side(
    actions: dict[str, Callable[[], Any]],
    *,
    rounds: int = 15,
    warm_up: int = 2,
    synchronise: Callable[[], Any] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each action in each round; the actions take turns, so that a slow moment hits them all.

    With ``time.process_time`` as the clock, what else runs on the machine counts less, and all threads count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(warm_up + rounds):
        for name, action in actions.items():
            synchronise()
            start = clock()
            action()
            synchronise()
            if turn >= warm_up:
                seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], of: str, to: str) -> dict[str, float]:
    """Return the median and quartiles, over rounds, of the time of one action to that of another."""
    ratios = [a / b for a, b in zip(seconds[of], seconds[to], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"median": round(middle, 4), "lower_quartile": round(low, 4), "upper_quartile": round(high, 4)}


def environment(*packages: str) -> dict[str, Any]:
    """Return what a reader needs to judge a figure: versions, device, threads, date."""
    versions = {}
    for package in ("convex-init", "numpy", *packages):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "versions": versions,
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # near 0: nothing else was running
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def write(name: str, result: dict[str, Any]) -> None:
    """Write a result file and say where it lies."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path.relative_to(RESULTS.parent)}")
