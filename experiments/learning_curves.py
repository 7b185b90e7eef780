"""What Figures 2, 5, 7, 8, 9 and 10 share: nets of one width on images, and their training loss by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.data.images import flat_images
from experiments.experiment import Context, Experiment, Record, Results, Run, run_key
from experiments.networks import build
from experiments.page import Page
from experiments.stacked import Stack, fit_stacked
from experiments.styles import draw_courses, grouped, legend_above, log_scale, middle, panels, shown
from experiments.tests_of_order import family, holm, signs
from experiments.training import Schedule, accuracy, fit

NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
STORE = "learning_curves"

# Settings of the paper (5.1): width of the input, Adam 1e-3, batch 64, 10 epochs, 90 % of the training split, 10 seeds.
_SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"width": 24, "limit": 400, "epochs": 1},
    "cpu": {"width": 256, "limit": None, "epochs": 2},
    "paper": {"width": None, "limit": None, "epochs": 10},
}
# (data sets, depths, seeds), the most telling first.
_SCOPES: dict[str, list[tuple[tuple[str, ...], tuple[int, ...], int]]] = {
    "smoke": [(("mnist",), (3,), 2), (("cifar10",), (3,), 1)],
    "cpu": [(("mnist", "cifar10"), (5,), 10), (("cifar100",), (5,), 6), (("mnist", "cifar10", "cifar100"), (3, 7), 6)],
    "paper": [(("mnist", "cifar10", "cifar100"), (5, 3, 7), 10)],
}


def runs_of(methods: Sequence[str], depths: Sequence[int] | None = None) -> Callable[..., Iterator[Run]]:
    """Return the ``runs`` of an experiment that compares these methods, at these depths or all."""

    def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
        for datasets, all_depths, seeds in _SCOPES[preset]:
            for dataset in datasets:
                for depth in all_depths:
                    if depths is not None and preset != "smoke" and depth not in depths:
                        continue
                    for seed in range(seeds):
                        for method in methods:
                            yield {
                                "dataset": dataset,
                                "depth": depth,
                                "method": method,
                                **_SETTINGS[preset],
                                "lr": 1e-3,
                                "batch_size": 64,
                                "share": 0.9,
                                "seed": seed,
                            }

    return runs


def schedule_of(run: Run) -> Schedule:
    """Return how a run trains; ten points of the curve in each epoch."""
    return Schedule(run["epochs"], run["batch_size"], run["lr"], points=10)


def tensors(run: Run, context: Context) -> tuple[Tensor, ...]:
    """Return all training inputs and labels, then those for the test, on the device."""
    limit = run["limit"]
    images = flat_images(run["dataset"], context, limit, limit and limit // 2)
    parts = (images.train, images.train_labels, images.test, images.test_labels)
    return tuple(torch.from_numpy(part).to(context.device) for part in parts)


def chosen(run: Run, samples: int) -> Tensor:
    """Return the indices of the training samples that this seed takes: ``share`` of all, at random."""
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(1000 + run["seed"]))
    return order[: round(run["share"] * samples)]


def network_of(run: Run, inputs: Tensor, classes: int) -> torch.nn.Module:
    """Return the network of a run, drawn from its seed, on the device of the inputs."""
    features = inputs.shape[1]
    hidden = [run["width"] or features] * run["depth"]
    generator = torch.Generator().manual_seed(run["seed"])
    return build(run["method"], features, hidden, classes, generator).to(inputs.device)


def execute(run: Run, context: Context) -> Results:
    """Train one network."""
    inputs, labels, test, test_labels = tensors(run, context)
    network = network_of(run, inputs, int(labels.max()) + 1)
    part = chosen(run, len(inputs)).to(inputs.device)
    log = None if context.tensorboard is None else context.tensorboard / STORE / run_key(run)
    losses = fit(network, inputs[part], labels[part], schedule_of(run), run["seed"], tensorboard=log)
    return {"loss": losses[-1], "accuracy": accuracy(network, test, test_labels), "losses": losses}


def together(runs: Sequence[Run], context: Context) -> list[Results]:
    """Train the networks of several seeds at once."""
    inputs, labels, test, test_labels = tensors(runs[0], context)
    stack = Stack([network_of(run, inputs, int(labels.max()) + 1) for run in runs])
    parts = [chosen(run, len(inputs)).to(inputs.device) for run in runs]
    seeds = [run["seed"] for run in runs]
    log = None if context.tensorboard is None else context.tensorboard / STORE / run_key(runs[0])
    courses = fit_stacked(stack, inputs, labels, parts, schedule_of(runs[0]), seeds, tensorboard=log)
    accuracies = stack.accuracies(test, test_labels)
    return [
        {"loss": losses[-1], "accuracy": share, "losses": losses}
        for losses, share in zip(courses, accuracies, strict=True)
    ]


def figure(records: Sequence[Record], page: Page, name: str, caption: str, depths: Sequence[int] | None = None) -> None:
    """Add a figure of training losses to ``page``: a column for each data set, a row for each depth; and its table."""
    if depths is not None:
        records = [record for record in records if record["settings"]["depth"] in depths]
    by_panel = grouped(records, "dataset", "depth")
    datasets = list(dict.fromkeys(dataset for dataset, _ in by_panel))
    rows = sorted({depth for _, depth in by_panel})
    drawing, axes = panels(len(rows), len(datasets))
    for row, depth in enumerate(rows):
        for column, dataset in enumerate(datasets):
            each = axes[row, column]
            if (dataset, depth) not in by_panel:
                each.set_axis_off()
                continue
            _panel(each, by_panel[dataset, depth])
            each.set_title(f"{NAMES[dataset]}, {depth} hidden layers", fontsize=9, loc="left")
            each.set_xlabel("epoch", fontsize=9)
        axes[row, 0].set_ylabel("training loss", fontsize=9)
    legend_above(drawing, axes)
    page.figure(name, drawing, caption)
    page.table(
        ("data, hidden layers", "network", "seeds", "loss at the end", "quartiles", "test accuracy"),
        [
            _row(dataset, depth, method, found)
            for (dataset, depth, method), found in grouped(records, "dataset", "depth", "method").items()
        ],
    )


def order(records: Sequence[Record], page: Page, ours: str) -> None:
    """Add the tests of who has the lower loss at the end, ``ours`` or another network, seed by seed."""
    rows: list[list[str]] = []
    ps, seeds = list[float](), list[int]()
    for (dataset, depth), of_panel in grouped(records, "dataset", "depth").items():
        by_method = {
            method: {record["seed"]: _end(record) for record in found}
            for (method,), found in grouped(of_panel, "method").items()
        }
        for method, others in by_method.items():
            # Signs of the larger second one: the lower loss is the better.
            pairs = [(loss, by_method[ours][seed]) for seed, loss in others.items() if seed in by_method.get(ours, {})]
            if method != ours and pairs:
                found = signs(pairs)
                rows.append([f"{NAMES[dataset]}, {depth}: {ours} against {method}", f"{found.wins} of {found.pairs}"])
                ps.append(found.p)
                seeds.append(len(pairs))
    can_tell = family(seeds)
    corrected = dict(zip(can_tell, holm([ps[index] for index in can_tell]), strict=True))
    page.table(
        ("data, hidden layers", "lower loss", "p", "p (Holm)"),
        [
            [*row, f"{p:.3g}", f"{corrected[index]:.3g}" if index in corrected else "–"]
            for index, (row, p) in enumerate(zip(rows, ps, strict=True))
        ],
        "Two-sided sign tests of the training loss at the end, seed by seed; a seed gives all networks the same images "
        "in the same order. Comparisons of so few seeds that no outcome could be below 0.05 with the correction have "
        "none (Tarone 1990): their p stands by itself.",
    )


def _end(record: Record) -> float:
    loss = record["results"]["loss"]
    return float("inf") if loss is None else float(loss)


def _panel(axes: Any, records: Sequence[Record]) -> None:
    courses = {
        method: [record["results"]["losses"] for record in found]
        for (method,), found in grouped(records, "method").items()
    }
    points = len(next(iter(courses.values()))[0])
    epochs = records[0]["settings"]["epochs"]
    draw_courses(axes, courses, [(point + 0.5) * epochs / points for point in range(points)])
    log_scale(axes)
    axes.set_xlim(0, epochs)
    _, high = axes.get_ylim()
    axes.set_ylim(None, min(high, 30.0))  # He's start is at thousands; what matters is below the plateau


def _row(dataset: str, depth: int, method: str, records: Sequence[Record]) -> list[str]:
    losses = [record["results"]["loss"] for record in records]
    ordered = sorted(float("inf") if loss is None else loss for loss in losses)
    low, high = ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]
    return [
        f"{NAMES[dataset]}, {depth}",
        method,
        str(len(records)),
        shown(middle(losses)),
        f"{shown(low)}–{shown(high)}",
        f"{100 * middle([record['results']['accuracy'] for record in records]):.1f} %",
    ]


def declare(
    name: str,
    title: str,
    methods: Sequence[str],
    caption: str,
    depths: Sequence[int] | None = None,
    ours: str = "ICNN + init",
    verdict: str = "",
) -> Experiment:
    """Return the experiment behind one figure, with tests of ``ours``; figures share their runs in one file.

    ``verdict`` is the paper's on its figure, in our words.
    """

    def report(records: Sequence[Record], page: Page) -> None:
        page.text(f"**The paper's verdict:** {verdict} Ours: the tests below the table, read in docs/reproduction.md.")
        figure(records, page, name, caption)
        order(records, page, ours)

    return Experiment(name, title, runs_of(methods, depths), execute, report, together, STORE)
