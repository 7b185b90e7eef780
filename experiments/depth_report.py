"""Figures and tables of the experiments on depth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from experiments.depth import at_best_rate
from experiments.experiment import Record
from experiments.page import Page
from experiments.styles import draw_courses, grouped, legend_above, middle, panels, shown, style_of

_OWN = ("lr", "seed", "method", "limit", "epochs")


def depth_report(records: Sequence[Record], page: Page) -> None:
    """Learning curves at each method's best rate, the loss by rate, and a table of both."""
    of_curves = [record for found in at_best_rate(records).values() for record in found]
    names = _names(records)
    groups = _groups(of_curves, names)
    _curves(groups, names, page)
    draw_rates(records, page)
    page.table(
        ("network", "method", "rate", "seeds", "training loss", "quartiles", "test"),
        [_row(label(key, names), found) for key, of in groups.items() for found in grouped(of, "method").values()],
        "Each method at the rate that was best for seed 0 (by training loss, last epoch); median and quartiles over "
        "the seeds. Test: accuracy, or for regression the root mean square error in deviations of the target.",
    )


def weights_table(records: Sequence[Record], page: Page) -> None:
    """Add a table of what training made of the weights of the convex hidden layers, where the records say so."""
    found = [record for of in at_best_rate(records).values() for record in of if "row_sum" in record["results"]]
    if not found:
        return
    names = _names(records)
    rows = [
        [label(key, names), method, f"{of[0]['settings']['lr']:g}", str(len(of)), *map(shown, _state(of))]
        for key, of_group in _groups(found, names).items()
        for (method,), of in grouped(of_group, "method").items()
    ]
    page.table(
        ("network", "method", "rate", "seeds", "sum of a row", "weights above 0"),
        rows,
        "After training: hidden layers behind the first, the median over layers and seeds of the mean sum of a row (1 "
        "at an isometric start) and of the share of weights above 0.",
    )


def _state(records: Sequence[Record]) -> tuple[float, float]:
    return tuple(middle([record["results"][name] for record in records]) for name in ("row_sum", "above_0"))  # type: ignore[return-value]


def _groups(records: Sequence[Record], names: Sequence[str]) -> dict[tuple[Any, ...], list[Record]]:
    """The records of each network, by the values of ``names``; numbers by their size, what is not set first."""

    def place(key: tuple[Any, ...]) -> list[str]:
        return [
            "" if value is None else f"{value:09.3f}" if isinstance(value, (int, float)) else value for value in key
        ]

    found: dict[tuple[Any, ...], list[Record]] = grouped(records, *names)
    return {key: found[key] for key in sorted(found, key=place)}


def _names(records: Sequence[Record]) -> list[str]:
    names = dict.fromkeys(name for record in records for name in record["settings"] if name not in _OWN)
    varied = [name for name in names if len({json.dumps(record["settings"].get(name)) for record in records}) > 1]
    return varied or list(names)[:1]


def label(key: tuple[Any, ...], names: Sequence[str]) -> str:
    """Return a group's settings in words; ``key`` has their values in the order of ``names``."""
    parts = zip(names, key, strict=True)
    words = ((name.replace("_", " "), value) for name, value in parts if value is not None)
    return ", ".join(name if value is True else f"{name} {value}" for name, value in words)


def _curves(groups: dict[tuple[Any, ...], list[Record]], names: Sequence[str], page: Page) -> None:
    columns = min(3, len(groups))
    drawing, axes = panels(-(-len(groups) // columns), columns)
    for each, (key, found) in zip(axes.flat, groups.items(), strict=False):
        courses = {
            method: [record["results"]["losses"] for record in of] for (method,), of in grouped(found, "method").items()
        }
        points = len(next(iter(courses.values()))[0])
        epochs = found[0]["settings"].get("epochs", points)
        draw_courses(each, courses, [(point + 0.5) * epochs / points for point in range(points)])
        each.set(yscale="log", xlim=(0, epochs), xlabel="epoch")
        each.set_ylim(None, min(each.get_ylim()[1], 10.0))
        each.set_title(label(key, names), fontsize=9, loc="left")
    for each in axes.flat[len(groups) :]:
        each.set_axis_off()
    axes[0, 0].set_ylabel("training loss")
    legend_above(drawing, axes)
    page.figure(f"{page.name}_curves", drawing, "Training loss, each method at its best rate; median and quartiles.")


def draw_rates(records: Sequence[Record], page: Page) -> None:
    """Add a figure of the last training loss by learning rate, a panel for each network."""
    of_seed_0 = [record for record in records if record["settings"]["seed"] == 0]
    names = _names(records)
    groups = _groups(of_seed_0, names)
    methods = [method for (method,) in grouped(of_seed_0, "method")]
    columns = min(3, len(groups))
    drawing, axes = panels(-(-len(groups) // columns), columns)
    for each, (key, found) in zip(axes.flat, groups.items(), strict=False):
        for (method,), of in grouped(found, "method").items():
            points = sorted((record["settings"]["lr"], middle([record["results"]["loss"]])) for record in of)
            finite = [point for point in points if point[1] < 1e3]
            if finite:
                each.plot(*zip(*finite, strict=True), marker=".", label=method, **style_of(method, methods))
        each.set(xscale="log", xlabel="learning rate")
        if each.lines:
            each.set_yscale("log")
        each.set_title(label(key, names), fontsize=9, loc="left")
    for each in axes.flat[len(groups) :]:
        each.set_axis_off()
    axes[0, 0].set_ylabel("training loss of the last epoch")
    legend_above(drawing, axes)
    page.figure(f"{page.name}_rates", drawing, "Training loss by learning rate, seed 0; diverged runs are left out.")


def _row(name: str, records: Sequence[Record]) -> list[str]:
    losses = [record["results"]["loss"] for record in records]
    ordered = sorted(float("inf") if loss is None else loss for loss in losses)
    quarter = len(ordered) // 4
    name_of_test = "accuracy" if "accuracy" in records[0]["results"] else "test_rmse"
    test = middle([record["results"][name_of_test] for record in records])
    return [
        name,
        records[0]["settings"]["method"],
        f"{records[0]['settings']['lr']:g}",
        str(len(records)),
        shown(middle(losses)),
        f"{shown(ordered[quarter])}–{shown(ordered[-1 - quarter])}",
        f"{100 * test:.1f} %" if name_of_test == "accuracy" else shown(test),
    ]
