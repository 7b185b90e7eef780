"""How curves and figures look: one style for each method, medians and quartiles, panels of data sets and depths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.experiment import Record

# Okabe & Ito's colours, told apart by colour-blind readers too; dashes for print without colour.
_BLACK, _ORANGE, _SKY, _GREEN, _BLUE, _RED, _PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
STYLES: dict[str, dict[str, Any]] = {
    "non-convex": {"color": _BLACK, "linestyle": (0, (1, 1.2))},
    "ICNN": {"color": _RED, "linestyle": "-"},
    "ICNN + skip": {"color": _ORANGE, "linestyle": (0, (5, 1.5))},
    "ICNN + init": {"color": _BLUE, "linestyle": "-"},
    "ICNN + bias-init": {"color": _PURPLE, "linestyle": (0, (3, 1))},
    "ICNN + init (corr: 0.1)": {"color": _GREEN, "linestyle": (0, (3, 1))},
    "ICNN + init (corr: 0.9)": {"color": _SKY, "linestyle": (0, (5, 1.5, 1, 1.5))},
    "ICNN + init (only shift)": {"color": _PURPLE, "linestyle": (0, (3, 1))},
    "ICNN + init (only shift, as run)": {"color": _SKY, "linestyle": (0, (5, 1.5, 1, 1.5))},
    "ICNN + isometric": {"color": _GREEN, "linestyle": "-"},
    "exp-ICNN": {"color": _RED, "linestyle": "-"},
    "exp-ICNN + skip": {"color": _ORANGE, "linestyle": (0, (5, 1.5))},
    "exp-ICNN + init": {"color": _BLUE, "linestyle": "-"},
}
_OTHERS = (_GREEN, _SKY, _PURPLE, _ORANGE, _RED, _BLUE)
_DIVERGED = 1e300  # finite, so that quantiles can be interpolated


def style_of(name: str, methods: Sequence[str]) -> dict[str, Any]:
    """Return the style of a method; one that has none of its own gets the next colour."""
    if name in STYLES:
        return STYLES[name]
    others = [method for method in methods if method not in STYLES]
    return {"color": _OTHERS[others.index(name) % len(_OTHERS)], "linestyle": (0, (4, 1, 1, 1))}


def quartiles(courses: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    """Return lower quartile, median and upper quartile by point, NaN (not drawn) where a diverged run decides them."""
    values = [[_DIVERGED if value is None else value for value in course] for course in courses]
    found: NDArray[np.float64] = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    return np.where(found < 1e30, found, np.nan)


def draw_courses(
    axes: Any, courses: Mapping[str, Sequence[Sequence[float | None]]], positions: Sequence[float]
) -> None:
    """Draw the median and the quartiles of each method's courses against ``positions``."""
    for name, of_method in courses.items():
        low, middle, high = quartiles(of_method)
        style = style_of(name, list(courses))
        axes.fill_between(positions, low, high, color=style["color"], alpha=0.18, linewidth=0)
        axes.plot(positions, middle, label=name, linewidth=1.6, **style)


def panels(rows: int, columns: int, width: float = 3.6, height: float = 2.9) -> tuple[Any, NDArray[Any]]:
    """Return a figure and its axes ``[rows, columns]``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns + 0.6, height * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def log_scale(axes: Any) -> None:
    """Make the vertical axis logarithmic, with plain numbers."""
    from matplotlib.ticker import LogFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(LogFormatter(labelOnlyBase=False))
    axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))


_INCHES_PER_LETTER = 0.07  # at 9 points, a little more than the mean


def legend_above(figure: Any, axes: NDArray[Any]) -> None:
    """One legend for all panels."""
    labels: dict[str, Any] = {}
    for each in axes.flat:
        labels.update(zip(*reversed(each.get_legend_handles_labels()), strict=True))
    widest = _INCHES_PER_LETTER * (max(map(len, labels)) + 6)  # with its line
    columns = max(1, min(2 * axes.shape[1], 5, int(figure.get_figwidth() / widest)))  # what fits above the panels
    figure.legend(labels.values(), labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=9)


def grouped(records: Sequence[Record], *names: str) -> dict[tuple[Any, ...], list[Record]]:
    """Return the records by these settings, in the order of their first appearance."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record["settings"].get(name) for name in names), []).append(record)
    return groups


def middle(values: Sequence[float | None]) -> float:
    """Return the median, a diverged run counting as infinite."""
    found = sorted(math.inf if value is None else value for value in values)
    half = len(found) // 2
    return found[half] if len(found) % 2 else 0.5 * (found[half - 1] + found[half])


def shown(value: float, digits: int = 3) -> str:
    """Return a loss for a table."""
    if math.isinf(value):
        return "diverged"
    return f"{value:.{digits}f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.1e}"
