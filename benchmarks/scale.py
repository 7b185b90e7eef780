"""Time and memory of initialising and projecting very large networks, by formula and by simulation.

``python -m benchmarks.scale`` measures the constants of the formula on one core, runs one rank of each case that fits
into memory (with a process group that sends nothing), writes results/scale.json and the tables of docs/scale.md.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_tensor

import convex_init.torch as ci
from benchmarks.measure import RESULTS, environment, write
from convex_init.torch.write.sharding import pieces
from convex_init_core.weights.sampling import BLOCK

DOCUMENT = RESULTS.parent / "docs" / "scale.md"
LAYERS = 10
WIDTHS = {"1e9": 10_000, "1e11": 100_000}  # LAYERS square weights of this width
DEVICES = (1, 8, 1024)
FITS = 5e9  # bytes: a case is simulated only if a rank needs less


def join_nothing(world: int, rank: int) -> DeviceMesh:
    """A mesh of ``world`` devices of which only this one exists: what is sent goes nowhere."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=rank, world_size=world, store=FakeStore())
    return init_device_mesh("cpu", (world,))


def network(width: int) -> ci.ICNN:
    """``LAYERS`` square layers without storage."""
    return ci.ICNN(width, [width] * (LAYERS - 1), width, device="meta")


def rank_of(world: int) -> int:
    """A rank in the middle, whose shards begin and end within blocks."""
    return world // 2


def held(width: int, world: int) -> tuple[int, int]:
    """First and last row, exclusive, of a square weight on the rank in the middle, as ``torch.chunk`` cuts."""
    rows = -(-width // world)
    start = min(rank_of(world) * rows, width)
    return start, min(start + rows, width)


def predict(width: int, world: int, constants: dict[str, float]) -> dict[str, float]:
    """The formula of docs/scale.md."""
    first, last = (row * width for row in held(width, world))
    blocks = -(-last // BLOCK) - first // BLOCK
    whole = max(0, last // BLOCK - -(-first // BLOCK))
    drawn = LAYERS * min(blocks * BLOCK, width * width)
    local = LAYERS * (last - first)
    return {
        "weights_per_device": local,
        "drawn_per_device": drawn,
        "init_seconds": LAYERS * constants["plan_seconds_per_layer"] + drawn * constants["draw_seconds_per_weight"],
        "init_bytes": 4 * local + LAYERS * blocks * constants["bytes_per_block"] + (4 * BLOCK if blocks > whole else 0),
        "projection_seconds": local * constants["project_seconds_per_weight"],
        "projection_bytes": 4 * local,
    }


def median_time(action: Any, rounds: int = 7) -> float:
    """Median seconds of an action after one warm-up."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


@torch.no_grad()
def measure_constants() -> dict[str, float]:
    """The constants of the formula, on one core."""
    count = 1 << 24
    weight = torch.empty(4096, count // 4096)
    signed = torch.randn(4096, count // 4096)
    plan_time = median_time(lambda: ci.plan(network(10_000)))
    mesh = join_nothing(8, 4)
    columns = distribute_tensor(weight, mesh, [Shard(1)], src_data_rank=None)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = list(pieces(torch.empty(1 << 30, device="meta"), BLOCK))
    record = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    tracemalloc.stop()
    found = {
        "draw_seconds_per_weight": median_time(lambda: ci.icnn_(weight)) / count,
        "draw_seconds_per_weight_columns": median_time(lambda: ci.icnn_(columns)) / count,
        "project_seconds_per_weight": median_time(lambda: ci.project_([signed])) / count,
        "plan_seconds_per_layer": plan_time / LAYERS,
        "bytes_per_block": record,
    }
    dist.destroy_process_group()
    return found


def simulate(width: int, world: int) -> dict[str, float]:
    """One rank, in this process, which should be fresh: the peak of its memory counts from its start."""
    mesh = join_nothing(world, rank_of(world))
    model = network(width)
    fully_shard(model, mesh=mesh)
    small = ci.ICNN(8, [8], 8, device="meta")  # loads what the first use loads
    fully_shard(small, mesh=mesh)
    small.to_empty(device="cpu")
    ci.apply_(small)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of what was imported
    before = resident("VmRSS")
    model.to_empty(device="cpu")
    start = time.perf_counter()
    ci.apply_(model, generator=torch.Generator().manual_seed(0))
    init = time.perf_counter() - start
    init_peak, weights = resident("VmHWM"), resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    ci.project_(model)
    projection = time.perf_counter() - start
    return {
        "init_seconds": init,
        "init_bytes": init_peak - before,
        "projection_seconds": projection,
        "projection_extra_bytes": resident("VmHWM") - weights,
    }


def resident(key: str) -> int:
    """Bytes of memory that Linux has given to this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(key)))


def table(rows: list[dict[str, Any]]) -> str:
    """The table of docs/scale.md; simulated figures in brackets."""
    head = ["weights", "devices", "weights per device", "init time", "init peak memory", "projection time"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        predicted, seen = row["predicted"], row["simulated"]
        cells = [row["weights"], str(row["devices"]), f"{predicted['weights_per_device']:.3g}"]
        for key, show in (("init_seconds", duration), ("init_bytes", size), ("projection_seconds", duration)):
            cells.append(show(predicted[key]) + (f" ({show(seen[key])})" if seen else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Show a time with its unit."""
    for unit, factor in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= factor or unit == "ms":
            return f"{seconds / factor:.2g} {unit}"
    raise AssertionError


def size(count: float) -> str:
    """Show bytes with their unit."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def write_table(text: str) -> None:
    """Put the table between its marks in the document."""
    begin, end = "<!-- table: benchmarks/scale.py -->\n", "<!-- end of table -->"
    document = DOCUMENT.read_text(encoding="utf-8")
    head, rest = document.split(begin)
    DOCUMENT.write_text(head + begin + text + "\n" + end + rest.split(end)[1], encoding="utf-8")


def main() -> None:
    """Measure, simulate, write."""
    torch.set_num_threads(1)
    if len(sys.argv) == 4 and sys.argv[1] == "simulate":
        print(json.dumps(simulate(int(sys.argv[2]), int(sys.argv[3]))))
        return
    constants = measure_constants()
    print(json.dumps(constants, indent=2))
    rows = []
    for name, width in WIDTHS.items():
        for world in DEVICES:
            predicted = predict(width, world, constants)
            seen = None
            if predicted["init_bytes"] < FITS:
                command = [sys.executable, "-m", "benchmarks.scale", "simulate", str(width), str(world)]
                finished = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[1]
                )
                seen = json.loads(finished.stdout.splitlines()[-1])
            rows.append({"weights": name, "width": width, "devices": world, "predicted": predicted, "simulated": seen})
            print(rows[-1])
    settings = {
        "device": "cpu",
        "threads": 1,
        "layers": LAYERS,
        "block": BLOCK,
        "dtype": "float32",
        "seed": 0,
        "load": os.getloadavg()[0],
    }
    write("scale", {"settings": settings, **environment("torch"), "constants": constants, "rows": rows})
    write_table(table(rows))


if __name__ == "__main__":
    main()
