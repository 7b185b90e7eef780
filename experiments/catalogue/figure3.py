"""Figures 3 and 11: test accuracy by epoch, each network with the best setting of a grid search."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import records as files
from experiments.catalogue.grid import LAYERS, winner
from experiments.experiment import Experiment, Record, Run
from experiments.generalisation import execute, settings_of, together
from experiments.learning_curves import NAMES
from experiments.page import Page
from experiments.paper import TABLE_3, TABLE_4
from experiments.styles import draw_courses, grouped, legend_above, middle, panels
from experiments.tests_of_order import holm, signs

OURS = {"ICNN + init": "figure3", "exp-ICNN + init": "figure11"}
METHODS = {
    "figure3": ("ICNN + init", "ICNN", "ICNN + skip", "non-convex"),
    "figure11": ("exp-ICNN + init", "exp-ICNN", "non-convex"),
}
GRID = Path("results/experiments/cpu/grid.jsonl")
# 5.1 and C.5 of the paper, of which none gives a test.
_PAPER = {
    ("mnist", "ICNN"): "alike",
    ("mnist", "ICNN + skip"): "alike",
    ("mnist", "non-convex"): "alike",
    ("cifar10", "ICNN"): "ahead",
    ("cifar10", "ICNN + skip"): "ahead",
    ("cifar10", "non-convex"): "almost as good",
    ("mnist", "exp-ICNN"): "ahead by 0.2 points (Table 4)",
    ("cifar10", "exp-ICNN"): "ahead by 6.7 points (Table 4)",
}


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs: with the paper's own choices, but on a CPU with those of our grid at the same widths."""
    datasets = ("mnist",) if preset == "smoke" else ("cifar10", "mnist")
    chosen = _of_our_grid() if preset == "cpu" else _of_the_paper()
    for methods, dataset in itertools.product((METHODS["figure3"], METHODS["figure11"][:2]), datasets):
        for seed in range({"smoke": 2, "cpu": 10, "paper": 10}[preset]):
            for method in methods:
                if (dataset, method) in chosen:
                    yield {**settings_of(preset, dataset, method, **chosen[dataset, method]), "seed": seed}
    if preset == "cpu":
        yield from _controls(datasets, chosen)


def _controls(datasets: Sequence[str], chosen: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[Run]:
    """Declare the other networks with the settings of ours, which tells the start from its settings."""
    for (ours, name), dataset in itertools.product(OURS.items(), datasets):
        for seed, method in itertools.product(range(10), METHODS[name][1:]):
            if (dataset, ours) in chosen:
                settings = settings_of("cpu", dataset, method, **chosen[dataset, ours])
                yield {**settings, "settings of": ours, "seed": seed}


def _of_the_paper() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        place: {"hidden": hidden, "lr": lr, "l2": l2, "preprocessing": preprocessing}
        for place, (_best, lr, l2, preprocessing, _epoch, hidden) in (TABLE_3 | TABLE_4).items()
    }


def _of_our_grid() -> dict[tuple[str, str], dict[str, Any]]:
    """The winner of each network in the grid's file; none without the file."""
    found = {}
    for record in files.read(GRID):
        best, settings = winner(record["results"]["tried"]), record["settings"]
        hidden = next(choice for choice in LAYERS if "-".join(choice) == best["layers"])
        found[settings["dataset"], settings["method"]] = {
            "hidden": hidden,
            **{name: best[name] for name in ("lr", "l2", "preprocessing")},
        }
    return found


def report(records: Sequence[Record], page: Page) -> None:
    """Draw both figures and test the order."""
    controls = [record for record in records if "settings of" in record["settings"]]
    records = [record for record in records if "settings of" not in record["settings"]]
    settings = records[0]["settings"]
    # The last batch of an epoch takes what is left.
    steps = settings["epochs"] * -(-round((settings["limit"] or 60_000) * settings["share"]) // settings["batch_size"])
    if page.preset == "cpu":
        page.text(
            "Each network with the best setting of our grid search ([page](grid.md)), with its widths and sizes of the "
            f"images. {settings['limit']} images, of which nine tenths are trained with, {settings['epochs']} epochs "
            f"in batches of {settings['batch_size']}, {steps} steps."
        )
    for name, methods in METHODS.items():
        found = [record for record in records if record["settings"]["method"] in methods]
        if any(record["settings"]["method"] != "non-convex" for record in found):
            _figure(name, found, page)
    rows = []
    for (dataset, method), found in grouped(records, "dataset", "method").items():
        of = found[0]["settings"]
        last = [record["results"]["test"][-1] for record in found]
        best = [record["results"]["best_validation"] for record in found]
        paper = (TABLE_3 | TABLE_4)[dataset, method][0]
        rows.append(
            [f"{NAMES[dataset]}, {method}", f"{of['lr']:g}, {of['l2']:g}, {of['preprocessing']}, {of['layers']}",
             len(found), f"{100 * middle(last):.2f} %", f"{100 * min(last):.2f}–{100 * max(last):.2f} %",
             f"{100 * middle(best):.2f} %", f"{paper:.2f} %"]
        )  # fmt: skip
    page.table(
        ("network", "rate, L2, pre-processing, layers", "seeds", "test accuracy at the end", "lowest–highest",
         "best validation", "the paper's, one run"),
        rows,
    )  # fmt: skip
    _tests(
        records,
        {(ours, method): records for ours, name in OURS.items() for method in METHODS[name][1:]},
        page,
        "Two-sided sign test of the test accuracy after the last epoch, with Holm's correction over all pairs; told "
        "apart where the corrected p is below 0.05. A seed gives all networks the same training images in the same "
        "order. The paper gives no test here.",
    )
    if controls:
        _tests(
            records,
            {
                (ours, method): [record for record in controls if record["settings"]["settings of"] == ours]
                for ours, name in OURS.items()
                for method in METHODS[name][1:]
            },
            page,
            "The same with one setting for both, that of the network with the initialisation. The grid chose one for "
            "each network, from few images, so that a lead above may be one of the settings.",
        )


def _figure(name: str, records: Sequence[Record], page: Page) -> None:
    datasets = list(dict.fromkeys(record["settings"]["dataset"] for record in records))
    drawing, axes = panels(2, len(datasets))
    for column, dataset in enumerate(datasets):
        of_dataset = [record for record in records if record["settings"]["dataset"] == dataset]
        epochs = range(1, of_dataset[0]["settings"]["epochs"] + 1)
        by_method = grouped(of_dataset, "method")
        for row, (measure, label) in enumerate((("test", "test accuracy"), ("test_losses", "test loss"))):
            each = axes[row, column]
            courses = {
                method: [_filled(record["results"][measure], len(epochs)) for record in found]
                for (method,), found in by_method.items()
            }
            draw_courses(each, courses, list(epochs))
            each.set_xlabel("epoch", fontsize=9)
            each.set_ylabel(label, fontsize=9)
        axes[0, column].set_title(NAMES[dataset], fontsize=9, loc="left")
        high = axes[0, column].get_ylim()[1]
        axes[0, column].set_ylim(high - 0.2, high)
        low = axes[1, column].get_ylim()[0]
        axes[1, column].set_ylim(low, min(axes[1, column].get_ylim()[1], 3 * max(low, 0.1)))
    legend_above(drawing, axes)
    page.figure(name, drawing, "Test set, median and quartiles over the seeds.")


def _filled(course: Sequence[float | None], epochs: int) -> list[float | None]:
    return [*course, *[None] * (epochs - len(course))]  # what diverged ended early


def _tests(
    records: Sequence[Record], others: Mapping[tuple[str, str], Sequence[Record]], page: Page, caption: str
) -> None:
    """The sign tests of both data sets, with Holm's correction over all of them; ``others`` by pair of methods."""
    rows, found = [], []
    for (dataset,), of_dataset in grouped(records, "dataset").items():
        for (ours, method), candidates in others.items():
            mine = {record["seed"]: record for record in of_dataset if record["settings"]["method"] == ours}
            wanted = {"dataset": dataset, "method": method}
            pairs = [
                tuple(each["results"]["test"][-1] for each in (mine[record["seed"]], record))
                for record in candidates
                if record["seed"] in mine and wanted.items() <= record["settings"].items()
            ]
            if not pairs:
                continue
            found.append(signs(pairs))
            differences = [100 * (first - second) for first, second in pairs]
            paper = "–" if (ours, method) == ("exp-ICNN + init", "non-convex") else _PAPER.get((dataset, method), "–")
            rows.append([f"{NAMES[dataset]}, {ours} against {method}", f"{middle(differences):+.2f}", paper])
    corrected = holm([each.p for each in found])
    for row, test, p in zip(rows, found, corrected, strict=True):
        row.append("not told apart" if p >= 0.05 else "ahead" if 2 * test.wins > test.pairs else "behind")
        row += [f"{test.wins} of {test.pairs}", f"{test.p:.3g}", f"{p:.3g}"]
    page.table(
        ("pairs by seed", "median difference (%)", "the paper: it is", "ours: it is", "better", "p", "p (Holm)"),
        rows,
        caption,
    )


EXPERIMENT = Experiment(
    "figure3",
    "Figures 3 and 11: test accuracy and loss with the best settings of a grid search",
    runs,
    execute,
    report,
    together,
)
