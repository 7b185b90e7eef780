"""The network of the benchmark as its practitioners write it: fully connected, with or without free skips."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "softplus": functional.softplus,
    "elu": functional.elu,
}
# Of weights and their fan-in.
MAPS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "clamp": lambda weight, _: weight,  # set to 0 behind each step instead
    "free": lambda weight, _: weight,  # of either sign: the non-convex outer mark
    "softplus": lambda weight, _: functional.softplus(weight),
    "softplus/fan_in": lambda weight, fan_in: functional.softplus(weight) / fan_in,
    "relu": lambda weight, _: torch.relu(weight),
    "exp": lambda weight, _: torch.exp(weight),
    "max-affine": lambda weight, _: weight,  # no network: the largest of ``width`` affine functions, an outer mark
}


@dataclass(frozen=True)
class Shape:
    """What decides a network but its weights.

    Attributes:
        inputs: columns of the input.
        outputs: columns of the output.
        width: of each hidden layer.
        depth: hidden layers; the first is free, the others and the output layer are positive.
        skip: whether every layer behind the first also sees the input through a free map.
        activation: a name of :data:`ACTIVATIONS`.
        positivity: a name of :data:`MAPS`.
        quadratic: whether ½|Ax|² is added to the output, with a free square matrix A, as in networks for potentials.
        form: a name of :data:`experiments.field.forms.FORMS`: fully connected, convolutional or partially convex.
        decisions: leading columns of the input in which a partially convex network is convex.
    """

    inputs: int
    outputs: int
    width: int
    depth: int
    skip: bool
    activation: str = "relu"
    positivity: str = "clamp"
    quadratic: bool = False
    form: str = "dense"
    decisions: int = 0


class ConvexNet(nn.Module):
    """``z ← φ(map(W) z + b + S x)``, and the output without φ."""

    def __init__(self, shape: Shape) -> None:
        """Build it with torch's own initialisation; see :class:`Shape`."""
        super().__init__()
        self.shape = shape
        widths = [shape.width] * shape.depth + [shape.outputs]
        if shape.positivity == "max-affine":
            widths = [shape.width]
        self.first = nn.Linear(shape.inputs, shape.width)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.skips = nn.ModuleList(nn.Linear(shape.inputs, b, bias=False) for b in widths[1:] if shape.skip)
        self.quadratic = nn.Linear(shape.inputs, shape.inputs, bias=False) if shape.quadratic else None
        self.activation = ACTIVATIONS[shape.activation]
        self.map = MAPS[shape.positivity]

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[samples, outputs]`` of ``[samples, inputs]``."""
        z: Tensor = self.first(x)
        if self.shape.positivity == "max-affine":
            return z.amax(-1, keepdim=True)
        for place, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Linear)
            z = functional.linear(self.activation(z), self.map(layer.weight, layer.in_features), layer.bias)
            if self.shape.skip:
                z = z + self.skips[place](x)
        if self.quadratic is not None:
            z = z + 0.5 * self.quadratic(x).square().sum(-1, keepdim=True)
        return z

    def linears(self, *, free: bool) -> list[nn.Linear]:
        """Return the positive layers, or those that see the input."""
        layers = (self.first, *self.skips) if free else tuple(self.layers)
        return [layer for layer in layers if isinstance(layer, nn.Linear)]
