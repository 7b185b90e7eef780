"""The grid search of Table 2, and its winners in Tables 3 and 4."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from experiments.experiment import Experiment, Record, Run
from experiments.generalisation import execute, settings_of
from experiments.learning_curves import NAMES
from experiments.page import Page
from experiments.paper import TABLE_3, TABLE_4
from experiments.preprocessing import KINDS
from experiments.styles import grouped

METHODS = ("ICNN + init", "ICNN", "ICNN + skip", "non-convex", "exp-ICNN + init", "exp-ICNN")
RATES, DECAYS = (1e-3, 1e-4, 1e-2), (0.0, 1e-2)
LAYERS = (
    ("1k",), ("10k",),
    ("1k", "1k"), ("1k", "10k"), ("10k", "1k"), ("10k", "10k"),
    ("1k", "1k", "1k"), ("1k", "10k", "1k"), ("10k", "1k", "10k"), ("10k", "10k", "10k"),
)  # fmt: skip


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs: Table 2, for six networks and two data sets."""
    if preset == "smoke":
        choices = [("mnist", "PCA", 1e-3, 0.0, ("1k",)), ("mnist", "ZCA", 1e-3, 1e-2, ("1k", "10k"))]
    else:
        # Few layers first: a grid that was cut off is a whole grid of smaller networks.
        all_choices = itertools.product(LAYERS, DECAYS, ("mnist", "cifar10"), KINDS, RATES)
        choices = [(dataset, kind, lr, l2, hidden) for hidden, l2, dataset, kind, lr in all_choices]
    for dataset, preprocessing, lr, l2, hidden in choices:
        for method in METHODS:
            yield {**settings_of(preset, dataset, method, hidden, lr, l2, preprocessing), "seed": 0}


def report(records: Sequence[Record], page: Page) -> None:
    """Tabulate the best setting of each network, with the paper's."""
    rows = []
    for (dataset, method), found in grouped(records, "dataset", "method").items():
        best = max(found, key=lambda record: record["results"]["best_validation"])
        settings, results = best["settings"], best["results"]
        row = [f"{NAMES[dataset]}, {method}", f"{len(found)}", f"{100 * results['best_validation']:.2f} %"]
        row += [f"{settings['lr']:g}", f"{settings['l2']:g}", settings["preprocessing"], results["best_epoch"]]
        row.append(settings["layers"])
        paper = (TABLE_3 | TABLE_4).get((dataset, method))
        row.append("–" if paper is None else _shown(*paper))
        rows.append(row)
    page.table(
        ("network", "settings tried", "best validation", "rate", "L2", "pre-processing", "epoch", "layers", "paper"),
        rows,
    )


def _shown(best: float, lr: float, l2: float, preprocessing: str, epoch: int, hidden: tuple[str, ...]) -> str:
    return f"{best:.2f} %: {lr:g}, {l2:g}, {preprocessing}, {epoch}, {'-'.join(hidden)}"


EXPERIMENT = Experiment("grid", "Tables 2, 3 and 4: the grid search", runs, execute, report)
