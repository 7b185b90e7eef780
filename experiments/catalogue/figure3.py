"""Figures 3 and 11: test accuracy by epoch, each network with its settings from Tables 3 and 4."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

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


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs: the paper's own choices, at the preset's sizes.

    On a CPU nothing is whitened: the moments of 3,072 pixels cannot be had from some thousand images.
    """
    datasets = ("mnist",) if preset == "smoke" else ("cifar10", "mnist")
    for methods, dataset in itertools.product((METHODS["figure3"], METHODS["figure11"][:2]), datasets):
        for seed in range({"smoke": 2, "cpu": 10, "paper": 10}[preset]):
            for method in methods:
                _best, lr, l2, preprocessing, _epoch, hidden = (TABLE_3 | TABLE_4)[dataset, method]
                if preset == "cpu":
                    preprocessing = "none"
                yield {**settings_of(preset, dataset, method, hidden, lr, l2, preprocessing), "seed": seed}


def report(records: Sequence[Record], page: Page) -> None:
    """Draw both figures and test the order."""
    for name, methods in METHODS.items():
        found = [record for record in records if record["settings"]["method"] in methods]
        if any(record["settings"]["method"] != "non-convex" for record in found):
            _figure(name, found, page)
    rows = []
    for (dataset, method), found in grouped(records, "dataset", "method").items():
        last = [record["results"]["test"][-1] for record in found]
        best = [record["results"]["best_validation"] for record in found]
        paper = (TABLE_3 | TABLE_4)[dataset, method][0]
        rows.append(
            [f"{NAMES[dataset]}, {method}", len(found), f"{100 * middle(last):.2f} %",
             f"{100 * min(last):.2f}–{100 * max(last):.2f} %", f"{100 * middle(best):.2f} %", f"{paper:.2f} %"]
        )  # fmt: skip
    page.table(
        ("network", "seeds", "test accuracy at the end", "lowest–highest", "best validation", "the paper's, one run"),
        rows,
    )
    for dataset in dict.fromkeys(record["settings"]["dataset"] for record in records):
        _tests([record for record in records if record["settings"]["dataset"] == dataset], NAMES[dataset], page)


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


def _tests(records: Sequence[Record], dataset: str, page: Page) -> None:
    by_method = grouped(records, "method")
    rows, ps = [], []
    for ours, name in OURS.items():
        mine = {record["seed"]: record["results"]["test"][-1] for record in by_method.get((ours,), ())}
        for method in METHODS[name][1:]:
            pairs = [
                (mine[record["seed"]], record["results"]["test"][-1])
                for record in by_method.get((method,), ())
                if record["seed"] in mine
            ]
            if not pairs:
                continue
            found = signs(pairs)
            differences = [100 * (first - second) for first, second in pairs]
            rows.append([f"{ours} against {method}", f"{middle(differences):+.2f}", f"{found.wins} of {found.pairs}"])
            ps.append(found.p)
    for row, p, corrected in zip(rows, ps, holm(ps), strict=True):
        row += [f"{p:.3g}", f"{corrected:.3g}"]
    page.table(
        ("pairs by seed", "median difference (%)", "better", "p", "p (Holm)"),
        rows,
        f"{dataset}: two-sided sign test of the test accuracy after the last epoch; a seed gives all networks the same "
        "training images in the same order.",
    )


EXPERIMENT = Experiment(
    "figure3",
    "Figures 3 and 11: test accuracy and loss with the settings of Tables 3 and 4",
    runs,
    execute,
    report,
    together,
)
