"""What the grid search (Tables 2 to 4) and Figures 3 and 11 share: a run that watches validation and test accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from experiments.experiment import Context, Results, Run, run_key
from experiments.networks import build
from experiments.preprocessing import whitened_images
from experiments.stacked import Stack, fit_stacked, shares_right
from experiments.training import Schedule

# What the presets change. Widths of the paper's 1k and 10k, training and test images, epochs, samples of a step, pixels
# in a row of the images (None: all). On a CPU 25 epochs are 9,000 steps, as in the paper.
SCALES: dict[str, dict[str, Any]] = {
    "smoke": {
        "1k": 8, "10k": 16, "limit": 300, "test_limit": 200, "epochs": 2, "batch_size": 128,
        "side": {"mnist": 14, "cifar10": 8},
    },
    "cpu": {
        "1k": 32, "10k": 128, "limit": 20_000, "test_limit": 5000, "epochs": 25, "batch_size": 50,
        "side": {"mnist": 14, "cifar10": 8},
    },
    "paper": {
        "1k": 1000, "10k": 10_000, "limit": None, "test_limit": None, "epochs": 25, "batch_size": 128,
        "side": {"mnist": None, "cifar10": None},
    },
}  # fmt: skip


def settings_of(
    preset: str, dataset: str, method: str, hidden: tuple[str, ...], lr: float, l2: float, preprocessing: str
) -> Run:
    """Return the settings of a run, but its seed; ``hidden`` in the paper's widths, such as ``("10k", "1k")``."""
    scale = SCALES[preset]
    return {
        "dataset": dataset,
        "method": method,
        "layers": "-".join(hidden),
        "hidden": [scale[width] for width in hidden],
        "lr": lr,
        "l2": l2,
        "preprocessing": preprocessing,
        "side": scale["side"][dataset],
        "share": 0.9,
        **{name: scale[name] for name in ("batch_size", "limit", "test_limit", "epochs")},
    }


def execute(run: Run, context: Context) -> Results:
    """Train with a share of the training images, and measure on the others and on the test set after every epoch."""
    return together([run], context)[0]


def together(runs: Sequence[Run], context: Context) -> list[Results]:
    """Do that for several seeds at once."""
    run = runs[0]
    data = whitened_images(run["dataset"], run["preprocessing"], context, run["limit"], run["test_limit"], run["side"])
    inputs, labels, test, test_labels = (
        torch.from_numpy(part).to(context.device)
        for part in (data.train, data.train_labels, data.test, data.test_labels)
    )
    seeds = [run["seed"] for run in runs]
    orders = torch.stack(
        [torch.randperm(len(inputs), generator=torch.Generator().manual_seed(1000 + seed)) for seed in seeds]
    ).to(inputs.device)
    split = round(run["share"] * len(inputs))
    training, validation = orders[:, :split], orders[:, split:]
    networks = [_network_of(run, data.classes, inputs) for run in runs]
    stack = Stack(networks)
    found: list[dict[str, list[float | None]]] = [{"validation": [], "test": [], "test_losses": []} for _ in runs]

    def measure(_: int) -> None:
        right = shares_right(stack.outputs_of_parts(inputs, validation), labels[validation])
        outputs = stack.outputs_of(test)
        right_in_test = shares_right(outputs, test_labels)
        for place, results in enumerate(found):
            results["validation"].append(right[place])
            results["test"].append(right_in_test[place])
            results["test_losses"].append(float(nn.functional.cross_entropy(outputs[place].double(), test_labels)))

    schedule = Schedule(run["epochs"], run["batch_size"], run["lr"], run["l2"])
    log = None if context.tensorboard is None else context.tensorboard / "generalisation" / run_key(run)
    courses = fit_stacked(stack, inputs, labels, list(training), schedule, seeds, after_epoch=measure, tensorboard=log)
    return [_summary(course, results) for course, results in zip(courses, found, strict=True)]


def _network_of(run: Run, classes: int, inputs: torch.Tensor) -> nn.Module:
    generator = torch.Generator().manual_seed(run["seed"])
    return build(run["method"], inputs.shape[1], run["hidden"], classes, generator).to(inputs.device)


def _summary(losses: list[float | None], found: dict[str, list[float | None]]) -> Results:
    measured = [share or 0.0 for share in found["validation"]]
    best = measured.index(max(measured)) if measured else None  # of equal ones the first epoch
    return {
        "best_validation": 0.0 if best is None else found["validation"][best],
        "best_epoch": None if best is None else best + 1,
        "test_at_best": 0.0 if best is None else found["test"][best],
        "losses": losses,
        **found,
    }
