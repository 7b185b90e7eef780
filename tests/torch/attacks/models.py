"""What attacks are made of: a function as a model, and its inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import convex_init.torch as ci


def energy(x):
    return x.square().sum(1)


def branch(x, condition):
    """Convex unless the condition holds."""
    return -energy(x) if condition else energy(x)


class Function(nn.Module):
    """A function as a model, with parameters and other attributes to use."""

    def __init__(self, function, **attributes: Any):
        super().__init__()
        self.function = function
        for name, item in attributes.items():
            setattr(self, name, nn.Parameter(item) if isinstance(item, torch.Tensor) else item)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


class Attack:
    """A model with inputs; the first is the convex one if ``convex`` is 0."""

    def __init__(self, function, *inputs, convex=None, **attributes):
        self.function, self.inputs, self.convex, self.attributes = function, inputs, convex, attributes

    def certificate(self) -> ci.Certificate:
        torch.manual_seed(0)
        inputs = self.inputs or (torch.randn(3, 4),)
        return ci.certify(Function(self.function, **self.attributes), inputs, self.convex, search=False)
