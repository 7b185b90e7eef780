"""Ordinary classifiers with the shape of their inputs: those that have a convex form, and those that have none."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrizations

from convex_init.torch import ICNN, ConvexConv2d, ConvexLinear

IMAGE = (6, 2, 9, 9)


def normalised(layer, shape):
    """A normalisation that has seen something."""
    layer.train()
    layer(torch.randn(shape) * 2.0 + 1.0)
    return layer.eval()


def dense(*between, n=5, widths=(8, 7, 6), classes=3):
    """Layers with an activation of its own class behind each; the same module may be used twice."""
    sizes, layers = (n, *widths), []
    for place, (n_in, n_out) in enumerate(zip(sizes, widths, strict=False)):
        layers += [nn.Linear(n_in, n_out), between[place % len(between)]]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))


def images(*layers, channels=4):
    """A convolution and a ReLU in front, so that there is a carrier from the second product on."""
    return nn.Sequential(nn.Conv2d(2, channels, 3, padding=1), nn.ReLU(), *layers)


def head():
    return nn.Flatten(), nn.LazyLinear(3)


CLASSIFIERS = {
    "one hidden layer": (lambda: dense(nn.ReLU(), widths=(8,)), (20, 5)),
    "linear": (lambda: nn.Sequential(nn.Linear(5, 3)), (20, 5)),
    "relu": (lambda: dense(nn.ReLU()), (20, 5)),
    "no biases": (lambda: nn.Sequential(nn.Linear(5, 6, False), nn.ReLU(), nn.Linear(6, 3, False)), (20, 5)),
    "activations": (lambda: dense(nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Softplus(2.0)), (20, 5)),
    "more activations": (lambda: dense(nn.CELU(0.5), nn.PReLU(), nn.Threshold(0.0, 0.0)), (20, 5)),
    "linear layers in a row": (lambda: dense(nn.ReLU(), nn.Identity(), nn.Dropout()), (20, 5)),
    "relu twice": (lambda: nn.Sequential(dense(nn.ReLU()), nn.ReLU(), nn.ReLU(), nn.Linear(3, 4)), (20, 5)),
    "softmax at the end": (lambda: nn.Sequential(dense(nn.ReLU()), nn.LogSoftmax(1)), (20, 5)),
    "relu at the end": (lambda: nn.Sequential(dense(nn.ReLU()), nn.ReLU()), (20, 5)),
    "batch norm": (
        lambda: nn.Sequential(
            nn.Linear(5, 8),
            normalised(nn.BatchNorm1d(8), (99, 8)),
            nn.ReLU(),
            nn.Linear(8, 6),
            normalised(nn.BatchNorm1d(6, affine=False), (99, 6)),
            nn.ReLU(),
            nn.Linear(6, 3),
        ),
        (20, 5),
    ),
    "flattened image": (lambda: nn.Sequential(nn.Flatten(), *dense(nn.ReLU(), n=162)), IMAGE),
    "unflattened": (lambda: nn.Sequential(nn.Unflatten(1, (2, 9, 9)), images(nn.Conv2d(4, 4, 3), *head())), (6, 162)),
    "zero padding": (
        lambda: images(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=2), *head()),
        IMAGE,
    ),
    "same padding, dilation": (
        lambda: images(nn.Conv2d(4, 4, 3, padding="same", dilation=2), nn.ReLU(), *head()),
        IMAGE,
    ),
    "reflected padding": (
        lambda: images(
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.ReflectionPad2d(1), *head()
        ),
        IMAGE,
    ),
    "strides": (
        lambda: images(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 4, 2, (2, 1)), nn.ReLU(), *head()),
        IMAGE,
    ),
    "groups": (
        lambda: images(nn.Conv2d(4, 8, 3, groups=2), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), *head()),
        IMAGE,
    ),
    "max pooling": (lambda: images(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2), *head()), IMAGE),
    "overlapping windows": (
        lambda: images(
            nn.Conv2d(4, 4, 3), nn.MaxPool2d((3, 2), 1, (1, 0)), nn.LeakyReLU(0.1), nn.Conv2d(4, 4, 2), *head()
        ),
        IMAGE,
    ),
    "max pooling at once": (
        lambda: nn.Sequential(nn.MaxPool2d(2), *images(nn.MaxPool2d(2), nn.Conv2d(4, 4, 2), *head())),
        IMAGE,
    ),
    "average pooling": (
        lambda: images(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.AvgPool2d(3, 2, 1), nn.Conv2d(4, 4, 2), *head()),
        IMAGE,
    ),
    "zeros around": (
        lambda: images(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.ZeroPad2d(2), nn.Conv2d(4, 4, 3), *head()),
        IMAGE,
    ),
    "features at each place": (
        lambda: nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 4), nn.ELU(), *head()),
        IMAGE,
    ),
    "mean at the end": (lambda: images(nn.Conv2d(4, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), IMAGE),
    "flatten in front of relu": (lambda: images(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.ReLU(), nn.LazyLinear(3)), IMAGE),
    "one channel on": (
        lambda: images(nn.Conv2d(4, 4, 9), nn.ReLU(), nn.Flatten(), nn.ReLU(), nn.Linear(100, 3)),
        (6, 2, 13, 13),
    ),
    "signals": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3),
            nn.ReLU(),
            nn.Conv1d(4, 4, 3, 2, 1),
            normalised(nn.BatchNorm1d(4), (9, 4, 9)),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
        (6, 2, 20),
    ),
    "volumes": (
        lambda: nn.Sequential(
            nn.Conv3d(1, 3, 2),
            nn.ReLU(),
            nn.Conv3d(3, 3, 2),
            nn.ReLU(),
            nn.MaxPool3d(2, 1),
            nn.Flatten(),
            nn.LazyLinear(2),
        ),
        (4, 1, 5, 5, 5),
    ),
    "one of ours": (lambda: ICNN(5, [8, 8, 8], 3, activation="softplus"), (20, 5)),
    "baseline of ours": (lambda: ICNN(5, [8, 8, 8], 3, positivity=None), (20, 5)),
    "a map on a weight": (
        lambda: nn.Sequential(
            nn.Linear(5, 8), nn.ReLU(), ConvexLinear(8, 8, positivity="exp"), nn.ReLU(), nn.Linear(8, 3)
        ),
        (20, 5),
    ),
    "weight norm": (
        lambda: nn.Sequential(
            nn.Linear(5, 8), nn.ReLU(), parametrizations.weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 3)
        ),
        (20, 5),
    ),
    "layers of ours": (
        lambda: images(
            ConvexConv2d(4, 4, 3, carrier=0.1), nn.ReLU(), nn.Flatten(), ConvexLinear(196, 3, carrier=float("inf"))
        ),
        IMAGE,
    ),
}


class Own(nn.Linear):
    """Does something else than a linear layer."""

    def forward(self, x):
        return super().forward(x).abs()


class OwnNorm(nn.BatchNorm1d):
    """Likewise, than a normalisation, far from its examples."""

    def forward(self, x):
        return super().forward(x).clamp(-1e3, 1e3)


class OwnDropout(nn.Dropout):
    """Likewise, than nothing."""

    def forward(self, x):
        return x.clamp(-1e3, 1e3)


class OwnChain(nn.Module):
    """Has a part of the name that a network of ours has."""

    def __init__(self):
        super().__init__()
        self.chain = dense(nn.ReLU())

    def forward(self, x):
        return self.chain(x)


class Doubled(nn.Sequential):
    """Likewise, than a chain."""

    def forward(self, x):
        return super().forward(x) + super().forward(x)


def hooked():
    model = dense(nn.ReLU())
    model[2].register_forward_hook(lambda module, args, output: output.abs())
    return model


def too_large():
    """Finite weights, whose product is no number of float64 either."""
    layers = [nn.Linear(3, 3, bias=False) for _ in range(10)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e38)
    return nn.Sequential(*layers)


def replaced(place):
    model = dense(nn.ReLU())
    layer = model if place is None else model[place]
    before = layer.forward
    layer.forward = lambda x: before(x).clamp(-1e3, 1e3)
    return model


REFUSED = {
    "one output": (lambda: dense(nn.ReLU(), classes=1), (9, 5), "one output is no softmax .* regression"),
    "sigmoid": (lambda: nn.Sequential(dense(nn.ReLU()), nn.Sigmoid()), (9, 5), "1: a sigmoid sees the shift"),
    "tanh": (lambda: dense(nn.Tanh()), (9, 5), r"1: activation 'Tanh' .* concave"),
    "gelu": (lambda: dense(nn.ReLU(), nn.GELU()), (9, 5), "3: activation 'GELU'"),
    "softmax inside": (lambda: dense(nn.Softmax(1)), (9, 5), r"1: Softmax is no layer that as_convex knows; write"),
    "layer norm": (lambda: nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3)), (9, 5), "1: LayerNorm"),
    "own forward": (lambda: nn.Sequential(Own(5, 4), nn.ReLU(), nn.Linear(4, 3)), (9, 5), "0: Own is no layer"),
    "own chain": (lambda: Doubled(nn.Linear(5, 3)), (9, 5), "the classifier: Doubled is no layer"),
    "hook": (hooked, (9, 5), "2: it has hooks"),
    "own norm": (
        lambda: nn.Sequential(nn.Linear(5, 4), OwnNorm(4), nn.ReLU(), nn.Linear(4, 3)),
        (9, 5),
        "1: OwnNorm is no layer",
    ),
    "own dropout": (lambda: dense(nn.ReLU(), OwnDropout()), (9, 5), "3: OwnDropout is no layer"),
    "own dropout at the end": (lambda: nn.Sequential(dense(nn.ReLU()), OwnDropout()), (9, 5), "1: OwnDropout is no"),
    "a part named chain": (OwnChain, (9, 5), "the classifier: OwnChain is no layer"),
    "replaced forward": (lambda: replaced(1), (9, 5), "1: its forward was replaced"),
    "replaced forward of the chain": (lambda: replaced(None), (9, 5), "the classifier: its forward was replaced"),
    "softmax over the batch": (
        lambda: nn.Sequential(dense(nn.ReLU()), nn.Softmax(0)),
        (9, 5),
        r"1: Softmax does not make probabilities .* end with one Softmax\(1\)",
    ),
    "softmax of a softmax": (
        lambda: nn.Sequential(dense(nn.ReLU()), nn.Softmax(1), nn.Identity(), nn.LogSoftmax(1)),
        (9, 5),
        "3: LogSoftmax does not make probabilities",
    ),
    "batch norm alone": (
        lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 3)),
        (9, 5),
        "2: BatchNorm1d is known directly behind",
    ),
    "batch statistics": (
        lambda: nn.Sequential(
            nn.Linear(5, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.ReLU(), nn.Linear(4, 3)
        ),
        (9, 5),
        "1: BatchNorm1d has no running statistics",
    ),
    "no flatten": (
        lambda: images(nn.Linear(9, 3), nn.Flatten(), nn.Linear(108, 3)),
        IMAGE,
        "2: Linear sums another axis",
    ),
    "part flattened": (
        lambda: images(nn.Flatten(2), nn.Flatten(), nn.Linear(324, 3)),
        IMAGE,
        "2: Flatten must join all",
    ),
    "logits at many places": (lambda: images(nn.Conv2d(4, 3, 3), nn.Flatten()), IMAGE, "carriers at 49 positions"),
    "ceil mode": (
        lambda: images(nn.Conv2d(4, 4, 3), nn.MaxPool2d(2, ceil_mode=True), *head()),
        IMAGE,
        "3: MaxPool2d with ceil",
    ),
    "skips": (lambda: ICNN(5, [4, 4], 3, skip=True), (9, 5), "free skips"),
    "not finite": (
        lambda: nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 3).requires_grad_(False)),
        (9, 5),
        "1: its weight holds NaN",
    ),
    "too large": (too_large, (9, 3), "finite logits"),
    "images of logits": (lambda: images(nn.Conv2d(4, 3, 3)), IMAGE, r"\(batch, classes\), got \(6, 3, 7, 7\)"),
}
