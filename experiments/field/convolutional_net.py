"""A convolutional network as learnt regularisers have it (Mukherjee et al. 2020), or with several outputs a classifier.

One number for each image: the channels of the last convolution, summed over all places, in a positive linear layer. The
function that computes it takes the parameters of one network or of several, stacked.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.field.networks import ACTIVATIONS, MAPS, Shape

KERNEL = 3


class ConvolutionalNet(nn.Module):
    """``z ← φ(map(W) * z + b + S * x)``, then the sum over places (the mean, for classes) and a linear layer."""

    def __init__(self, shape: Shape) -> None:
        """Build it with torch's own initialisation; see :class:`experiments.field.networks.Shape`."""
        super().__init__()
        self.shape, self.quadratic = shape, None
        channels = shape.width
        self.first = nn.Conv2d(1, channels, KERNEL, padding="same")
        inner = range(shape.depth - 1)
        convolutions = [nn.Conv2d(channels, channels, KERNEL, padding="same") for _ in inner]
        self.layers = nn.ModuleList([*convolutions, nn.Linear(channels, shape.outputs)])
        self.skips = nn.ModuleList(
            nn.Conv2d(1, channels, KERNEL, padding="same", bias=False) for _ in inner if shape.skip
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[images, outputs]`` of ``[images, pixels]``."""
        return convolutional(self.shape, dict(self.named_parameters()), x)

    def linears(self, *, free: bool) -> list[nn.Conv2d | nn.Linear]:
        """Return the positive layers, or those that see the image."""
        layers = (self.first, *self.skips) if free else tuple(self.layers)
        return [layer for layer in layers if isinstance(layer, (nn.Conv2d, nn.Linear))]


def convolutional(shape: Shape, of: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return the outputs of one network, or of several with a leading axis for the network."""
    stacked, side = x.dim() == 3, round(shape.inputs**0.5)
    networks = len(x) if stacked else 1
    images = x.transpose(0, 1) if stacked else x[:, None]
    images = images.reshape(-1, networks, side, side)  # networks are groups of channels
    phi, positive = ACTIVATIONS[shape.activation], MAPS[shape.positivity]

    def convolved(z: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if stacked:
            weight, bias = weight.flatten(0, 1), None if bias is None else bias.flatten()
        return functional.conv2d(z, weight, bias, padding="same", groups=networks)

    z = convolved(images, of["first.weight"], of["first.bias"])
    fan_in = shape.width * KERNEL**2
    for place in range(shape.depth - 1):
        weight = positive(of[f"layers.{place}.weight"], fan_in)
        z = convolved(phi(z), weight, of[f"layers.{place}.bias"])
        if shape.skip:
            z = z + convolved(images, of[f"skips.{place}.weight"], None)
    over_places = phi(z).sum((2, 3)) if shape.outputs == 1 else phi(z).mean((2, 3))
    last = f"layers.{shape.depth - 1}"
    weight, bias = positive(of[f"{last}.weight"], shape.width), of[f"{last}.bias"]
    if not stacked:
        return functional.linear(over_places, weight, bias)
    over_places = over_places.view(-1, networks, shape.width).transpose(0, 1)
    return torch.baddbmm(bias.unsqueeze(1), over_places, weight.transpose(1, 2))
