"""Chains, our own networks and every setting, each planned with and without example inputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from convex_init.torch import ICNN, ConvexConv1d, ConvexConv2d, ConvexConv3d, ConvexLinear
from tests.torch.golden.recording import Case
from tests.torch.networks import MAPS, icnn, positive_linear


def relu_chain(*layers: nn.Module, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """The layers with an activation between any two."""
    parts = [part for layer in layers for part in (layer, activation())]
    return nn.Sequential(*parts[:-1])


def dense(depth: int = 3, bias: bool = True, **options: Any) -> nn.Sequential:
    widths = [5, *[24] * depth, 2]
    return relu_chain(*(nn.Linear(n, m, bias) for n, m in itertools.pairwise(widths)), **options)


def images() -> nn.Sequential:
    return nn.Sequential(
        *(nn.ZeroPad2d(1), nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.1)),
        *(nn.Conv2d(6, 8, (3, 2), groups=2, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.PixelShuffle(2)),
        *(nn.Flatten(), nn.Dropout(), nn.Linear(32, 10)),
    )


def down_and_up() -> nn.Sequential:
    return relu_chain(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, padding_mode="circular"),
        nn.ConvTranspose2d(8, 8, 2, stride=2),
        nn.ConvTranspose2d(8, 1, 3, padding=1),
        activation=nn.Softplus,
    )


def nested() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Flatten(), nn.Sequential(nn.Linear(12, 6), nn.ReLU())),
        *(nn.Sequential(nn.Sequential(nn.Linear(6, 6)), nn.ELU()), nn.Linear(6, 6), nn.Identity(), nn.Linear(6, 1)),
    )


def ours() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(5, 12), nn.Softplus(2.0), ConvexLinear(12, 12, positivity="softplus", fed_by="softplus")),
        *(nn.Softplus(2.0), ConvexLinear(12, 3, fed_by="softplus")),
    )


def our_images() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.ELU(), ConvexConv2d(4, 4, 3, fed_by="elu", positivity="exp")),
        *(nn.ELU(), nn.Flatten(), ConvexLinear(64, 2, fed_by="elu")),
    )


def tied() -> nn.Sequential:
    model = dense(3)
    model[4].weight = model[2].weight
    return model


def normalised() -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))


# Name: how to build it, and the shape of one input.
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "dense": (dense, (5,)),
    "dense, softplus": (lambda: dense(activation=lambda: nn.Softplus(2.0)), (5,)),
    "dense, leaky relu": (lambda: dense(activation=lambda: nn.LeakyReLU(0.2)), (5,)),
    "dense, prelu": (lambda: dense(activation=lambda: nn.PReLU(init=0.3)), (5,)),
    "dense, celu": (lambda: dense(activation=lambda: nn.CELU(2.0)), (5,)),
    "dense, tanh": (lambda: dense(activation=nn.Tanh), (5,)),
    "dense, gelu": (lambda: dense(activation=nn.GELU), (5,)),
    "dense, no biases": (lambda: dense(bias=False), (5,)),
    "dense, 7 layers": (lambda: dense(7), (5,)),
    "dense, tied": (tied, (5,)),
    "dense, double": (lambda: dense().double(), (5,)),
    "one linear layer": (lambda: nn.Linear(5, 4), (5,)),
    "one convolution": (lambda: nn.Conv1d(5, 4, 3), (5, 8)),
    "nested": (nested, (3, 4)),
    "images": (images, (1, 8, 8)),
    "down and up": (down_and_up, (1, 8, 8)),
    "sequences": (lambda: relu_chain(nn.Conv1d(3, 8, 3), nn.Conv1d(8, 8, 2, dilation=2), nn.Conv1d(8, 1, 3)), (3, 12)),
    "volumes": (lambda: relu_chain(nn.Conv3d(1, 4, 2), nn.Conv3d(4, 4, 2, groups=4), nn.Flatten()), (1, 4, 4, 4)),
    "a maximum first": (lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.MaxPool1d(2), nn.Conv1d(4, 2, 3)), (1, 12)),
    "an average first": (lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.AvgPool1d(2), nn.Conv1d(4, 2, 3)), (1, 12)),
    "batch normalisation before the relu": (normalised, (5,)),
    "layer normalisation": (lambda: nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 1)), (5,)),
    "softmax last": (lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(1)), (5,)),
    "ours": (ours, (5,)),
    "our images": (our_images, (2, 6, 6)),
    "our sequences": (lambda: relu_chain(nn.Conv1d(2, 4, 3), ConvexConv1d(4, 4, 3)), (2, 8)),
    "our volumes": (lambda: relu_chain(nn.Conv3d(2, 4, 2), ConvexConv3d(4, 4, 2, positivity="square")), (2, 4, 4, 4)),
    **{f"one positive layer, {name}": (lambda name=name: positive_linear(20, 8, name), (20,)) for name in MAPS},
    **{kind: (lambda kind=kind: icnn(kind), (3,)) for kind in ("ICNN", "ICNN + skip", "exp-ICNN", "softplus-ICNN")},
    **{f"ICNN + skip, {name}": (lambda name=name: icnn("ICNN + skip", positivity=name), (3,)) for name in MAPS},
    "ICNN, biases in the skips": (lambda: icnn("ICNN + skip", bias=False), (3,)),
    "ICNN, no biases": (lambda: icnn("ICNN", bias=False), (3,)),
    "ICNN, softplus between": (lambda: icnn("ICNN + skip", activation=nn.Softplus()), (3,)),
    "ICNN, isometric": (lambda: icnn("ICNN", method="isometric"), (3,)),
    "ICNN, isometric, skip": (lambda: icnn("ICNN + skip", method="isometric"), (3,)),
    "ICNN, non-convex": (lambda: ICNN(3, (24, 20), 1, positivity=None), (3,)),
    "ICNN, one narrow layer": (lambda: ICNN(3, (1,), 1), (3,)),
}

# Name: settings, for each of the models in ``SET``.
SETTINGS: dict[str, dict[str, Any]] = {
    "isometric": {"method": "isometric"},
    "isometric, threshold 0.5": {"method": "isometric", "threshold": 0.5},
    "threshold without isometric": {"threshold": 0.5},
    "matched moments": {"match_moments": True},
    "bias noise": {"bias_noise": 0.5},
    "gamma": {"distribution": "gamma"},
    "spike and slab": {"distribution": "spike_and_slab"},
    "two point": {"distribution": "two_point"},
    "matched gamma": {"distribution": "gamma", "match_moments": True},
    "correlation and variance": {"correlation": 0.2, "variance": 3.0},
    "skip share": {"skip_share": 0.8},
    "a map that nothing applies": {"positivity": "exp"},
    "a missing bias": {"register_missing_bias": True},
    "measured": {"calibrate": True},
}
SET = ("dense", "dense, no biases", "images", "ICNN + skip")

# Words of the user that fit one model.
CHOICES: list[tuple[str, str, dict[str, Any]]] = [
    ("dense", "one layer free", {"free": ["2"]}),
    ("dense", "one layer positive", {"positive": "4", "activation": "elu"}),
    ("dense", "without the last", {"exclude": ["6"]}),
    ("dense", "no such layer", {"positive": ["7"]}),
    ("dense", "an unknown setting", {"corelation": 0.2}),
    ("dense", "another activation for one layer", {"activation": {"4": "softplus"}}),
    ("dense, no biases", "biases for isometric weights", {"register_missing_bias": True, "method": "isometric"}),
    ("images", "all positive", {"positive": lambda path, module: True, "activation": nn.ELU()}),
    ("images", "without the first convolution", {"exclude": "1"}),
    ("ICNN + skip", "without a skip and its layer", {"exclude": ["skips.1", "layers.2"]}),
    ("ICNN + skip", "without a skip", {"exclude": ["skips.1"]}),
    ("ICNN + skip", "positive by pattern", {"positive": "layers.[23]"}),
    ("exp-ICNN", "isometric", {"method": "isometric"}),
    ("exp-ICNN", "matched moments", {"match_moments": True}),
    ("exp-ICNN", "another map", {"positivity": "softplus"}),
    ("our images", "isometric", {"method": "isometric"}),
    ("down and up", "measured", {"calibrate": True}),
]


def _case(name: str, shown: bool, options: dict[str, Any]) -> Case:
    make, shape = MODELS[name]

    def made() -> tuple[nn.Module, torch.Tensor]:
        model = make().eval()
        return model, torch.randn(32, *shape, dtype=next(model.parameters()).dtype)

    return Case(made, shown, options)


def _cases() -> dict[str, Case]:
    asked = [(name, "", {}) for name in MODELS]
    asked += [(name, f", {setting}", options) for setting, options in SETTINGS.items() for name in SET]
    asked += [(name, f", {choice}", options) for name, choice, options in CHOICES]
    return {
        f"{name}{setting}{', run' if shown else ''}": _case(name, shown, options)
        for name, setting, options in asked
        for shown in (False, True)
    }


CASES = _cases()
