"""The demo's results as plain data: what is written to JSON, and what table and picture are made from."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convex_init.demo.data import Images
    from convex_init.demo.networks import Variant
    from convex_init.demo.settings import DemoSettings
    from convex_init.demo.training import Run

Results = dict[str, Any]
_VERSIONS = ("convex-init", "numpy", "scikit-learn", "torch")


def collect(settings: DemoSettings, images: Images, device: str, runs: Mapping[Variant, Sequence[Run]]) -> Results:
    """Return everything that a reader needs to judge, or repeat, the runs.

    Losses that are not finite become ``None``. Folders are left out: they say nothing about the result.
    """
    options = {name: value for name, value in asdict(settings).items() if name not in ("data", "out", "device")}
    return {
        "settings": options,
        "images": {
            "train": len(images.train),
            "test": len(images.test),
            "pixels": images.train.shape[1],
            "classes": images.classes,
        },
        "device": device,
        "versions": {"python": platform.python_version(), **_versions()},
        "networks": [
            {
                "name": variant.name,
                "initialisation": variant.describe(settings),
                "runs": [
                    {
                        "seed": seed,
                        "losses": [_rounded(loss) for loss in run.losses],
                        "accuracy": run.accuracy,
                        "seconds": round(run.seconds, 3),
                    }
                    for seed, run in enumerate(of_variant)
                ],
            }
            for variant, of_variant in runs.items()
        ],
    }


def _rounded(loss: float) -> float | None:
    return float(f"{loss:.5g}") if math.isfinite(loss) else None


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # MNIST needs no scikit-learn
            continue
    return found


def write(results: Results, path: Path) -> None:
    """Write ``results`` as JSON, each list of losses on one line."""
    lists: list[str] = []

    def keep(losses: list[float | None]) -> str:
        lists.append(json.dumps(losses))
        return f"@{len(lists) - 1}@"

    short = {
        **results,
        "networks": [
            {**network, "runs": [{**run, "losses": keep(run["losses"])} for run in network["runs"]]}
            for network in results["networks"]
        ],
    }
    text = json.dumps(short, indent=2, ensure_ascii=False)
    for i, line in enumerate(lists):
        text = text.replace(f'"@{i}@"', line)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read what :func:`write` wrote."""
    results: Results = json.loads(path.read_text(encoding="utf-8"))
    return results
