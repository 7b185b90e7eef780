"""What importing the package costs beside its framework alone: ``python -m benchmarks.import_cost``."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from benchmarks.measure import environment, write

PROBE = """
import json, sys, time
{before}
held = set(sys.modules)
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
print(json.dumps([len(set(sys.modules) - held), seconds]))
"""


def cost(before: str, statement: str, runs: int = 9) -> dict[str, object]:
    """Return modules added and seconds taken by ``statement`` in fresh processes that have run ``before``."""
    script = PROBE.format(before=before, statement=statement)
    found = [
        json.loads(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)
        for _ in range(runs)
    ]
    return {"modules": found[0][0], "seconds": [second for _, second in found]}


def main() -> None:
    """Measure, print, write results/import_cost.json."""
    cases = {
        "import torch": ("", "import torch"),
        "import convex_init": ("", "import convex_init"),
        "import convex_init_core, after numpy": ("import numpy", "import convex_init_core"),
        "import convex_init.torch, after torch": ("import torch", "import convex_init.torch"),
    }
    rows = {name: cost(before, statement) for name, (before, statement) in cases.items()}
    for name, row in rows.items():
        seconds = row["seconds"]
        assert isinstance(seconds, list)
        print(f"{name:40} {row['modules']:5} modules  {1000 * statistics.median(seconds):8.1f} ms")
    write("import_cost", {**environment("torch"), "rows": rows})


if __name__ == "__main__":
    main()
