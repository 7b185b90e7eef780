"""The demo's learning curves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_init.demo.failure import needed
from convex_init.demo.results.record import Results
from convex_init.demo.results.table import caption

# Okabe & Ito's colours, told apart by colour-blind readers too; dashes for print without colour.
_STYLES: dict[str, dict[str, Any]] = {
    "non-convex": {"color": "#000000", "linestyle": (0, (1, 1.2))},
    "ICNN": {"color": "#D55E00", "linestyle": "-"},
    "ICNN + skip": {"color": "#E69F00", "linestyle": (0, (5, 1.5))},
    "ICNN + init": {"color": "#0072B2", "linestyle": "-"},
    "exp-ICNN + init": {"color": "#009E73", "linestyle": (0, (5, 1.5, 1, 1.5))},
}
_DIVERGED = 1e300  # finite, so that quantiles can be interpolated


def draw(results: Results, path: Path) -> None:
    """Write the training loss by epoch as PNG: medians as lines, quartiles over the seeds as bands."""
    figure = needed("matplotlib.figure").Figure(figsize=(8.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for network in results["networks"]:
        style = _STYLES[network["name"]]
        low, middle, high = _quartiles(network)
        epochs = range(len(middle))
        axes.fill_between(epochs, low, high, color=style["color"], alpha=0.18, linewidth=0)
        label = f"{network['name']}\n({network['initialisation']})"
        axes.plot(epochs, middle, label=label, linewidth=1.8, **style)
    guessing = math.log(results["images"]["classes"])
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
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, labelspacing=0.9)
    axes.set_title(_title(results), loc="left", fontsize=9)
    figure.savefig(path, dpi=150)


def _title(results: Results) -> str:
    what, how, summary, _ = caption(results).split("; ")
    if results["settings"]["seeds"] > 1:
        summary += " with their quartiles"
    return f"{what}\n{how}; {summary}"


def _quartiles(network: dict[str, Any]) -> NDArray[np.float64]:
    """Quartiles and median by epoch, NaN (not drawn) where a run that diverged takes part in them."""
    losses = [[_DIVERGED if loss is None else loss for loss in run["losses"]] for run in network["runs"]]
    found: NDArray[np.float64] = np.quantile(losses, [0.25, 0.5, 0.75], axis=0)
    return np.where(found < np.finfo(np.float32).max, found, np.nan)
