"""Plans and reports as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of cells in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


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
