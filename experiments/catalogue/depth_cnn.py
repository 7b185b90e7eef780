"""Plain input-convex convolutional networks, without residuals or normalisation: does any depth train?"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch import apply_
from experiments.data.images import flat_images
from experiments.depth import METHODS, RATES, Scope, declare, of_last_epoch
from experiments.depth_report import depth_report
from experiments.experiment import Context, Results, Run
from experiments.training import Schedule, accuracy, fit

_SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


class _Difference(nn.Module):
    """The difference of two convex networks, which can be any function."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.first(x) - self.second(x)
        return found


def _network(run: Run, classes: int, seed: int) -> nn.Module:
    """3×3 convolutions, stride 2 in the first and in the middle, mean over the positions, one linear layer."""
    channels, depth = run["channels"], run["depth"]
    widths = [_SHAPES[run["dataset"]][0], *[channels] * depth]
    layers: list[nn.Module] = [nn.Unflatten(1, _SHAPES[run["dataset"]])]
    for place, (n, m) in enumerate(itertools.pairwise(widths)):
        layers += [nn.Conv2d(n, m, 3, stride=2 if place in (0, depth // 2) else 1, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    chosen: dict[str, Any] | None = METHODS[run["method"]]
    generator = torch.Generator().manual_seed(seed)
    if chosen is not None:
        apply_(model, generator=generator, **chosen)
        return model
    first = True
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            second = 1.0 if first else 2.0  # LeCun's first layer, He's behind a ReLU
            nn.init.normal_(layer.weight, 0.0, (second / layer.weight[0].numel()) ** 0.5, generator=generator)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            first = False
    return model


def _execute(run: Run, context: Context) -> Results:
    images = flat_images(run["dataset"], context, run["limit"], 2000)
    inputs, labels, test, test_labels = (
        torch.from_numpy(part).to(context.device)
        for part in (images.train, images.train_labels, images.test, images.test_labels)
    )
    network = _network(run, images.classes, run["seed"])
    if run.get("difference"):
        network = _Difference(network, _network(run, images.classes, 1000 + run["seed"]))
    network.to(context.device)
    losses = fit(network, inputs, labels, Schedule(run["epochs"], 64, run["lr"], points=5), run["seed"])
    return {
        "loss": of_last_epoch(losses, run["epochs"]),
        "accuracy": accuracy(network, test, test_labels),
        "losses": losses,
    }


def _settings(preset: str, depth: int, **more: Any) -> list[Run]:
    limit, epochs, channels = {"smoke": (128, 1, 4), "cpu": (4000, 4, 24), "paper": (60000, 4, 64)}[preset]
    base = {"dataset": "mnist", "limit": limit, "epochs": epochs, "channels": channels, "depth": depth, **more}
    return [{**base, "method": method} for method in ("non-convex, He", "isometric", "paper, bias noise 1/2")]


def _scopes(preset: str) -> list[Scope]:
    if preset == "smoke":
        return [Scope(_settings(preset, 3), RATES[2:3])]
    rates = RATES[2:] if preset == "cpu" else RATES
    plain = [Scope(_settings(preset, depth), rates, 1 if preset == "cpu" else 10) for depth in (10, 5, 20)]
    convex = slice(1, 2)
    return [
        *plain,
        Scope(_settings(preset, 10, difference=True)[convex], rates),
        Scope(_settings(preset, 10, channels=48)[convex], rates),
    ]


EXPERIMENT = declare("depth_cnn", "Depth on MNIST: plain convolutional networks", _scopes, depth_report, _execute)
