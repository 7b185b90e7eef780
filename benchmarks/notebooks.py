"""How long the notebooks take, each in a kernel of its own: ``python -m benchmarks.notebooks``.

results/notebooks.json has the seconds of the clock and of the processor, from the start of the kernel to its end.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from benchmarks import measure

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "notebooks"


def seconds_of(name: str) -> dict[str, Any]:
    """Execute one notebook."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    taken, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"notebook": name, "seconds": round(taken, 1), "processor_seconds": round(used, 1)}


def main() -> None:
    """Measure all, write results/notebooks.json."""
    rows = [seconds_of(name) for name in ("torch", "keras", "jax")]
    environment = measure.environment("torch", "keras", "jax", "optax")
    measure.write("notebooks", {"environment": environment, "rows": rows})


if __name__ == "__main__":
    main()
