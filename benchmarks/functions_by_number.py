"""Certify random functions, each made from its own number, and count what comes out: for a fuzz cut into pieces."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from benchmarks import measure


def run(
    name: str, settings: dict[str, Any], package: str, judged: Callable[[int], tuple[bool, bool]], description: str
) -> None:
    """Go on where the result file ends, until there are enough functions or time is up.

    Args:
        name: of the result file.
        settings: that it shows.
        package: whose version it shows.
        judged: of a function's number, whether it is certified, and whether it lies above a chord.
        description: for ``--help``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--functions", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so long; run again to go on")
    parser.add_argument("--anew", action="store_true", help="count from 0, whatever the file has")
    options = parser.parse_args()
    path = measure.RESULTS / f"{name}.json"
    found = json.loads(path.read_text()) if path.exists() and not options.anew else {}
    counts, seconds, start = Counter(found.get("counts", {})), found.get("seconds", 0.0), time.monotonic()

    def write() -> None:
        payload = {
            "environment": measure.environment(package),
            "settings": settings,
            "complete": counts["functions"] >= options.functions,
            "counts": dict(counts),
            "seconds": seconds + time.monotonic() - start,
        }
        measure.write(name, payload)

    for number in range(counts["functions"], options.functions):
        certified, above = judged(number)
        counts.update(functions=1, certified=certified, violated=above, certified_and_violated=certified and above)
        if certified and above:
            counts[f"certified and violated: {number}"] = 1
        if time.monotonic() - start > 60.0 * options.minutes:
            break
        if number % 500 == 499:  # so that little is lost if the run is ended
            write()
    write()
