"""The tables of docs/field*.md and README.md about the field: ``python -m experiments.field_tables`` writes them.

They are made from the result files. A table stands on a page between ``<!-- field table: NAME -->`` and
``<!-- /field table -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import records
from experiments.command import RESULTS
from experiments.field.kinds import kind_rows, use_rows
from experiments.field.ratios import against, best_rival, cells, errors, is_complete, ratio, shape_of, tally
from experiments.field.report import USED, Cells, tally_rows
from experiments.field.start_cells import head_and_rows
from experiments.styles import middle, shown

PAGES = (
    *(Path(f"docs/{name}.md") for name in ("field", "field_cells", "field_rates", "field_start", "field_tried")),
    Path("README.md"),
)
COUNTED = (
    "auto", "auto, its rates", "auto, targets", "auto, targets, its rates", "log_normal", "auto behind relu",
    "auto behind softplus/fan_in",
    "auto behind exp", "default", "U(0, 0.001)", "default behind softplus/fan_in", "He, clipped", "N(0, 0.1²)",
    "LeCun behind softplus",
)  # fmt: skip
IN_SHORT = ("default", "U(0, 0.001)", "default behind softplus/fan_in", "auto", "auto, its rates")
_MAPS = (
    ("auto", "default"),
    ("auto behind softplus/fan_in", "default behind softplus/fan_in"),
    ("auto behind softplus/fan_in", "auto"),
    ("auto behind relu", "auto"),
    ("auto behind exp", "auto"),
)
_RATES = (
    ("auto, positive rate 0.3", "auto"),
    ("auto, positive rate 0.1", "auto"),
    ("default, positive rate 0.3", "default"),
    ("U(0, 0.001), positive rate 0.3", "U(0, 0.001)"),
    ("auto, positive rate 0.3", "default, positive rate 0.3"),
)
_TRIED = (
    ("auto", "max-affine"),
    ("auto, targets", "auto"),
    ("isometric, spread, skip_share 0.9", "auto"),
    ("bounded_gain, spread, skip_share 0.98", "auto"),
    ("auto, output_variance 0.01", "auto"),
    ("bounded_gain, spread", "bounded_gain"),
    ("isometric, spread", "isometric"),
    ("gamma, spread", "bounded_gain, spread"),
    ("spike_and_slab, spread", "bounded_gain, spread"),
    ("spike_and_slab, spread, bias_noise 0.5", "spike_and_slab, spread"),
    ("bounded_gain, spread, skip_share 0.9", "bounded_gain, spread"),
    ("isometric, threshold 0.5, spread", "isometric, threshold 1, spread"),
    ("isometric, threshold 2, spread", "isometric, threshold 1, spread"),
)
_CAUSES = (("double integrator", "2 × 32, skips"), ("log-sum-exp, 16 inputs", "3 × 64"))


def tables() -> dict[str, str]:
    """Return every table by its name."""
    found = cells(records.read(RESULTS / "cpu" / "field.jsonl"))
    head, rows = tally_rows(found)
    by_cell = []
    for of in found.values():
        ours = against(of, "auto")
        if ours is not None:
            record = of["auto"]
            rival = best_rival(of)
            name = f"{record['settings']['task']}, {shape_of(record)}"
            error = shown(middle(errors(of[rival])), 4)
            star = "" if is_complete(of) else " *"
            at_its_rates = against(of, "auto, its rates")
            ratios = ours.shown(), at_its_rates.shown() if at_its_rates else ""
            by_cell.append((name, record["settings"]["half"], rival + star, error, *ratios))
    made = {
        "tally": _markdown(head, [row for row in rows if row[0] in COUNTED]),
        "in short": _markdown(head, [row for row in rows if row[0] in IN_SHORT]),
        "auto": _markdown(("cell", "half", "best rival", "its error", "auto", "at its rates"), by_cell),
    }
    every = [of for of in found.values() if best_rival(of)]
    made["kinds"] = _markdown(*kind_rows(every, "auto"))
    made["maps"] = _markdown(*_pairs(found, _MAPS))
    made["rates"] = _markdown(*_by_shape(found, _RATES))
    made["tried"] = _markdown(*_pairs(found, _TRIED))
    made["uses"] = _markdown(*use_rows(every, USED))
    starts = records.read(RESULTS / "cpu" / "field_start.jsonl")
    for place, cell in enumerate(_CAUSES):
        columns, lines = head_and_rows(starts)
        made[f"start {place}"] = _markdown(columns, lines[cell])
    return made


def _pairs(found: Cells, pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows: one method against one other, over the cells that count and have both."""
    rows = []
    for name, other in pairs:
        for half in ("tune", "held out"):
            both = [of for of in found.values() if is_complete(of) and name in of and other in of]
            ratios = [ratio(of[name], of[other]) for of in both if of[name]["settings"]["half"] == half]
            if ratios:
                counts = tally(ratios)
                shares = (f"{100 * share:.0f} %" for share in (counts.level, counts.better, counts.worse))
                rows.append((name, other, half, str(counts.cells), f"{counts.mean:.2f}", *shares))
    head = ("method", "by", "half", "cells", "mean ratio", "level or better", "better by 10 %", "worse by 10 %")
    return head, rows


_GROUPS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "skips, 3 layers and more": lambda of: of["skip"] and of["depth"] >= 3,
    "skips, 2 layers": lambda of: of["skip"] and of["depth"] < 3,
    "no skips": lambda of: not of["skip"],
}


def _by_shape(found: Cells, pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows as of :func:`_pairs`, over cells of one kind of network."""
    rows = []
    for name, belongs in _GROUPS.items():
        of_group = {key: of for key, of in found.items() if belongs(next(iter(of.values()))["settings"])}
        head, these = _pairs(of_group, pairs)
        rows += [(name, *row) for row in these]
    return ("networks", *head), rows


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_BETWEEN = re.compile(r"(<!-- field table: (.*?) -->\n).*?(<!-- /field table -->)", re.DOTALL)


def written(page: str) -> str:
    """Return the page with its tables made anew."""
    made = tables()
    return _BETWEEN.sub(lambda match: f"{match[1]}{made[match[2]]}\n{match[3]}", page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
