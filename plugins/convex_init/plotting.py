"""The picture of a signal report, of any framework; the only module here that needs matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np


def draw_report(report: Any, path: str | None = None) -> Any:
    """Draw histograms of pre-activations (first row) above feature-correlation matrices (second row).

    Args:
        report: the ``SignalReport`` of an adapter.
        path: where to save the picture; not saved if ``None``.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plot() needs matplotlib: pip install 'convex-init[plot]'") from error
    count = len(report.layers)
    figure = Figure(figsize=(2.2 * count + 0.8, 4.4), layout="constrained")
    axes = figure.subplots(2, count, squeeze=False)
    image = None
    for column, layer in enumerate(report.layers):
        top, bottom = axes[0, column], axes[1, column]
        top.hist(np.asarray(layer.sample), bins=60, density=True, color="tab:blue")
        top.set_title(f"{layer.path or 'model'}\nmean {layer.mean:.2g}, var {layer.variance:.2g}", fontsize=8)
        top.tick_params(labelsize=7)
        top.set_yticks([])
        matrix = np.asarray(layer.correlations)
        image = bottom.imshow(matrix, vmin=-1.0, vmax=1.0, cmap="RdBu_r", interpolation="nearest")
        bottom.set_title(f"correlation {layer.correlation:.2f}", fontsize=8)
        bottom.set_xticks([])
        bottom.set_yticks([])
    axes[0, 0].set_ylabel("pre-activations", fontsize=8)
    axes[1, 0].set_ylabel("feature correlations", fontsize=8)
    if image is not None:
        figure.colorbar(image, ax=list(axes[1]), shrink=0.8)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
