"""The page of the benchmark, from its result file alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.experiment import Record
from experiments.field.kinds import MEASURES, kind_rows, use_rows
from experiments.field.ratios import (
    MAIN_RIVALS,
    against,
    best_rival,
    cells,
    errors,
    is_complete,
    ratio,
    shape_of,
    steps_saved,
    tally,
)
from experiments.field.starts import METHODS
from experiments.page import Page
from experiments.styles import draw_courses, legend_above, log_scale, middle, panels, shown

Cells = Mapping[tuple[object, ...], Mapping[str, Record]]
# Of ours, in the tables by cell; all are in the picture.
USED = ("default", "auto", "auto, targets", "non-convex, He")
SHOWN = ("auto", "bounded_gain", "bounded_gain, spread", "spike_and_slab, spread", "isometric", "isometric, spread")


def report(records: Sequence[Record], page: Page) -> None:
    """Ratios to the best rival by method, by cell; steps; courses."""
    found = {key: of for key, of in cells(records).items() if best_rival(of)}
    first = next(iter(records))["settings"]
    page.text(
        "A cell is a task and a shape of network (hidden layers × width, activation, free skips or none). Each "
        "method trains with Adam at its own best rate (by validation, on two seeds, from a grid that is extended "
        f"until the best is not at its end), {first['steps']} steps of {first['batch']} (flows, convolutions and "
        "partially convex networks, which cost more, 200 to 400 steps), the rate constant for two "
        f"thirds of them and then falling to 0; {first['seeds']} seeds, each with its own data, the same for all "
        "methods. Ratio: test error by that of the rival that is best in the cell, geometric mean over the seeds "
        "and 90 % of its bootstrap. Errors are in variances of the target (for a map, its L2-UVP; for a solid, of "
        "the stress; for a regulariser, of the noise), for digits and labels the cross-entropy, for a flow the nats "
        "beyond the entropy of the data; below 0.00001 they count as that. Cells are a covering "
        "subset, not the product of tasks and shapes; tasks were divided into two halves, one to tune on, before "
        "anything was run (`experiments/field/tasks/__init__.py`)."
    )
    _summary(found, page)
    _map_of_ratios(found, page)
    names = SHOWN
    page.table(
        ("task", "network", "half", "best rival", "its error", "default", *names, "not convex"),
        [_row(of, names) for of in found.values()],
        "Ratios to the best rival; bold where 90 % of the bootstrap is below 1. A star: not all of the main rivals "
        "have been tried there.",
    )
    page.table(
        ("task", "network", "default's last error", *names),
        [_steps_row(of, names) for of in found.values() if "default" in of],
        "Share of the steps after which a method is at the error that the clamped default ends with.",
    )
    complete = list(found.values())
    page.table(
        *kind_rows(complete, "auto"),
        "`auto` by kind of cell; steps: median share of them after which it is at the clamped default's last error.",
    )
    page.table(
        *use_rows(complete, USED),
        f"What the networks are for: {'; '.join(f'{name}, {text}' for name, text in MEASURES.items())}. Medians.",
    )
    _courses(found, page)


def tally_rows(found: Cells) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and rows of the table that counts, over the complete cells, where each method stands."""
    rows = []
    for name, method in METHODS.items():
        for half in ("tune", "held out"):
            cells_of = [of for of in found.values() if is_complete(of) and _settings(of)["half"] == half]
            ratios = [each for each in (against(of, name) for of in cells_of) if each is not None]
            if ratios:
                counts = tally(ratios)
                shares = (f"{100 * share:.0f} %" for share in (counts.level, counts.better, counts.worse))
                rows.append((name, method.kind, half, str(counts.cells), f"{counts.mean:.2f}", *shares))
    return ("method", "", "half", "cells", "mean ratio", "level or better", "better by 10 %", "worse by 10 %"), rows


def _settings(of: Mapping[str, Record]) -> Mapping[str, object]:
    settings: Mapping[str, object] = next(iter(of.values()))["settings"]
    return settings


def _summary(found: Cells, page: Page) -> None:
    head, rows = tally_rows(found)
    complete = sum(is_complete(of) for of in found.values())
    page.table(
        head,
        rows,
        f"Against the best (other) rival of each of the {complete} cells that have all of {', '.join(MAIN_RIVALS)} "
        "(the last where there is ½|Ax|²), whatever the map. Level or better: the interval reaches 1. The last two "
        "count the ratio itself, noise or not. Methods have different cells; compare only rows with equally many.",
    )


def _row(of: Mapping[str, Record], names: Sequence[str]) -> list[str]:
    rival = best_rival(of)
    record = of[rival]

    def cell(name: str) -> str:
        return ratio(of[name], record).shown() if name in of else ""

    default = "best" if rival == "default" else cell("default")
    settings = record["settings"]
    error = shown(middle(errors(record)), 4)
    mark = cell("non-convex, He")
    star = "" if is_complete(of) else " *"
    return [settings["task"], shape_of(record), settings["half"], rival + star, error, default, *map(cell, names), mark]


def _steps_row(of: Mapping[str, Record], names: Sequence[str]) -> list[str]:
    default = of["default"]

    def cell(name: str) -> str:
        if name not in of:
            return ""
        share = steps_saved(of[name], default)
        return "never" if math.isinf(share) else f"{share:.2f}"

    return [default["settings"]["task"], shape_of(default), shown(middle(errors(default)), 4), *map(cell, names)]


def _map_of_ratios(found: Cells, page: Page, least: int = 5) -> None:
    """Colours: cells, those of a group and a half together, by methods that are in at least so many of them."""
    there = [name for of in found.values() for name in of]
    names = [name for name in METHODS if there.count(name) >= min(least, len(found))]
    ordered = sorted(found.values(), key=lambda of: (_settings(of)["group"], _settings(of)["half"]))
    values = np.full((len(ordered), len(names)), np.nan)
    for line, of in enumerate(ordered):
        for column, name in enumerate(names):
            each = against(of, name)
            values[line, column] = np.nan if each is None else np.clip(math.log2(each.middle), -2.0, 2.0)
    drawing, axes = panels(1, 1, 4.5 + 0.3 * len(names), 2.5 + 0.17 * len(ordered))
    drawn = axes[0, 0].imshow(values, cmap="RdBu_r", vmin=-2.0, vmax=2.0, aspect="auto")
    axes[0, 0].set_facecolor("0.85")
    labels = [f"{_settings(of)['task']}: {shape_of(next(iter(of.values())))}" for of in ordered]
    held = [_settings(of)["half"] != "tune" for of in ordered]
    marked = [f"{label}{' (held out)' * out}" for label, out in zip(labels, held, strict=True)]
    axes[0, 0].set_yticks(range(len(labels)), marked, fontsize=6)
    axes[0, 0].set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    axes[0, 0].grid(visible=False)
    drawing.colorbar(drawn, label="log₂ of the ratio to the best (other) rival", shrink=0.5)
    page.figure(
        f"{page.name}_ratios", drawing, "Blue: ahead of the best rival; red: behind; white: level; grey: not run."
    )


def _courses(found: Cells, page: Page, most: int = 18) -> None:
    """One cell of each group and shape first, test error by step: curves by what they are, named above the panel."""
    chosen: dict[tuple[object, ...], Mapping[str, Record]] = {}
    for key, of in found.items():
        if "default" in of and "auto" in of:
            chosen.setdefault((_settings(of)["group"], *key[2:]), of)
    some = _in_turns(list(chosen.values()))[:most]
    if not some:
        return
    columns = min(3, len(some))
    drawing, axes = panels(-(-len(some) // columns), columns)
    for each, of in zip(axes.flat, some, strict=False):
        rival = best_rival(of)
        ours = [name for name in of if METHODS[name].kind == "ours" and not METHODS[name].where.get("composed", False)]
        ours = [name for name in ours if name != "auto"]
        other = min(ours, key=lambda name: middle(errors(of[name])), default="")
        roles = {"default, clamped": "default", "best rival": rival, "auto": "auto", "best other of ours": other}
        roles["non-convex"] = "non-convex, He"
        courses = {role: of[name]["results"]["courses"] for role, name in roles.items() if name in of}
        record = of["auto"]
        draw_courses(each, courses, record["results"]["tested"])
        log_scale(each)
        each.set_ylim(None, min(each.get_ylim()[1], 10.0))
        named = [
            record["settings"]["task"] + ", " + shape_of(record),
            f"rival: {rival}",
            f"ours: {other}" * bool(other),
        ]
        each.set_title("\n".join(filter(None, named)), fontsize=7, loc="left")
        each.set_xlabel("steps")
    for each in axes.flat[len(some) :]:
        each.set_axis_off()
    axes[0, 0].set_ylabel("test error")
    legend_above(drawing, axes)
    page.figure(
        f"{page.name}_courses", drawing, "Test error at each method's best rate; median and quartiles of the seeds."
    )


def _in_turns(cells_: Sequence[Mapping[str, Record]]) -> list[Mapping[str, Record]]:
    """The first cell of each group, then the second of each."""
    of_group: dict[object, list[Mapping[str, Record]]] = {}
    for of in cells_:
        of_group.setdefault(_settings(of)["group"], []).append(of)
    turns = itertools.zip_longest(*of_group.values())
    return [of for turn in turns for of in turn if of is not None]
