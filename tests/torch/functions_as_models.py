"""A function as a model, and its certificate."""

from __future__ import annotations

import torch
from torch import nn

import convex_init.torch as ci


class Function(nn.Module):
    """A function as a model, with weights to use."""

    def __init__(self, function, **parameters):
        super().__init__()
        self.function = function
        for name, tensor in parameters.items():
            self.register_parameter(name, nn.Parameter(tensor))

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def certificate_of(function, *inputs, search=False, **parameters):
    inputs = inputs or (torch.randn(3, 4),)
    return ci.certify(Function(function, **parameters), inputs, search=search)
