"""A model that several tests run."""

from __future__ import annotations

import torch
from torch import nn


class Skip(nn.Module):
    """Layers that all see the input."""

    def __init__(self, depth):
        super().__init__()
        self.onward = nn.ModuleList([nn.Linear(8, 8) for _ in range(depth)])
        self.inward = nn.ModuleList([nn.Linear(8, 8) for _ in range(depth)])

    def forward(self, x):
        z = x
        for onward, inward in zip(self.onward, self.inward, strict=True):
            z = torch.relu(onward(z) + inward(x))
        return z
