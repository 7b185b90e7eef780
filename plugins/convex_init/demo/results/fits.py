"""The functions that were fitted: targets and networks as curves, or as level lines."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_init.demo.functions import REACH
from convex_init.demo.results.record import DRAWN, Results
from convex_init.demo.results.styles import DEFAULT, OURS, plain, title
from convex_init.demo.results.table import shown_error

_STARTS = {"default": (DEFAULT, "torch's default, clamped"), "ours": (OURS, "ours")}
_LEVELS = 9
_TARGET: dict[str, Any] = {"color": "black", "alpha": 0.25}


def draw_curves(figure: Any, results: Results) -> None:
    """Draw a function of one input: for each depth a panel of curves above one of errors, a line for each seed."""
    depths = results["settings"]["depths"]
    figure.set_size_inches(3.1 * len(depths) + 0.6, 6.2)
    panels = figure.subplots(2, len(depths), sharey="row", squeeze=False, height_ratios=(3, 2))
    target = np.array(results["examples"]["target"])
    x = np.linspace(-REACH, REACH, len(target))
    span = float(np.ptp(target))
    for axes, below, depth in zip(*panels, depths, strict=True):
        axes.plot(x, target, **_TARGET, linewidth=5.0, label="target", solid_capstyle="round")
        for start, (colour, name) in _STARTS.items():
            for k, run in enumerate(_network(results, start, depth)["runs"]):
                style = {"color": colour, "linewidth": 1.4, "linestyle": _dashes(start)}
                axes.plot(x, _numbers(run["drawn"]), label=None if k else f"ICNN, {name}", **style)
                below.plot(_numbers(run["losses"]), **style)
        axes.set_title(f"{_layers(depth)}\n{_errors(results, depth)}", fontsize=9)
        axes.set_xlabel("x")
        axes.set_ylim(float(target.min()) - 0.15 * span, float(target.max()) + 0.1 * span)
        below.set_yscale("log")
        below.set_ylim(top=10.0)  # a start may be anywhere
        below.set_xlim(0, results["settings"]["epochs"])
        below.set_xlabel("epochs")
        plain(axes)
        plain(below)
    panels[0, 0].set_ylabel("f(x), scaled to variance 1")
    panels[1, 0].set_ylabel("training error (1: a constant)")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(f"{title(results)}; a line for each seed", x=0.01, ha="left", fontsize=9)


def draw_level_lines(figure: Any, results: Results) -> None:
    """Draw a function of two inputs: level lines, a row for each start, a column for each depth."""
    depths = results["settings"]["depths"]
    figure.set_size_inches(2.8 * len(depths) + 0.6, 6.9)
    panels = figure.subplots(len(_STARTS), len(depths), sharex=True, sharey=True, squeeze=False)
    flat = np.array(results["examples"]["target"])
    side = round(len(flat) ** 0.5)
    axis = np.linspace(-REACH, REACH, side)
    target = flat.reshape(side, side).T  # the first input to the right
    levels = np.linspace(float(flat.min()), float(flat.max()), _LEVELS + 2)[1:-1]
    for row, (start, (colour, name)) in zip(panels, _STARTS.items(), strict=True):
        for axes, depth in zip(row, depths, strict=True):
            lines = {"levels": levels, "linestyles": "solid"}
            axes.contour(axis, axis, target, **lines, colors="black", linewidths=4.0, alpha=_TARGET["alpha"])
            values = _numbers(_network(results, start, depth)["runs"][0]["drawn"]).reshape(side, side).T
            if ((values.min() < levels) & (levels < values.max())).any():
                axes.contour(axis, axis, values, **lines, colors=colour, linewidths=1.5)
            else:
                axes.text(
                    0.0, 0.0, "flat: no level lines", ha="center", color=colour, fontsize=9, backgroundcolor="white"
                )
            axes.set_title(f"{_layers(depth)}: {_error(results, start, depth)}", fontsize=9)
            axes.set_aspect("equal")
            axes.set_xticks([-2, -1, 0, 1, 2])
            axes.set_yticks([-2, -1, 0, 1, 2])
            plain(axes)
        row[0].set_ylabel(f"{name}\n\ny", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("x")
    drawn = [({**_TARGET, "linewidth": 4.0}, "target")]
    drawn += [({"color": colour, "linewidth": 1.5}, f"ICNN, {name}") for colour, name in _STARTS.values()]
    handles = [panels[0, 0].plot([], [], label=name, **style)[0] for style, name in drawn]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(f"{title(results)}; level lines of the first seed", x=0.01, ha="left", fontsize=9)


def _network(results: Results, start: str, depth: int) -> dict[str, Any]:
    found: list[dict[str, Any]] = results["networks"]
    return next(n for n in found if (n["name"], n["start"], n["depth"]) == (DRAWN, start, depth))


def _numbers(values: list[float | None]) -> NDArray[np.float64]:
    """Values as an array, NaN (not drawn) for what was not finite."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _error(results: Results, start: str, depth: int) -> str:
    scores = [run["score"] for run in _network(results, start, depth)["runs"]]
    return f"error {shown_error(median(np.inf if score is None else score for score in scores))}"


def _errors(results: Results, depth: int) -> str:
    default, ours = (_error(results, start, depth).removeprefix("error ") for start in _STARTS)
    return f"error: default {default}, ours {ours}"


def _layers(depth: int) -> str:
    return f"{depth} layers" if depth > 1 else "1 layer"


def _dashes(start: str) -> Any:
    return (0, (5, 1.5)) if start == "default" else "-"
