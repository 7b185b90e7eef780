"""``python -m benchmarks.clients [--seeds 3] [--page]``: measure the clients, or only write the page from the file."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from benchmarks.clients.catalogue import CLIENTS
from benchmarks.clients.page import write_page
from benchmarks.clients.training import EXAMPLES, RATES, STEPS, TESTS, at_its_best_rate, by_default, ours
from benchmarks.clients.verdict import FRESH, SHOWN, verdict
from benchmarks.measure import RESULTS, environment, write


def measured(name: str, seeds: range) -> dict[str, Any]:
    """What one client gives: its verdict, and the errors by rate from both starts; or why it does not run."""
    client = CLIENTS[name]
    if client.broken:
        return {"library": client.distribution, "broken": client.broken}
    found: dict[str, Any] = {"library": client.distribution, "remark": client.remark, **asdict(verdict(client))}
    for label, start in (("default", by_default), ("ours", ours)):
        runs = at_its_best_rate(client, start, seeds)
        found[label] = {"error": runs.error, "rate": runs.best, "errors_by_rate": runs.errors}
    return found


def main() -> None:
    """Measure, write the result file, and the page from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page from the result file")
    options = parser.parse_args()
    if not options.page:
        clients = {}
        for name in CLIENTS:
            clients[name] = measured(name, range(options.seeds))
            print(name, clients[name].get("default"), clients[name].get("ours"), flush=True)
        libraries = sorted({client.distribution for client in CLIENTS.values()})
        settings = {
            "seeds": options.seeds,
            "examples": EXAMPLES,
            "test_examples": TESTS,
            "steps": STEPS,
            "optimizer": "Adam, full batch",
            "rates": [*RATES, "extended by half decades until the best is not at an end"],
            "shown_to_apply_for_the_verdict": SHOWN,
            "fresh_for_the_verdict": FRESH,
        }
        write("clients", {"environment": environment("torch", *libraries), "settings": settings, "clients": clients})
    write_page(json.loads((RESULTS / "clients.json").read_text()))


if __name__ == "__main__":
    main()
