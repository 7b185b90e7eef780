"""Which descriptors stand in for CDDD in Table 1: cross-validation on the training compounds alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from experiments.data.tox21 import read_tox21
from experiments.descriptors import features
from experiments.experiment import Context, Experiment, Record, Results, Run
from experiments.page import Page
from experiments.styles import grouped
from experiments.tox21 import SETTINGS, areas, mean_area, train

_SCALES = {"smoke": (1, 300, 1), "cpu": (5, None, 100), "paper": (5, None, 300)}  # folds, compounds, epochs


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs: the non-convex network, on which the paper tuned too, so that no ICNN is favoured."""
    folds, limit, epochs = _SCALES[preset]
    for fold in range(1, folds + 1):
        for descriptors in ("morgan",) if preset == "smoke" else ("physical", "morgan", "both"):
            yield {
                "method": "non-convex",
                "descriptors": descriptors,
                "fold": fold,
                **SETTINGS,
                "epochs": epochs,
                "limit": limit,
                "seed": 0,
            }


def execute(run: Run, context: Context) -> Results:
    """Train on four folds and the compounds without one, and measure on the fifth."""
    compounds = read_tox21(context.folder("tox21")).train.first(run["limit"])
    held_out = compounds.folds == run["fold"]
    part, rest = compounds.picked(~held_out), compounds.picked(held_out)
    inputs, tested = features(run["descriptors"], context, part, rest)
    network, _ = train(run, inputs, part.labels, context)
    found = areas(network, tested, rest.labels)
    return {"mean": mean_area(found), "areas": found, "inputs": inputs.shape[1]}


def report(records: Sequence[Record], page: Page) -> None:
    """Show the mean over folds of the mean area over assays."""
    rows = []
    for (descriptors,), found in grouped(records, "descriptors").items():
        means = [100 * record["results"]["mean"] for record in found]
        rows.append(
            [descriptors, found[0]["results"]["inputs"], len(found), f"{np.mean(means):.2f}",
             f"{min(means):.2f}–{max(means):.2f}"]
        )  # fmt: skip
    page.table(("descriptors", "number", "folds", "mean area (%)", "lowest–highest fold"), rows)


EXPERIMENT = Experiment(
    "tox21_descriptors",
    "Tox21: which of RDKit's descriptors, by cross-validation on the training compounds",
    runs,
    execute,
    report,
)
