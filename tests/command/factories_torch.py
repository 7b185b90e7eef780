"""What ``MODULE:FACTORY`` can name, in torch."""

from __future__ import annotations

import torch
from torch import nn

import convex_init


def convex():
    print("noise of the user's own")  # belongs to stderr, for --json to be JSON
    torch.manual_seed(0)
    return convex_init.torch.ICNN(4, [8, 8], 2)


def fresh():
    """Convex in its structure, with weights of either sign."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def wavy():
    class Wave(nn.Module):
        def forward(self, x):
            return torch.sin(3 * x)

    return Wave()


class Unseen(nn.Module):
    """Convex: (x − y)², but the rules do not see it."""

    def forward(self, x, y):
        return x * x - 2 * x * y + y * y


class Picked(nn.Module):
    """Takes whole numbers that choose among weights, and inputs by name."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 8)
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 1)

    def forward(self, x, kind):
        return self.last(torch.relu(self.first(x) + self.table(kind)))


class Rising(nn.Module):
    def forward(self, x):
        return torch.exp(x)


def double():
    return fresh().double()


def needs(width):
    return nn.Linear(width, 1)


def no_model():
    return {"first": 1}


def broken():
    raise RuntimeError("no such weights")


def leaves():
    raise SystemExit(3)


made = fresh()
number = 3
