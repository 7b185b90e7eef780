"""The demo's table, for the terminal and for Markdown."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from convex_init.demo.results.record import Results

_NAMES = {"digits": "8×8 digits", "mnist": "MNIST"}
_HEAD = ("network", "initialisation", "training loss", "lowest–highest", "test accuracy", "seconds")


def caption(results: Results) -> str:
    """Return in one line what was trained, how, and what the numbers are."""
    settings, images = results["settings"], results["images"]
    seeds = settings["seeds"]
    epochs = f"{settings['epochs']} epochs" if settings["epochs"] > 1 else "1 epoch"
    summary = f"medians of {seeds} seeds" if seeds > 1 else "1 seed"
    return (
        f"{_NAMES[settings['dataset']]}: {images['train']:,} training and {images['test']:,} test images; "
        f"{settings['depth']} hidden layers of {settings['width']}, Adam {settings['lr']:g}, "
        f"batch {settings['batch_size']}, {epochs}; {summary}; {results['device']}"
    )


def as_text(results: Results) -> str:
    """Return the table in aligned columns."""
    rows = [_HEAD, *(_row(network) for network in results["networks"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def as_markdown(results: Results) -> str:
    """Return the table in Markdown."""
    rows = [_HEAD, ("---", "---", "---:", "---:", "---:", "---:"), *(_row(network) for network in results["networks"])]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    padded = zip(row, widths, strict=True)
    return [cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(padded)]


def _row(network: dict[str, Any]) -> tuple[str, ...]:
    runs = network["runs"]
    losses = [math.inf if run["losses"][-1] is None else run["losses"][-1] for run in runs]
    return (
        network["name"],
        network["initialisation"],
        _loss(median(losses)),
        f"{_loss(min(losses))}–{_loss(max(losses))}",
        f"{100 * median(run['accuracy'] for run in runs):.1f} %",
        f"{median(run['seconds'] for run in runs):.1f}",
    )


def _loss(value: float) -> str:
    if value == math.inf:
        return "diverged"
    return f"{value:.3f}" if 0.001 <= value < 1000 else f"{value:.1e}"
