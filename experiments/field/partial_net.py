"""A network that is convex in the first columns of its input, the decisions, and anything in the others, the context.

The partially input-convex network of Amos, Xu & Kolter (2017): context layers beside the convex ones scale what these
take, by a non-negative factor, scale the decisions, by any, and shift the sum. The function that computes it takes the
parameters of one network or of several, stacked.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from experiments.field.networks import ACTIVATIONS, MAPS, Shape

OF_CONTEXT = ("context", "shifts", "gates", "scales")
"""Layers that see the context alone."""


class PartialNet(nn.Module):
    """``z ← φ(map(W)(z ∘ [G u]₊) + b + S(y ∘ H u) + V u)`` of decisions y; ``u ← ReLU(U u)`` begins as the context."""

    def __init__(self, shape: Shape) -> None:
        """Build it with torch's own initialisation, and gates of 1; see :class:`experiments.field.networks.Shape`."""
        super().__init__()
        self.shape, self.quadratic = shape, None
        decisions, hidden = shape.decisions, [shape.width] * shape.depth
        of_context = [shape.inputs - decisions, *hidden]
        widths = [*hidden, shape.outputs]
        self.first = nn.Linear(decisions, shape.width)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.skips = nn.ModuleList(nn.Linear(decisions, b, bias=False) for b in widths[1:] if shape.skip)
        self.context = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(of_context))
        self.shifts = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(of_context, widths, strict=True))
        self.gates = nn.ModuleList(nn.Linear(shape.width, shape.width) for _ in self.layers)
        self.scales = nn.ModuleList(nn.Linear(a, decisions) for a in of_context)
        for layer in (*self.gates, *self.scales):
            nn.init.ones_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[samples, outputs]`` of decisions and context side by side, ``[samples, inputs]``."""
        return partial(self.shape, dict(self.named_parameters()), x)

    def linears(self, *, free: bool) -> list[nn.Linear]:
        """Return the positive layers, or those that see the decisions; what sees the context alone is neither."""
        layers = (self.first, *self.skips) if free else tuple(self.layers)
        return [layer for layer in layers if isinstance(layer, nn.Linear)]


def partial(shape: Shape, of: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return the outputs of one network, or of several with a leading axis for the network."""
    phi, positive = ACTIVATIONS[shape.activation], MAPS[shape.positivity]

    def linear(name: str, z: Tensor, weight: Tensor | None = None) -> Tensor:
        weight = of[f"{name}.weight"] if weight is None else weight
        found = z @ weight.transpose(-1, -2)
        bias = of.get(f"{name}.bias")
        return found if bias is None else found + bias.unsqueeze(-2)

    y, u = x[..., : shape.decisions], x[..., shape.decisions :]
    z = linear("first", y * linear("scales.0", u)) + linear("shifts.0", u)
    for place in range(shape.depth):
        u = torch.relu(linear(f"context.{place}", u))
        taken = phi(z) * torch.relu(linear(f"gates.{place}", u))
        name = f"layers.{place}"
        z = linear(name, taken, positive(of[f"{name}.weight"], shape.width)) + linear(f"shifts.{place + 1}", u)
        if shape.skip:
            z = z + linear(f"skips.{place}", y * linear(f"scales.{place + 1}", u))
    return z
