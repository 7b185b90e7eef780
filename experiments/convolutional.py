"""Plain convolutional networks on images: no residuals, no normalisation."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch import apply_, project_
from convex_init.torch.layers import ConvexConv2d, ConvexLinear
from experiments.depth import CARRIER, FROZEN, METHODS
from experiments.experiment import Run

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
SKIP_KERNEL = 7


class Difference(nn.Module):
    """The difference of two convex networks, which can be any function."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        """Take both; see the class."""
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        """Return the difference of the outputs."""
        found: Tensor = self.first(x) - self.second(x)
        return found


class WithSkips(nn.Module):
    """Convolutions with ReLUs between, and a free convolution of the image added to each but the first."""

    def __init__(self, shape: tuple[int, int, int], convolutions: list[nn.Conv2d], head: nn.Sequential) -> None:
        """Take the convolutions and the layers behind them; see the class."""
        super().__init__()
        self.shape, self.convolutions, self.head = shape, nn.ModuleList(convolutions), head
        strides = itertools.accumulate((layer.stride[0] for layer in convolutions), lambda a, b: a * b)
        self.skips = nn.ModuleList(
            nn.Conv2d(shape[0], layer.out_channels, SKIP_KERNEL, stride=stride, padding=SKIP_KERNEL // 2, bias=False)
            for layer, stride in itertools.islice(zip(convolutions, strides, strict=True), 1, None)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the classes' logits of flat images."""
        x = x.reshape(-1, *self.shape)
        features = self.convolutions[0](x)
        for layer, skip in zip(list(self.convolutions)[1:], self.skips, strict=True):
            features = layer(features.relu()) + skip(x)
        logits: Tensor = self.head(features.relu())
        return logits


def network_of(run: Run, classes: int, seed: int, examples: Tensor) -> nn.Module:
    """Return the network of a run.

    3×3 convolutions, or of ``first_kernel`` in the first, stride 2 in the first and in the middle; then, by ``head``,
    all positions (``"flatten"``) or their mean (``"mean"``), and one linear layer.

    Args:
        run: ``dataset``, ``channels``, ``depth``, ``method``; and, if not the usual, ``first_kernel``, ``head``,
            ``skip`` and ``difference``.
        classes: number of outputs.
        seed: of the weights.
        examples: flat images ``[samples, pixels]``, by which a network with skips is read.
    """
    if run.get("difference"):
        parts = {**run, "difference": None}
        return Difference(network_of(parts, classes, seed, examples), network_of(parts, classes, 1000 + seed, examples))
    shape, channels, depth = SHAPES[run["dataset"]], run["channels"], run["depth"]
    widths = [shape[0], *[channels] * depth]
    kernels = [run.get("first_kernel", 3), *[3] * (depth - 1)]
    down = CARRIER.get(run["method"])
    convolutions = [
        _convolution(n, m, kernel, 2 if place in (0, depth // 2) else 1, down if place else None)
        for place, ((n, m), kernel) in enumerate(zip(itertools.pairwise(widths), kernels, strict=True))
    ]
    if run.get("head", "flatten") == "mean":
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    else:
        pixels = math.prod(-(-side // 4) for side in shape[1:])
        last = nn.Linear if down is None else partial(ConvexLinear, carrier=math.inf)
        head = nn.Sequential(nn.Flatten(), last(channels * pixels, classes))
    generator = torch.Generator().manual_seed(seed)
    if run.get("skip"):
        model: nn.Module = WithSkips(shape, convolutions, head)
        examples_if_read: tuple[Tensor, ...] = (examples,)
    else:
        between = itertools.chain.from_iterable((layer, nn.ReLU()) for layer in convolutions)
        model = nn.Sequential(nn.Unflatten(1, shape), *between, *head)
        examples_if_read = ()
    chosen: dict[str, Any] | None = METHODS[run["method"]]
    if chosen is None:
        he_convolutions_(model, generator)
    else:
        # Networks with skips were measured with the gain held back, before that had a name of its own.
        held = {"method": "bounded_gain"} if run.get("skip") and chosen["method"] == "log_normal" else {}
        apply_(model, *examples_if_read, generator=generator, **{**chosen, **held})
        if run["method"] in FROZEN:
            for layer in convolutions[1:]:
                layer.requires_grad_(False)
        if run["method"] == "ICNN, He":
            he_convolutions_(model, generator)
            project_(model)
    return model


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, carrier: float | None) -> nn.Conv2d:
    """A convolution that leaves the image as large as the stride allows, beside a carrier where one is given."""
    if carrier is None:
        return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    return ConvexConv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, carrier=carrier)


@torch.no_grad()
def he_convolutions_(model: nn.Module, generator: torch.Generator) -> None:
    """Draw He's weights, LeCun's in what sees the input, and biases of 0."""
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    on_input = {layers[0], *(model.skips if isinstance(model, WithSkips) else ())}
    for layer in layers:
        second_moment = 1.0 if layer in on_input else 2.0
        layer.weight.normal_(0.0, (second_moment / layer.weight[0].numel()) ** 0.5, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
