"""The demo's results as plain data: what is written to JSON, and what tables and pictures are made from."""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convex_init import __version__

if TYPE_CHECKING:
    from convex_init.demo.settings import DemoSettings
    from convex_init.demo.training import Run

Results = dict[str, Any]
_VERSIONS = ("numpy", "scikit-learn", "torch")
_LIST_OF_NUMBERS = re.compile(r"\[\s+((?:[^\[\]{}\"]+))\s+\]")
DRAWN = "ICNN"
"""The network whose values are kept: the plain one shows most what a start does."""
_NOT_RECORDED = ("task", "data", "out", "device")


@dataclass(frozen=True)
class Trained:
    """One network at one depth, from every seed.

    Attributes:
        name: of the architecture.
        initialisation: how it started, in a few words.
        start: ``"He"``, ``"default"`` or ``"ours"``.
        depth: number of hidden layers.
        rate: learning rate.
        runs: one for each seed.
    """

    name: str
    initialisation: str
    start: str
    depth: int
    rate: float
    runs: Sequence[Run]


def collect(
    settings: DemoSettings, examples: dict[str, Any], device: str, notes: Sequence[str], networks: Sequence[Trained]
) -> Results:
    """Return everything that a reader needs to judge, or repeat, the runs.

    Losses that are not finite become ``None``. Folders are left out: they say nothing about the result.

    Args:
        settings: of the task.
        examples: what the networks were trained on, as plain data.
        device: in words.
        notes: what the plans said.
        networks: what was trained.
    """
    options = {name: value for name, value in asdict(settings).items() if name not in _NOT_RECORDED}
    return {
        "task": settings.task,
        "settings": {**options, "depths": list(settings.depths)},
        "examples": examples,
        "device": device,
        "versions": versions(),
        "notes": list(notes),
        "networks": [
            {
                "name": network.name,
                "initialisation": network.initialisation,
                "start": network.start,
                "depth": network.depth,
                "lr": network.rate,
                "runs": [_run(seed, run, network.name == DRAWN) for seed, run in enumerate(network.runs)],
            }
            for network in networks
        ],
    }


def _run(seed: int, run: Run, is_drawn: bool) -> dict[str, Any]:
    found = {
        "seed": seed,
        "losses": [_rounded(loss) for loss in run.losses],
        "score": _rounded(run.score),
        "seconds": round(run.seconds, 3),
    }
    return {**found, "drawn": [_rounded(value, 4) for value in run.drawn]} if run.drawn and is_drawn else found


def _rounded(loss: float, digits: int = 5) -> float | None:
    return float(f"{loss:.{digits}g}") if math.isfinite(loss) else None


def versions() -> dict[str, str]:
    """Return the versions of Python and of what a result depends on."""
    found = {"python": platform.python_version(), "convex-init": __version__}
    for name in _VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # only the digits need scikit-learn
            continue
    return found


def write(results: Results, path: Path) -> None:
    """Write results as JSON, every list of numbers on one line."""
    text = json.dumps(results, indent=2, ensure_ascii=False)
    text = _LIST_OF_NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read what :func:`write` wrote."""
    results: Results = json.loads(path.read_text(encoding="utf-8"))
    return results
