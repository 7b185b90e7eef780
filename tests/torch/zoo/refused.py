"""What is no input-convex network, with the words that the refusal has to contain."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN


class Monotone(nn.Module):
    """Non-negative weights behind an activation that is not convex: monotone, but not convex."""

    def __init__(self, activation):
        super().__init__()
        self.a, self.b, self.activation = nn.Linear(SEEN, 16), nn.Linear(16, 1), activation

    def forward(self, x):
        return F.linear(self.activation(self.a(x)), self.b.weight.exp(), self.b.bias)


class Residual(nn.Module):
    """A residual network with free weights and batch normalisation, as it comes from its constructor."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.a, self.na = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b, self.nb = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 3)

    def block(self, z):
        return F.relu(self.nb(self.b(F.relu(self.na(self.a(z))))) + z)

    def forward(self, x):
        return self.head(self.block(F.relu(self.stem(x))).mean((2, 3)))


class Difference(Residual):
    """The block's result is taken off the stream: no choice of non-negative weights makes that convex."""

    def block(self, z):
        return F.relu(z - self.b(F.relu(self.a(z))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(SEEN, 16)
        self.encode = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.encode(self.embed(x)).mean(1))


# What the plan's refusal names, and what the certificate's does.
REFUSED = {
    "monotone with tanh": (lambda: (Monotone(torch.tanh), vectors(4)), "tanh", "tanh"),
    "monotone with sigmoid": (lambda: (Monotone(torch.sigmoid), vectors(4)), "sigmoid", "sigmoid"),
    "monotone with gelu": (lambda: (Monotone(F.gelu), vectors(4)), "gelu", "gelu"),
    "monotone with silu": (lambda: (Monotone(F.silu), vectors(4)), "silu", "silu"),
    "difference": (lambda: (Difference(), torch.randn(4, 2, 8, 8)), "sub", "'a.weight' goes down"),
    "transformer": (lambda: (Transformer().eval(), torch.randn(4, 5, SEEN)), "encode", "encode"),
}
