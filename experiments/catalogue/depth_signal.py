"""What depth does before any training: to the signal, and to the singular values of the Jacobian."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from convex_init.torch import ICNN
from experiments.data.images import flat_images
from experiments.depth import build
from experiments.experiment import Context, Experiment, Record, Results, Run
from experiments.page import Page
from experiments.styles import grouped, legend_above, panels, quartiles, shown, style_of

_METHODS = ("non-convex, He", "paper", "paper, bias noise 1/2", "log-normal, matched", "isometric")
_DEPTHS = {"smoke": (5,), "cpu": (1, 2, 3, 5, 7, 10, 20, 50, 100), "paper": (1, 2, 3, 5, 7, 10, 20, 50, 100)}


def _runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    width, seeds = {"smoke": (24, 1), "cpu": (256, 5), "paper": (784, 10)}[preset]
    for seed in range(seeds):
        for method in _METHODS:
            yield {"dataset": "mnist", "width": width, "depths": _DEPTHS[preset], "method": method, "seed": seed}


@torch.no_grad()
def _execute(run: Run, context: Context) -> Results:
    inputs = torch.from_numpy(flat_images(run["dataset"], context, 512, 1).train).to(context.device)
    network = build({**run, "depth": max(run["depths"])}, inputs.shape[1], 1).to(context.device)
    assert isinstance(network, ICNN)
    first = network.layers[0]
    s = first(inputs)
    jacobian = first.weight.double()
    point = inputs[0].double()
    at_point = first.double()(point)
    found: Results = {"mean": [], "over_data": [], "active": [], "singular": []}
    layers = list(zip(network.activations, list(network.layers)[1:-1], strict=False))
    for depth in range(1, max(run["depths"]) + 1):
        if depth in run["depths"]:
            found["mean"].append(float(s.mean()))
            # The part of a unit's signal that depends on the input: its deviation over the data, root mean square.
            found["over_data"].append(float(s.var(0).mean().sqrt()))
            found["active"].append(float((s > 0).float().mean()))
            values = torch.linalg.svdvals((at_point > 0).double()[:, None] * jacobian)
            found["singular"].append([float(value) for value in values.quantile(_QUANTILES.double())])
        if depth == max(run["depths"]):
            break
        phi, layer = layers[depth - 1]
        s = layer(phi(s))
        weight = layer.weight.double()
        jacobian = weight @ ((at_point > 0).double()[:, None] * jacobian)
        at_point = weight @ at_point.relu() + layer.bias.double()
    return found


_QUANTILES = torch.tensor([0.5, 0.625, 0.75, 0.875, 0.95, 1.0])


def _report(records: Sequence[Record], page: Page) -> None:
    depths = records[0]["settings"]["depths"]
    by_method = {method: found for (method,), found in grouped(records, "method").items()}
    drawing, axes = panels(1, 3)
    titles = ("deviation of a unit over the data", "share of units that are on", "largest and 75 % singular value")
    for place, (each, title) in enumerate(zip(axes.flat, titles, strict=True)):
        for method, found in by_method.items():
            style: dict[str, Any] = style_of(method, list(by_method))
            if place < 2:
                name = ("over_data", "active")[place]
                low, middle, high = quartiles([_positive(record["results"][name]) for record in found])
                each.fill_between(depths, low, high, color=style["color"], alpha=0.18, linewidth=0)
                each.plot(depths, middle, label=method, linewidth=1.6, **style)
            else:
                for index, width in ((-1, 1.6), (2, 0.8)):
                    courses = [_positive([row[index] for row in record["results"]["singular"]]) for record in found]
                    each.plot(depths, quartiles(courses)[1], linewidth=width, **style)
        each.set(xscale="log", xlabel="hidden layers")
        each.set_title(title, fontsize=9, loc="left")
    for each in (axes[0, 0], axes[0, 2]):
        each.set(yscale="log", ylim=(1e-5, 1e3))
    legend_above(drawing, axes)
    page.figure(
        "depth_signal",
        drawing,
        "MNIST through networks that were just initialised, ReLU. Right: singular values of the Jacobian of the "
        "features by the input, at one image; thick the largest, thin the one that a quarter exceeds.",
    )
    shown_depths = [depth for depth in (5, 20, 100) if depth in depths]
    page.table(
        ("method", *(f"over the data, {depth}" for depth in shown_depths), *(f"largest, {d}" for d in shown_depths)),
        [
            [
                method,
                *(_middle(found, "over_data", depths.index(depth)) for depth in shown_depths),
                *(_middle(found, "singular", depths.index(depth)) for depth in shown_depths),
            ]
            for method, found in by_method.items()
        ],
        "Median over the seeds: deviation of a unit over the data, and the largest singular value, by hidden layers.",
    )


def _positive(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else max(value, 1e-12) for value in values]


def _middle(found: Sequence[Record], name: str, place: int) -> str:
    values = []
    for record in found:
        value = record["results"][name][place]
        values.append(value[-1] if isinstance(value, list) else value)
    return shown(float(quartiles([[value] for value in values])[1][0]), 3)


EXPERIMENT = Experiment("depth_signal", "Depth before training: signal and Jacobian", _runs, _execute, _report)
