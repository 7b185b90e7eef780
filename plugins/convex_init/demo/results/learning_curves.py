"""The losses on images by epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_init.demo.results.record import Results
from convex_init.demo.results.styles import plain, style_of, title

_DIVERGED = 1e300  # finite, so that quantiles can be interpolated


def draw_losses(figure: Any, results: Results) -> None:
    """Draw the training loss by epoch: medians as lines, the range over the seeds as bands."""
    figure.set_size_inches(8.0, 4.4)
    axes = figure.add_subplot()
    ends = []
    for network in results["networks"]:
        style = style_of(network)
        low, middle, high = _range(network)
        epochs = range(len(middle))
        axes.fill_between(epochs, low, high, color=style["color"], alpha=0.12, linewidth=0)
        label = f"{network['name']}{_depth_of(results, network)}\n{network['initialisation']}"
        axes.plot(epochs, middle, label=label, linewidth=1.8, **style)
        ends.append(middle[-1])
    guessing = math.log(results["examples"]["classes"])
    axes.axhline(guessing, color="#777777", linewidth=0.8, zorder=0)
    axes.annotate(
        "guessing", (1.0, guessing), (-3, 3), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
        ha="right", fontsize=8, color="#555555",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlim(0, results["settings"]["epochs"])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epochs")
    axes.set_ylabel("training loss (cross-entropy)")
    plain(axes)
    handles, labels = axes.get_legend_handles_labels()
    # In the order of the last losses, as the lines end at the right.
    order = sorted(range(len(ends)), key=lambda i: -math.inf if math.isnan(ends[i]) else -ends[i])
    axes.legend(
        [handles[i] for i in order], [labels[i] for i in order],
        loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, labelspacing=0.9,
    )  # fmt: skip
    seeds = results["settings"]["seeds"]
    about = f"\nlines: medians of {seeds} seeds; bands: their range" if seeds > 1 else ""
    figure.suptitle(f"{title(results)}{about}", x=0.01, ha="left", fontsize=9)


def _depth_of(results: Results, network: dict[str, Any]) -> str:
    return f", {network['depth']} layers" if len(results["settings"]["depths"]) > 1 else ""


def _range(network: dict[str, Any]) -> NDArray[np.float64]:
    """Lowest, median and highest loss by epoch, NaN (not drawn) where a run that diverged takes part in them."""
    losses = [[_DIVERGED if loss is None else loss for loss in run["losses"]] for run in network["runs"]]
    found: NDArray[np.float64] = np.quantile(losses, [0.0, 0.5, 1.0], axis=0)
    return np.where(found < np.finfo(np.float32).max, found, np.nan)
