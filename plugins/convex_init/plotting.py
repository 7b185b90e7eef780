"""The signal report with its picture, for every framework; the only module here that needs matplotlib."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from convex_init_core.reporting import report
from convex_init_core.reporting.report import LayerSignal

_COLUMNS = 8  # layers in a row of the picture
_DEVIATIONS = 4.0  # of the theory's normal curve that are drawn
_SHOWN = 0.99  # of the pre-activations: the few far out would squeeze all others into one bar


class SignalReport(report.SignalReport):
    """The :class:`LayerSignal` of every layer, in the order of the signal; prints as a table, and can be drawn."""

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw histograms of the pre-activations above feature-correlation matrices (Fig. 1 and 6 of the paper).

        The histograms show the middle 99 % of the numbers. A line shows the normal density of the mean and variance
        that the theory predicts, where it predicts any.

        Args:
            path: where to save the picture; folders are made. Not saved if ``None``.

        Returns:
            The matplotlib figure.

        Raises:
            ModuleNotFoundError: if matplotlib is missing: ``pip install 'convex-init[plot]'``.
        """
        return draw_report(self, path)


def draw_report(shown: report.SignalReport, path: str | Path | None = None) -> Any:
    """Draw a report in rows of up to eight layers; see :meth:`SignalReport.plot`."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plot() needs matplotlib: pip install 'convex-init[plot]'") from error
    count = len(shown.layers)
    columns, blocks = min(count, _COLUMNS), -(-count // _COLUMNS)
    figure = Figure(figsize=(2.2 * columns + 0.8, 4.4 * blocks), layout="constrained")
    axes = figure.subplots(2 * blocks, columns, squeeze=False)
    for place in range(blocks * columns):
        top, bottom = axes[2 * (place // columns), place % columns], axes[2 * (place // columns) + 1, place % columns]
        if place < count:
            _draw_histogram(top, shown.layers[place])
            _draw_correlations(bottom, shown.layers[place])
        else:
            top.set_axis_off()
            bottom.set_axis_off()
    for block in range(blocks):
        axes[2 * block, 0].set_ylabel(f"pre-activations (middle {_SHOWN:.0%})", fontsize=8)
        axes[2 * block + 1, 0].set_ylabel("feature correlations", fontsize=8)
    drawn = [axis for axis in axes[::2].flat if axis.lines]
    if drawn:
        drawn[0].legend(fontsize=6, frameon=False, handlelength=1.0, loc="upper right")
    images = [axis.images[0] for axis in axes.flat if axis.images]
    if images:
        figure.colorbar(images[0], ax=list(axes[1]), shrink=0.8)  # one for all, where the eye begins
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return figure


def _draw_histogram(axis: Any, layer: LayerSignal) -> None:
    sample = np.asarray(layer.sample, dtype=np.float64)
    finite = sample[np.isfinite(sample)]
    if finite.size:
        low, high = np.quantile(finite, [0.5 - _SHOWN / 2, 0.5 + _SHOWN / 2])
        shown = finite[(finite >= low) & (finite <= high)]
        weights = np.full(shown.size, 1.0 / finite.size)
        heights, edges = np.histogram(shown, bins=60, weights=weights)
        axis.stairs(heights / np.diff(edges), edges, fill=True, color="tab:blue")
    theory = layer.predicted
    if theory.variance > 0.0 and math.isfinite(theory.mean):
        std = math.sqrt(theory.variance)
        s = np.linspace(theory.mean - _DEVIATIONS * std, theory.mean + _DEVIATIONS * std, 200)
        density = np.exp(-0.5 * ((s - theory.mean) / std) ** 2) / (std * math.sqrt(2.0 * math.pi))
        axis.plot(s, density, color="black", linewidth=0.8, label="theory")
    axis.set_title(f"{_short(layer.path)}\nmean {layer.mean:.2g}, var {layer.variance:.2g}", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.locator_params(axis="x", nbins=4)
    axis.set_yticks([])


def _draw_correlations(axis: Any, layer: LayerSignal) -> None:
    matrix = np.asarray(layer.correlations)
    axis.set_xticks([])
    axis.set_yticks([])
    if matrix.shape[0] < 2:
        axis.text(0.5, 0.5, "one unit", ha="center", va="center", fontsize=8, transform=axis.transAxes)
        return
    axis.imshow(matrix, vmin=-1.0, vmax=1.0, cmap="RdBu_r", interpolation="nearest")
    axis.set_title(f"correlation {round(layer.correlation, 2) + 0.0:.2f}", fontsize=8)  # + 0.0: no −0.00


def _short(path: str) -> str:
    name = path or "model"
    return name if len(name) <= 24 else f"…{name[-23:]}"
