"""Numbers of the page: errors of cells, ratios to the best rival with their noise over seeds, steps that are saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convex_init_core.methods.choice.rates import positive_rate
from experiments.experiment import Record
from experiments.field.starts import METHODS
from experiments.styles import middle

CELL = ("task", "width", "depth", "skip", "activation")
DRAWS = 2000
# The rivals that every cell needs to count; He's, N(0, 0.1²) and LeCun's behind softplus are tried last.
MAIN_RIVALS = ("default", "U(0, 0.001)", "default behind softplus/fan_in", "Gaussian map")
DIVERGED = 1e9  # what an error counts as that is no number
SOLVED = 1e-5  # of the target's variance; errors below it count as this, so that two exact solutions are level


@dataclass(frozen=True)
class Ratio:
    """A method's error by a rival's on the same seeds: the geometric mean, and 90 % of its bootstrap over seeds."""

    middle: float
    low: float
    high: float

    def shown(self) -> str:
        """Return it for a table, in bold where the whole interval is below 1."""
        if self.middle >= 1e3:
            return "diverged"
        text = f"{self.middle:.2f} ({self.low:.2f}–{self.high:.2f})" if self.high < 1e3 else f"{self.middle:.2g}"
        return f"**{text}**" if self.high < 1.0 else text


def cells(records: Sequence[Record]) -> dict[tuple[object, ...], dict[str, Record]]:
    """Return the records of each cell by method."""
    found: dict[tuple[object, ...], dict[str, Record]] = {}
    for record in records:
        key = tuple(record["settings"][name] for name in CELL)
        found.setdefault(key, {})[record["settings"]["method"]] = record
    for of in found.values():
        of.update(_at_its_rates(of))
    return found


def _at_its_rates(methods: Mapping[str, Record]) -> dict[str, Record]:
    """Return ``auto`` with the positive weights at the share of the rate that a plan advises, ``Plan.rates``."""
    settings = next(iter(methods.values()))["settings"]
    share = positive_rate(settings["depth"], settings["depth"] if settings["skip"] else 0)
    made = {}
    for name in ("auto", "auto, targets"):
        record = methods.get(name if share == 1.0 else f"{name}, positive rate {share:g}")
        if record is not None:
            named = f"{name}, its rates"
            made[named] = {**record, "settings": {**record["settings"], "method": named}}
    return made


def shape_of(record: Record) -> str:
    """Return the shape of a cell's network in words."""
    of = record["settings"]
    return f"{of['depth']} × {of['width']} {of['activation']}{', skips' if of['skip'] else ''}"


def errors(record: Record) -> list[float]:
    """Return the test errors of all seeds."""
    return [DIVERGED if value is None else value for value in record["results"]["test"]]


def best_rival(methods: Mapping[str, Record], by: Callable[[str], float] | None = None) -> str:
    """Return the rival with the smallest median error, or by another number of a name; "" if there is none."""
    rivals = [name for name in methods if METHODS[name].kind == "rival"]
    return min(rivals, key=by or (lambda name: middle(errors(methods[name]))), default="")


def is_complete(methods: Mapping[str, Record]) -> bool:
    """Whether a cell has been trained from every rival that counts there: see :data:`MAIN_RIVALS`."""
    quadratic = next(iter(methods.values()))["settings"]["quadratic"]
    return all(name in methods for name in MAIN_RIVALS if quadratic or not METHODS[name].where.get("quadratic", False))


def against(methods: Mapping[str, Record], name: str) -> Ratio | None:
    """Return a method's ratio to the best rival other than itself; nothing if either is not there."""
    rival = best_rival({other: record for other, record in methods.items() if other != name})
    return ratio(methods[name], methods[rival]) if rival and name in methods else None


def ratio(record: Record, other: Record) -> Ratio:
    """Compare two methods seed by seed."""
    logs = np.log(np.maximum(errors(record), SOLVED)) - np.log(np.maximum(errors(other), SOLVED))
    draws = np.random.default_rng(0).integers(len(logs), size=(DRAWS, len(logs)))
    low, high = np.quantile(logs[draws].mean(1), [0.05, 0.95])
    return Ratio(*(math.exp(min(value, 50.0)) for value in (float(logs.mean()), float(low), float(high))))


def steps_saved(record: Record, default: Record) -> float:
    """Return the share of the steps after which the median error is at the default's last; infinite if it never is."""
    goal = middle(errors(default))
    course = np.array([[DIVERGED if value is None else value for value in of] for of in record["results"]["courses"]])
    tested = record["results"]["tested"]
    reached = np.flatnonzero(np.median(course, 0)[: len(tested)] <= goal)
    return tested[reached[0]] / tested[-1] if len(reached) else math.inf


@dataclass(frozen=True)
class Tally:
    """In how many cells a method is where, against the best rival: shares, and how many cells."""

    cells: int
    level: float
    better: float
    worse: float
    mean: float


def tally(found: Sequence[Ratio]) -> Tally:
    """Count: level or better within noise; better by 10 % or more; worse by more than 10 %, noise or not."""
    count = len(found)
    return Tally(
        count,
        sum(each.low <= 1.0 for each in found) / count,
        sum(each.middle <= 0.9 for each in found) / count,
        sum(each.middle > 1.1 for each in found) / count,
        math.exp(sum(math.log(each.middle) for each in found) / count),
    )
