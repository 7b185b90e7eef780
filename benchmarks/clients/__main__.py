"""``python -m benchmarks.clients [--seeds 3] [--page]``: measure the clients, or only write the page from the file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.clients.catalogue import CLIENTS
from benchmarks.clients.protocol import measure_clients
from benchmarks.clients.training import at_its_best_rate, by_default, ours
from benchmarks.clients.verdict import FRESH, SHOWN, verdict


def measured(name: str, seeds: range) -> dict[str, Any]:
    """What one client gives: its verdict, and the errors by rate from both starts; or why it does not run."""
    client = CLIENTS[name]
    if client.broken:
        return {"library": client.distribution, "broken": client.broken}
    found: dict[str, Any] = {"library": client.distribution, "remark": client.remark, **asdict(verdict(client))}
    for label, start in (("default", by_default), ("ours", ours)):
        found[label] = at_its_best_rate(client, start, seeds).to_dict()
    return found


if __name__ == "__main__":
    measure_clients(
        "clients",
        "torch",
        (client.distribution for client in CLIENTS.values()),
        CLIENTS,
        measured,
        str(__doc__),
        shown_to_apply_for_the_verdict=SHOWN,
        fresh_for_the_verdict=FRESH,
    )
