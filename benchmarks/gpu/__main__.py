"""Measure on an accelerator what has only been measured on a CPU: ``python -m benchmarks.gpu --minutes 12 --out DIR``.

From the checkout, with torch and NumPy only. Each part writes DIR/NAME.json as it goes; the same command with the same
folder goes on with what did not fit into the time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts that fit into the time, and return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=12.0, help="after which nothing is begun")
    parser.add_argument("--out", type=Path, required=True, help="folder of the result files")
    parser.add_argument("--device", default="cuda", help="cpu rehearses everything at small sizes")
    parser.add_argument("--data", type=Path, help="folder with mnist/: $CONVEX_INIT_DATA or ../shared/data by default")
    parser.add_argument("--only", nargs="+", metavar="PART", help="some of the parts, by the names of their files")
    chosen = parser.parse_args(arguments)
    if find_spec("convex_init") is None:  # a bare checkout, not installed
        sys.path.insert(0, str(CHECKOUT / "plugins"))

    import torch

    from benchmarks.gpu import depth, figure2, marked_tests, memory_passes, training_steps
    from benchmarks.gpu.parts import Part, Place, device_name, run_parts
    from benchmarks.gpu.sizes import FULL, REHEARSAL

    parts = [  # the most telling first
        Part("marked_tests", 0.15, (30.0, 3.0), marked_tests.run),
        Part("memory_passes", 0.08, (5.0, 0.1), memory_passes.run, memory_passes.settings),
        Part("training_steps", 0.15, (10.0, 0.5), training_steps.run, training_steps.settings),
        Part("depth", 0.40, (10.0, 0.5), depth.run, depth.settings),
        Part("figure2", 0.22, (10.0, 0.5), figure2.run, figure2.settings),
    ]
    names = [part.name for part in parts]
    if unknown := sorted(set(chosen.only or ()) - set(names)):
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(names)}")
    device = torch.device(chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device; --device cpu rehearses the command")
    sizes = REHEARSAL if device.type == "cpu" else FULL
    data = _data_folder(chosen.data)
    print(f"{device_name(device)}, sizes {sizes.name}, data {data or 'none'}, torch {torch.__version__}", flush=True)
    place = Place(device, data, sizes, time.perf_counter() + 60.0 * chosen.minutes)
    ended = run_parts([part for part in parts if part.name in (chosen.only or names)], place, chosen.out)
    return int("failed" in ended.values())


def _data_folder(named: Path | None) -> Path | None:
    folder = named or Path(os.environ.get("CONVEX_INIT_DATA") or CHECKOUT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
