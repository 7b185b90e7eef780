"""Free skips into every layer, before training: does the output stay what it should be, in every draw?"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

import torch

from experiments.data.images import flat_images
from experiments.depth import build
from experiments.experiment import Context, Experiment, Record, Results, Run
from experiments.page import Page
from experiments.styles import shown

_METHODS = ("paper", "log-normal, matched", "paper, bias noise 1/2", "isometric")
_LOST = 10.0


def _runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    draws, width, depths = {
        "smoke": (2, 16, (3,)),
        "cpu": (100, 128, (5, 10, 20, 40)),
        "paper": (100, 784, (5, 10, 20, 40)),
    }[preset]
    for depth in depths:
        for method in _METHODS:
            yield {"dataset": "mnist", "limit": 200, "width": width, "depth": depth, "method": method, "draws": draws}


@torch.no_grad()
def _execute(run: Run, context: Context) -> Results:
    images = flat_images(run["dataset"], context, run["limit"], 1)
    inputs = torch.from_numpy(images.train)
    variances = []
    for seed in range(run["draws"]):
        network = build({**run, "skip": True, "seed": seed}, inputs.shape[1], images.classes)
        variances.append(float(network(inputs).var()))
    return {"variances": variances}


def _report(records: Sequence[Record], page: Page) -> None:
    rows = []
    for record in records:
        run, variances = record["settings"], record["results"]["variances"]
        lost = sum(not variance < _LOST for variance in variances)
        middle = shown(statistics.median(variances))
        rows.append(
            [f"depth {run['depth']}", run["method"], middle, shown(max(variances)), f"{lost} of {len(variances)}"]
        )
    page.table(
        ("network", "method", "variance of the outputs, median", "largest", f"above {_LOST:g}"),
        rows,
        "ICNNs with a free skip into every layer, just initialised, on 200 images of MNIST; one number for each draw.",
    )


EXPERIMENT = Experiment("depth_skips", "Depth: free skips, before training", _runs, _execute, _report)
