"""Figures 1 and 6: what the signal looks like at the start, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from convex_init.torch import signal_report
from experiments.experiment import Context, Experiment, Record, Results, Run
from experiments.networks import build
from experiments.page import Page
from experiments.styles import grouped, middle

METHODS = ("non-convex", "ICNN", "ICNN + init", "ICNN + bias-init", "ICNN + skip")
_BINS, _SHOWN = 60, 40


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs; the widths are the paper's, for 1,000 inputs from N(0, 1)."""
    widths = [20, 40, 30, 40, 10] if preset == "smoke" else [200, 400, 300, 400, 100]
    for seed in range({"smoke": 1, "cpu": 10, "paper": 10}[preset]):
        for method in METHODS:
            yield {"method": method, "widths": widths, "inputs": 1000, "seed": seed}


def execute(run: Run, _: Context) -> Results:
    """Measure one network."""
    widths = run["widths"]
    generator = torch.Generator().manual_seed(run["seed"])
    network = build(run["method"], widths[0], widths[1:-1], widths[-1], generator)
    report = signal_report(network, torch.randn(run["inputs"], widths[0], generator=generator))
    layers = []
    for layer in report.layers:
        counts, edges = np.histogram(layer.sample, _BINS, density=True)
        found: dict[str, Any] = {
            "mean": layer.mean,
            "variance": layer.variance,
            "correlation": layer.correlation,
            "predicted_mean": layer.predicted.mean,
            "predicted_variance": layer.predicted.variance,
            "predicted_correlation": layer.predicted.correlation,
            "histogram": {"from": float(edges[0]), "to": float(edges[-1]), "density": counts.tolist()},
        }
        if run["seed"] == 0:
            found["matrix"] = [
                [round(cell, 2) for cell in row] for row in layer.correlations[:_SHOWN, :_SHOWN].tolist()
            ]
        layers.append(found)
    return {"variance": report.layers[-1].variance, "layers": layers}


def report(records: Sequence[Record], page: Page) -> None:
    """Draw the network of seed 0 and tabulate the medians of all."""
    page.text(
        "**The paper's verdict:** with He's weights the pre-activations of an ICNN shift and its features become alike "
        "from layer to layer; with the initialisation both stay as in the non-convex network; noise in the biases has "
        "a subtle, yet visible effect (1, C.3). No test. Ours: the tables, read in docs/reproduction.md."
    )
    for name, methods, caption in (
        (
            "figure1",
            METHODS[:3],
            "Figure 1: non-convex, ICNN with He's weights, and with the principled initialisation.",
        ),
        ("figure6", METHODS[2:], "Figure 6: β = 0, β = 1/2; and what the free skips do."),
    ):
        shown = [record for record in records if record["settings"]["method"] in methods and record["seed"] == 0]
        page.figure(name, _drawn(shown), f"{caption} Above, pre-activations; below, correlations of features.")
    rows = []
    for (method,), found in grouped(records, "method").items():
        for index in range(len(found[0]["results"]["layers"])):
            layers = [record["results"]["layers"][index] for record in found]
            cells = [
                f"{_median(layers, name):.3g} ({_median(layers, f'predicted_{name}'):.3g})"
                for name in ("mean", "variance", "correlation")
            ]
            rows.append([method, index + 1, *cells])
    page.table(
        ("network", "layer", "mean", "variance", "correlation"),
        rows,
        f"Pre-activations: medians over {len(records) // len(METHODS)} seeds, and in brackets what the theory predicts "
        "from the moments of the weights that were drawn.",
    )


def _median(layers: Sequence[dict[str, Any]], name: str) -> float:
    return middle([layer[name] for layer in layers])


def _drawn(records: Sequence[Record]) -> Any:
    from matplotlib.figure import Figure

    columns = len(records[0]["results"]["layers"])
    figure = Figure(figsize=(2.1 * columns + 1.0, 3.4 * len(records)), layout="constrained")
    image = None
    for part, record in zip(figure.subfigures(len(records), 1, squeeze=False)[:, 0], records, strict=True):
        part.suptitle(record["settings"]["method"], fontsize=10, x=0.02, ha="left")
        axes = part.subplots(2, columns)
        for column, layer in enumerate(record["results"]["layers"]):
            top, bottom = axes[:, column]
            bars = layer["histogram"]
            edges = np.linspace(bars["from"], bars["to"], len(bars["density"]) + 1)
            top.stairs(bars["density"], edges, fill=True, color="#0072B2")
            top.set_title(f"layer {column + 1}: {layer['mean']:.2g} ± {layer['variance'] ** 0.5:.2g}", fontsize=8)
            top.tick_params(labelsize=7)
            top.set_yticks([])
            image = bottom.imshow(layer["matrix"], vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
            bottom.set_xticks([])
            bottom.set_yticks([])
        part.colorbar(image, ax=list(axes[1]), shrink=0.8)
    return figure


EXPERIMENT = Experiment(
    "figure1", "Figures 1 and 6: pre-activations and feature correlations at the start", runs, execute, report
)
