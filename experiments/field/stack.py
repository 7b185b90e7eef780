"""Many networks of one shape as one: their weights stacked, each layer one batched product.

Each is what a network of :mod:`experiments.field.forms` is alone; written out by hand, because ``vmap`` takes several
times as long at these widths.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.field.forms import FUNCTIONS, Network
from experiments.field.networks import ACTIVATIONS, MAPS


class Stack:
    """Networks of one shape, with a leading axis for the network.

    Args:
        networks: all of one shape; their parameters are copied.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        """Stack them; see the class."""
        self.shape = networks[0].shape
        self.size = len(networks)
        states = [dict(network.named_parameters()) for network in networks]
        sizes = [parameter.numel() for parameter in states[0].values()]
        self.flat = torch.stack([torch.cat([each.detach().flatten() for each in of.values()]) for of in states])
        pieces = zip(states[0].items(), torch.split(self.flat, sizes, 1), strict=True)
        self.parameters = {
            name: piece.view(self.size, *parameter.shape).detach().requires_grad_()
            for (name, parameter), piece in pieces
        }
        self.places = [int(name.split(".")[1]) for name in self.parameters if name.startswith("layers.")][::2]
        self._activation, self._map = ACTIVATIONS[self.shape.activation], MAPS[self.shape.positivity]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs ``[networks, samples, outputs]`` for inputs ``[networks, samples, inputs]``."""
        of = self.parameters
        if self.shape.form in FUNCTIONS:
            return FUNCTIONS[self.shape.form](self.shape, of, x)
        z = _affine(x, of["first.weight"], of["first.bias"])
        if self.shape.positivity == "max-affine":
            return z.amax(-1, keepdim=True)
        for place in self.places:
            weight = self._map(of[f"layers.{place}.weight"], self.shape.width)
            z = _affine(self._activation(z), weight, of[f"layers.{place}.bias"])
            if self.shape.skip:
                z = torch.baddbmm(z, x, of[f"skips.{place}.weight"].transpose(1, 2))
        if self.shape.quadratic:
            z = z + 0.5 * torch.bmm(x, of["quadratic.weight"].transpose(1, 2)).square().sum(-1, keepdim=True)
        return z

    def one(self, place: int, x: Tensor) -> Tensor:
        """Return the outputs ``[samples, outputs]`` of one network."""
        alone = object.__new__(Stack)
        alone.__dict__ = {**self.__dict__, "size": 1}
        alone.parameters = {name: parameter[place : place + 1] for name, parameter in self.parameters.items()}
        return alone(x[None])[0]

    @torch.no_grad()
    def clamp(self) -> None:
        """Set negative convex weights to 0, where that is how they are kept."""
        if self.shape.positivity == "clamp":
            torch._foreach_clamp_min_([self.parameters[f"layers.{place}.weight"] for place in self.places], 0.0)


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


class StackedAdam:
    """Adam with a rate for each network: one fused step for each rate, on all that the stack has of it.

    Args:
        stack: the networks, those of one rate side by side.
        rates: of each network.
        positive_share: of its rate that the positive weights have.
    """

    def __init__(self, stack: Stack, rates: Sequence[float], positive_share: float = 1.0) -> None:
        """Divide the stack; see the class."""
        self.parameters = list(stack.parameters.values())
        positive = {f"layers.{place}.weight" for place in stack.places}
        self.shares = torch.ones(())  # of each parameter, if they are not all 1
        if positive_share != 1.0:
            shares = {name: positive_share if name in positive else 1.0 for name in stack.parameters}
            sizes = [parameter[0].numel() for parameter in self.parameters]
            self.shares = torch.cat(
                [stack.flat.new_full((n,), shares[name]) for name, n in zip(shares, sizes, strict=True)]
            )
        starts = [place for place in range(len(rates)) if place == 0 or rates[place] != rates[place - 1]]
        self.slices = [slice(a, b) for a, b in zip(starts, [*starts[1:], len(rates)], strict=True)]
        self.parts = [stack.flat[part] for part in self.slices]
        self.rates = [rates[part.start] for part in self.slices]
        groups = [{"params": [part], "lr": rate} for part, rate in zip(self.parts, self.rates, strict=True)]
        self.adam = torch.optim.Adam(groups, fused=True)

    def step(self, factor: float) -> None:
        """Take a step with every rate times ``factor``, and forget the gradients."""
        found = [torch.zeros_like(each) if each.grad is None else each.grad for each in self.parameters]
        gradient = torch.cat([each.flatten(1) for each in found], 1)
        for slice_, part, group, rate in zip(self.slices, self.parts, self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
            part.grad = gradient[slice_]
        before = [part.clone() for part in self.parts if self.shares.ndim]
        self.adam.step()
        for part, old in zip(self.parts, before, strict=False):  # none without shares
            part.copy_(old + self.shares * (part - old))  # Adam's step is in proportion to its rate
        for parameter in self.parameters:
            parameter.grad = None
