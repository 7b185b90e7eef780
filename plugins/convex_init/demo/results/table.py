"""The demo's tables, for the terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Any

from convex_init.demo.results.record import Results

_IMAGES = {"digits": "8×8 digits", "mnist": "MNIST"}
_FITTED = {"curve": "A convex function of one input", "surface": "A convex function of two inputs"}


def caption(results: Results) -> str:
    """Return in one line what was trained, how, and what the numbers are."""
    settings, examples = results["settings"], results["examples"]
    if results["task"] in _IMAGES:
        what = f"{_IMAGES[results['task']]}: {examples['train']:,} training and {examples['test']:,} test images"
        shown = ""
    else:
        what = f"{_FITTED[results['task']]}, {examples['formula']}: {examples['train']:,} points"
        shown = "test error in parts of the target's variance, "
    depths = _listed(settings["depths"])
    rates = sorted({network["lr"] for network in results["networks"]})
    rate = f"{rates[0]:g}" if len(rates) == 1 else f"at the best rate of each network ({rates[0]:g} to {rates[-1]:g})"
    epochs = f"{settings['epochs']} epochs" if settings["epochs"] > 1 else "1 epoch"
    seeds = settings["seeds"]
    summary = f"median of {seeds} seeds (lowest–highest)" if seeds > 1 else "1 seed"
    return (
        f"{what}; {depths} hidden layer{'s' * (depths != '1')} of {settings['width']}, Adam {rate}, "
        f"batch {settings['batch_size']}, {epochs}; {shown}{summary}; {results['device']}"
    )


def as_text(results: Results) -> str:
    """Return the table in aligned columns."""
    rows = [_head(results), *_rows(results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def as_markdown(results: Results) -> str:
    """Return the table in Markdown."""
    head = _head(results)
    rows = [head, ("---", "---", *["---:"] * (len(head) - 2)), *_rows(results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _listed(depths: list[int]) -> str:
    *others, last = map(str, depths)
    return f"{', '.join(others)} and {last}" if others else last


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    padded = zip(row, widths, strict=True)
    return [cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(padded)]


def _head(results: Results) -> tuple[str, ...]:
    columns = ("training loss", "test accuracy") if results["task"] in _IMAGES else ("",)
    depths = results["settings"]["depths"]
    named = [f"{depth} layers" if depth > 1 else "1 layer" for depth in depths]
    if columns == ("",):
        return ("network", "start", *named)
    if len(depths) == 1:
        return ("network", "start", *columns)
    return ("network", "start", *(f"{column}, {name}" for name in named for column in columns))


def _rows(results: Results) -> list[tuple[str, ...]]:
    cells: dict[tuple[str, str], list[str]] = {}
    for network in results["networks"]:  # of one row, the depths follow in their order
        cells.setdefault((network["name"], network["initialisation"]), []).extend(_cells(network, results["task"]))
    return [(*names, *found) for names, found in cells.items()]


def _cells(network: dict[str, Any], task: str) -> tuple[str, ...]:
    runs = network["runs"]
    if task in _IMAGES:
        accuracy = f"{100 * median(run['score'] for run in runs):.1f} %"
        return _spread([_or_infinite(run["losses"][-1]) for run in runs], _loss), accuracy
    return (_spread([_or_infinite(run["score"]) for run in runs], shown_error),)


def _spread(values: list[float], shown: Callable[[float], str]) -> str:
    if len(values) == 1:
        return shown(values[0])
    low, high = (shown(value).removesuffix(" %") for value in (min(values), max(values)))
    return f"{shown(median(values))} ({low}–{high})"


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _loss(value: float) -> str:
    if value == math.inf:
        return "diverged"
    return f"{value:.3f}" if 0.001 <= value < 1000 else f"{value:.1e}"


def shown_error(value: float) -> str:
    """Return a squared error, given in units of the variance, in per cent."""
    if value == math.inf:
        return "diverged"
    percent = 100 * value
    return f"{percent:.2g} %" if percent < 99.5 else f"{percent:.0f} %" if percent < 1000 else f"{percent:.0e} %"
