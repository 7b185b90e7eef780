"""Where a method stands by kind of cell: by task, depth, width, skips and targets; and what the networks are for."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from experiments.experiment import Record
from experiments.field.ratios import Ratio, against, best_rival, is_complete, shape_of, steps_saved, tally
from experiments.styles import middle, shown

Cell = Mapping[str, Record]
MEASURES = {
    "regret": "what choosing inputs by it costs, in deviations of the cost",
    "psnr": "peak signal-to-noise ratio of the restored images, dB",
}
"""Of results, besides the test error; the first is better small, the second large."""


def _of(cell: Cell, name: str) -> object:
    return next(iter(cell.values()))["settings"][name]


def _is_raw(cell: Cell) -> str:
    return "raw targets" if "raw targets" in str(_of(cell, "task")) else "standardised targets"


KINDS: tuple[tuple[str, Callable[[Cell], str]], ...] = (
    ("task", lambda cell: str(_of(cell, "group"))),
    ("hidden layers", lambda cell: f"{_of(cell, 'depth')} hidden layers"),
    ("width", lambda cell: f"width {_of(cell, 'width')}"),
    ("skips", lambda cell: "free skips" if _of(cell, "skip") else "no skips"),
    ("targets", _is_raw),
)


def kind_rows(cells: Sequence[Cell], method: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and rows of a method's stand by kind, over the cells in which all main rivals were tried."""
    rows = []
    compared = [(cell, each) for cell in cells if is_complete(cell) for each in [against(cell, method)] if each]
    for _, kind in KINDS:
        names = sorted({kind(cell) for cell, _ in compared}, key=_by_number)
        for name in names:
            rows.append(_row(name, [(cell, each) for cell, each in compared if kind(cell) == name], method))
    head = ("cells", "number", "mean ratio", "level or better", "better by 10 %", "worse by 10 %", "steps")
    return head, rows


def _by_number(name: str) -> tuple[int, str]:
    digits = "".join(each for each in name if each.isdigit())
    return (int(digits) if digits else 0, name)


def _row(name: str, compared: Sequence[tuple[Cell, Ratio]], method: str) -> tuple[str, ...]:
    counts = tally([each for _, each in compared])
    shares = (f"{100 * share:.0f} %" for share in (counts.level, counts.better, counts.worse))
    saved = statistics.median(steps_saved(cell[method], cell["default"]) for cell, _ in compared)
    return (name, str(counts.cells), f"{counts.mean:.2f}", *shares, f"{saved:.2f}" if saved <= 1.0 else "never")


def use_rows(cells: Sequence[Cell], methods: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and rows of :data:`MEASURES`: medians over the seeds, of methods and of the best rival by them."""
    rows = [row for cell in cells for row in _uses(cell, methods)]
    return ("task", "network", "measure", "best rival", "its median", *methods), rows


def _uses(cell: Cell, methods: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for measure in MEASURES:
        there = {name: record for name, record in cell.items() if measure in record["results"]}
        sign = -1.0 if measure == "psnr" else 1.0
        medians = {name: middle([_number(each, sign) for each in _measured(there[name], measure)]) for name in there}
        badness = {name: sign * value for name, value in medians.items()}
        rival = best_rival(there, by=badness.__getitem__)
        if rival:
            values = [shown(medians[name], 3) if name in medians else "" for name in (rival, *methods)]
            record = there[rival]
            yield (record["settings"]["task"], shape_of(record), measure, rival, *values)


def _measured(record: Record, measure: str) -> Sequence[float | None]:
    found: Sequence[float | None] = record["results"][measure]
    return found


def _number(value: float | None, sign: float) -> float:
    return sign * 1e9 if value is None else value
