"""What a client is measured by, in every framework: 200 steps at the best of a grid of rates, and one result file."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.clients.page import write_page
from benchmarks.measure import RESULTS, environment, write

EXAMPLES, TESTS, STEPS, PIECES = 256, 512, 200, 24
GRID = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
RATES = GRID[6:10]


@dataclass
class Runs:
    """The mean error at the end, by rate, in units of the target's variance; lower is better."""

    errors: dict[float, float] = field(default_factory=dict)

    @property
    def best(self) -> float:
        """The rate with the lowest error."""
        return min(self.errors, key=self.errors.__getitem__)

    @property
    def error(self) -> float:
        """The error at the best rate."""
        return self.errors[self.best]

    def to_dict(self) -> dict[str, Any]:
        """Return what the result file has of it."""
        return {"error": self.error, "rate": self.best, "errors_by_rate": self.errors}


def over_rates(error_at: Callable[[float], float]) -> Runs:
    """Train at each rate of the grid, and at more until the best is not at its end.

    Args:
        error_at: trains at a rate and returns the error.
    """
    runs = Runs({rate: error_at(rate) for rate in RATES})
    first, last = GRID.index(RATES[0]), GRID.index(RATES[-1])
    while runs.best == GRID[first] and first > 0:
        first -= 1
        runs.errors[GRID[first]] = error_at(GRID[first])
    while runs.best == GRID[last] and last < len(GRID) - 1:
        last += 1
        runs.errors[GRID[last]] = error_at(GRID[last])
    runs.errors = dict(sorted(runs.errors.items()))
    return runs


def measure_clients(
    name: str,
    framework: str,
    libraries: Iterable[str],
    clients: Iterable[str],
    measured: Callable[[str, range], dict[str, Any]],
    description: str,
    **settings: Any,
) -> None:
    """Measure, write the result file, and the page from it; or, with ``--page``, the page alone.

    Args:
        name: of the module and of its result file.
        framework: whose version the file shows, beside the libraries'.
        libraries: distributions that the clients come from.
        clients: their names.
        measured: what one of them gives, for some seeds.
        description: for ``--help``.
        **settings: of the measurement, beside those of the protocol.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page from the result file")
    options = parser.parse_args()
    if not options.page:
        found = {}
        for client in clients:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the advice on depth is not what is tried here
                found[client] = measured(client, range(options.seeds))
            print(client, found[client].get("default"), found[client].get("ours"), flush=True)
        shown = {
            "seeds": options.seeds,
            "examples": EXAMPLES,
            "test_examples": TESTS,
            "steps": STEPS,
            "optimizer": "Adam, full batch",
            "rates": [*RATES, "extended by half decades until the best is not at an end"],
            **settings,
        }
        versions = environment(framework, *sorted(set(libraries)))
        write(name, {"environment": versions, "settings": shown, "clients": found})
    write_page(json.loads((RESULTS / f"{name}.json").read_text()), name)
