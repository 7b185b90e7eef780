"""Plans and reports as text."""

from __future__ import annotations

import html
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

LEAST = 24
"""Characters that the last column of a fitted table gets, while other columns can be dropped for it."""
_NARROWEST = 12
_ENDLESS = 1 << 30


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of cells in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def in_blocks(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of cells in columns; those that do not fit into the terminal go on below, the first one repeated."""
    width = _terminal()
    sizes = [max(len(row[i]) for row in rows) + 2 for i in range(len(rows[0]))]
    blocks: list[list[int]] = [[]]
    for i in range(1, len(sizes)):
        if blocks[-1] and sum(sizes[j] for j in (0, *blocks[-1], i)) - 2 > width:
            blocks.append([])
        blocks[-1].append(i)
    return "\n\n".join(table([[row[j] for j in (0, *block)] for row in rows]) for block in blocks)


def fitted(rows: Sequence[Sequence[str]], droppable: Sequence[str] = ()) -> str:
    """Align rows of cells in columns, and fit them into the terminal; elsewhere they are as wide as they are.

    The last column is wrapped. Where less than :data:`LEAST` characters are left for it, columns are dropped.

    Args:
        rows: the first one names the columns.
        droppable: names of columns that may be dropped, the first one first.
    """
    width = _terminal()
    for name in ("", *droppable):
        if name:
            at = list(rows[0]).index(name)
            rows = [[cell for i, cell in enumerate(row) if i != at] for row in rows]
        before = sum(max(len(row[i]) for row in rows) + 2 for i in range(len(rows[0]) - 1))
        if width - before >= LEAST:
            break
    lines: list[Sequence[str]] = []
    room = max(width - before, _NARROWEST)
    for row in rows:
        wrapped = textwrap.wrap(row[-1], room) or [""]
        lines.append((*row[:-1], wrapped[0]))
        lines += [(*("" for _ in row[:-1]), rest) for rest in wrapped[1:]]
    return table(lines)


def _terminal() -> int:
    has_width = "COLUMNS" in os.environ or (sys.stdout is not None and sys.stdout.isatty())
    return shutil.get_terminal_size().columns if has_width else _ENDLESS


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells, the first one with the names of the columns, as a table of a notebook."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def signal_rows(layers: Sequence[Any]) -> list[tuple[str, ...]]:
    """Return a signal report's rows: measured values, each beside its prediction, a dash where there is none.

    Args:
        layers: with ``path``, ``mean``, ``variance``, ``correlation``, ``active`` and ``gradient``, ``predicted`` for
            the first three numbers and ``predicted_gradient``.
    """
    head = ("layer", "mean", "(theory)", "variance", "(theory)", "corr.", "(theory)", "active", "gradient", "(theory)")
    rows: list[tuple[str, ...]] = [head]
    for layer in layers:
        theory = layer.predicted
        numbers = (
            (layer.mean, theory.mean),
            (layer.variance, theory.variance),
            (layer.correlation, theory.correlation),
            (layer.active,),
            (layer.gradient, layer.predicted_gradient),
        )
        rows.append((layer.path or "(model)", *(_shown(value) for group in numbers for value in group)))
    return rows


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"
