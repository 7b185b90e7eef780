"""What the grid search (Tables 2 to 4) and Figures 3 and 11 share: a run that watches validation and test accuracy."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from experiments.experiment import Context, Results, Run, run_key
from experiments.networks import build
from experiments.preprocessing import whitened_images
from experiments.training import Schedule, fit, outputs_of

# What the presets change. Widths of the paper's 1k and 10k, training images, test images, epochs.
SCALES: dict[str, dict[str, Any]] = {
    "smoke": {"1k": 8, "10k": 16, "limit": 300, "test_limit": 200, "epochs": 2},
    "cpu": {"1k": 256, "10k": 512, "limit": 5000, "test_limit": 5000, "epochs": 10},
    "paper": {"1k": 1000, "10k": 10_000, "limit": None, "test_limit": None, "epochs": 25},
}


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
        "batch_size": 128,
        "share": 0.9,
        **{name: scale[name] for name in ("limit", "test_limit", "epochs")},
    }


def execute(run: Run, context: Context) -> Results:
    """Train with a share of the training images, and measure on the others and on the test set after every epoch."""
    data = whitened_images(run["dataset"], run["preprocessing"], context, run["limit"], run["test_limit"])
    inputs, labels, test, test_labels = (
        torch.from_numpy(part).to(context.device)
        for part in (data.train, data.train_labels, data.test, data.test_labels)
    )
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(1000 + run["seed"]))
    split = round(run["share"] * len(inputs))
    training, validation = (part.to(inputs.device) for part in (order[:split], order[split:]))
    generator = torch.Generator().manual_seed(run["seed"])
    network = build(run["method"], inputs.shape[1], run["hidden"], data.classes, generator).to(inputs.device)
    found: dict[str, list[float | None]] = {"validation": [], "test": [], "test_losses": []}

    def measure(_: int) -> None:
        outputs = outputs_of(network, inputs[validation])
        found["validation"].append(_share_right(outputs, labels[validation]))
        outputs = outputs_of(network, test)
        found["test"].append(_share_right(outputs, test_labels))
        found["test_losses"].append(float(nn.functional.cross_entropy(outputs.double(), test_labels)))

    losses = fit(
        network,
        inputs[training],
        labels[training],
        Schedule(run["epochs"], run["batch_size"], run["lr"], run["l2"]),
        run["seed"],
        after_epoch=measure,
        tensorboard=None if context.tensorboard is None else context.tensorboard / "generalisation" / run_key(run),
    )
    # Equal accuracies: the earlier epoch.
    best = max(
        range(len(found["validation"])), key=lambda epoch: (found["validation"][epoch] or 0.0, -epoch), default=None
    )
    return {
        "best_validation": 0.0 if best is None else found["validation"][best],
        "best_epoch": None if best is None else best + 1,
        "test_at_best": 0.0 if best is None else found["test"][best],
        "losses": losses,
        **found,
    }


def _share_right(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    return float((outputs.argmax(-1) == labels).double().mean())
