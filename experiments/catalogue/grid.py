"""The grid search of Table 2, and its winners in Tables 3 and 4."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from experiments.experiment import Context, Experiment, Record, Results, Run
from experiments.generalisation import execute as train_one
from experiments.generalisation import settings_of
from experiments.halving import Data, Setting, halved
from experiments.learning_curves import NAMES
from experiments.page import Page
from experiments.paper import TABLE_3, TABLE_4
from experiments.preprocessing import KINDS, whitened_images
from experiments.styles import grouped

METHODS = ("ICNN + init", "ICNN", "ICNN + skip", "non-convex", "exp-ICNN + init", "exp-ICNN")
RATES, DECAYS = (1e-3, 1e-4, 1e-2), (0.0, 1e-2)
LAYERS = (
    ("1k",), ("10k",),
    ("1k", "1k"), ("1k", "10k"), ("10k", "1k"), ("10k", "10k"),
    ("1k", "1k", "1k"), ("1k", "10k", "1k"), ("10k", "1k", "10k"), ("10k", "10k", "10k"),
)  # fmt: skip
# By successive halving: what stands for the paper's widths, pixels in a row of the images, how many images for training
# and for validation, and the epochs of the rungs.
_HALVING: dict[str, dict[str, Any]] = {
    "smoke": {"1k": 8, "10k": 16, "train": 200, "validation": 100, "rungs": [1, 2]},
    "cpu": {"1k": 32, "10k": 128, "train": 2000, "validation": 1000, "rungs": [1, 3, 9, 25]},
}
_SIDES = {"mnist": 14, "cifar10": 8}
_BATCH = 32  # so that there are steps enough


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs: Table 2, for six networks and two data sets; but on an accelerator by successive halving."""
    if preset == "paper":
        # Few layers first: a grid that was cut off is a whole grid of smaller networks.
        for hidden, l2, dataset, kind, lr in itertools.product(LAYERS, DECAYS, ("mnist", "cifar10"), KINDS, RATES):
            for method in METHODS:
                yield {**settings_of(preset, dataset, method, hidden, lr, l2, kind), "seed": 0}
        return
    for dataset in ("mnist",) if preset == "smoke" else ("mnist", "cifar10"):
        for method in METHODS[:2] if preset == "smoke" else METHODS:
            sizes = {"side": _SIDES[dataset], "batch_size": _BATCH, **_HALVING[preset]}
            yield {"dataset": dataset, "method": method, **sizes, "seed": 0}


def execute(run: Run, context: Context) -> Results:
    """Train one setting, or halve the whole grid."""
    return _halved(run, context) if "rungs" in run else train_one(run, context)


def _halved(run: Run, context: Context) -> Results:
    count = run["train"] + run["validation"]
    parts = [whitened_images(run["dataset"], kind, context, count, 1, run["side"]) for kind in KINDS]
    inputs = torch.stack([torch.from_numpy(part.train) for part in parts]).to(context.device)
    labels = torch.from_numpy(parts[0].train_labels).to(context.device)
    split = run["train"]
    data = Data(inputs[:, :split], labels[:split], inputs[:, split:], labels[split:])
    choices = list(itertools.product(LAYERS, DECAYS, range(len(KINDS)), RATES))
    settings = [Setting(tuple(run[width] for width in hidden), lr, l2, kind) for hidden, l2, kind, lr in choices]
    found = halved(run["method"], settings, data, run["rungs"], run["batch_size"], run["seed"])
    tried = [
        {
            "lr": lr,
            "l2": l2,
            "preprocessing": KINDS[kind],
            "layers": "-".join(hidden),
            "validation": [each.best for each in of_one],
            "epoch": of_one[-1].epoch,
        }
        for (hidden, l2, kind, lr), of_one in zip(choices, found, strict=True)
    ]
    return {"features": inputs.shape[2], "tried": tried, "best": winner(tried)}


def winner(tried: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the setting with the best validation in the last rung; of equal ones the first of the grid."""
    longest = max(len(each["validation"]) for each in tried)
    return max((each for each in tried if len(each["validation"]) == longest), key=lambda each: each["validation"][-1])


def report(records: Sequence[Record], page: Page) -> None:
    """Tabulate the best setting of each network, with the paper's."""
    by_halving = [record for record in records if "rungs" in record["settings"]]
    if by_halving:
        _halving_page(by_halving, page)
    rows = []
    one_by_one = [record for record in records if "rungs" not in record["settings"]]
    for (dataset, method), found in grouped(one_by_one, "dataset", "method").items():
        best = max(found, key=lambda record: record["results"]["best_validation"])
        settings, results = best["settings"], best["results"]
        row = [f"{NAMES[dataset]}, {method}", f"{len(found)}", f"{100 * results['best_validation']:.2f} %"]
        row += [f"{settings['lr']:g}", f"{settings['l2']:g}", settings["preprocessing"], results["best_epoch"]]
        rows.append([*row, settings["layers"], _paper(dataset, method)])
    if rows:
        page.table(
            (
                "network",
                "settings tried",
                "best validation",
                "rate",
                "L2",
                "pre-processing",
                "epoch",
                "layers",
                "paper",
            ),
            rows,
        )


def _halving_page(records: Sequence[Record], page: Page) -> None:
    settings = records[0]["settings"]
    sides = " and ".join(
        f"{of_dataset[0]['settings']['side']} × {of_dataset[0]['settings']['side']} ({NAMES[dataset]})"
        for (dataset,), of_dataset in grouped(records, "dataset").items()
    )
    rungs = settings["rungs"]
    page.text(
        f"The whole grid of Table 2, 180 settings for each network, by successive halving: {rungs[0]} epoch for all, "
        f"then the best third of each rate anew for {', '.join(str(epochs) for epochs in rungs[1:-1])}"
        f"{' and ' if len(rungs) > 2 else ''}{rungs[-1]} epochs. A setting that starts slowly falls in the first rung "
        "although it might have won in the end (rates do not stand against each other because the small ones are "
        "slow); the paper trained every setting for 25 epochs. "
        f"Here 1k stands for {settings['1k']} units and 10k for {settings['10k']}; {settings['train']} images for "
        f"training and {settings['validation']} for validation, averaged over squares to {sides} pixels, so that PCA "
        f"and ZCA have several images for each of {records[0]['results']['features']} or "
        f"{records[-1]['results']['features']} numbers; batches of {settings['batch_size']}, one seed. Adam's weight "
        "decay, added to the gradient, stands for L2."
    )
    rows = []
    for record in records:
        dataset, method = (record["settings"][name] for name in ("dataset", "method"))
        best, tried = record["results"]["best"], record["results"]["tried"]
        rows.append(
            [f"{NAMES[dataset]}, {method}", f"{100 * best['validation'][-1]:.2f} %", f"{best['lr']:g}",
             f"{best['l2']:g}", best["preprocessing"], best["epoch"], best["layers"], _last(tried),
             _paper(dataset, method)]
        )  # fmt: skip
    page.table(
        ("network", "best validation", "rate", "L2", "pre-processing", "epoch", "layers", "in the last rung", "paper"),
        rows,
        "Tables 3 and 4: the best setting of each network. In the last rung: how many settings, and from the lowest to "
        "the highest validation accuracy. The paper: accuracy, rate, L2, pre-processing, epoch, layers.",
    )
    _best_by(records, page)


def _best_by(records: Sequence[Record], page: Page) -> None:
    """How much each hyper-parameter matters: the best validation with each of its values, of all rungs."""
    values: dict[str, Sequence[Any]] = {"lr": sorted(RATES), "l2": DECAYS, "preprocessing": KINDS}
    rows = []
    for record in records:
        dataset, method = (record["settings"][name] for name in ("dataset", "method"))
        row = [f"{NAMES[dataset]}, {method}"]
        for name, choices in values.items():
            for value in choices:
                of_value = [max(each["validation"]) for each in record["results"]["tried"] if each[name] == value]
                row.append(f"{100 * max(of_value):.1f}")
        rows.append(row)
    heads = [f"{name} {value}" for name, choices in values.items() for value in choices]
    page.table(
        ("network", *heads),
        rows,
        "Best validation accuracy (%) of all settings with this value, in whichever rung: those that fell early were "
        "trained for fewer epochs.",
    )


def _last(tried: Sequence[Mapping[str, Any]]) -> str:
    longest = max(len(each["validation"]) for each in tried)
    shares = [100 * each["validation"][-1] for each in tried if len(each["validation"]) == longest]
    return f"{len(shares)}: {min(shares):.1f}–{max(shares):.1f} %"


def _paper(dataset: str, method: str) -> str:
    paper = (TABLE_3 | TABLE_4).get((dataset, method))
    return "–" if paper is None else _shown(*paper)


def _shown(best: float, lr: float, l2: float, preprocessing: str, epoch: int, hidden: tuple[str, ...]) -> str:
    return f"{best:.2f} %: {lr:g}, {l2:g}, {preprocessing}, {epoch}, {'-'.join(hidden)}"


EXPERIMENT = Experiment("grid", "Tables 2, 3 and 4: the grid search", runs, execute, report)
