"""A set of processes joined by gloo, kept alive for many checks: importing torch costs more than a check does.

``World.run`` calls one function in every process; run as a script, this file is one of the processes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import traceback
from datetime import timedelta
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds for one check; a process that waits for one that failed would otherwise wait for ever


class World:
    """``size`` processes, each with one thread."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size, self.folder = size, folder
        self.processes: list[subprocess.Popen] = []
        self.starts = 0

    def start(self):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")])),
            "OMP_NUM_THREADS": "1",
        }
        self.starts += 1
        rendezvous = self.folder / f"rendezvous_{self.starts}"
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", __file__, str(rank), str(self.size), str(rendezvous)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for rank in range(self.size)
        ]

    def run(self, function, *arguments):
        """Call ``function(rank, *arguments)`` everywhere; arguments and results are JSON. Returns results by rank."""
        if not self.processes:  # the first check, or the one after a failed one
            self.start()
        order = {"file": sys.modules[function.__module__].__file__, "function": function.__name__, "with": arguments}
        for process in self.processes:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        clock = threading.Timer(PATIENCE, self.close)
        clock.start()
        try:
            # A process that has ended, or was ended by the clock, answers with an empty line.
            answers = [json.loads(process.stdout.readline() or "null") for process in list(self.processes)]
        finally:
            clock.cancel()
        problems = [f"rank {i}: {(a or {'error': 'no answer'})['error']}" for i, a in enumerate(answers)]
        if any(answer is None or answer["error"] for answer in answers):
            self.close()
            raise AssertionError("\n".join(problems))
        return [answer["result"] for answer in answers]

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        self.processes = []


def serve(rank: int, size: int, rendezvous: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a check prints is no answer
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    limit = timedelta(seconds=PATIENCE / 2)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size, timeout=limit)
    modules = {}
    for line in sys.stdin:
        order = json.loads(line)
        answer = {"error": None, "result": None}
        try:
            if order["file"] not in modules:
                spec = importlib.util.spec_from_file_location(Path(order["file"]).stem, order["file"])
                modules[order["file"]] = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(modules[order["file"]])
            torch.manual_seed(1)
            answer["result"] = getattr(modules[order["file"]], order["function"])(rank, *order["with"])
        except BaseException:
            answer["error"] = traceback.format_exc()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if answer["error"]:
            os._exit(1)  # so that the others do not wait for this one
    dist.destroy_process_group()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
