"""Models whose convexity depends on gates, scales, slopes and factors, with the intervals that these need."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
NON_NEGATIVE, PROPORTION, NON_POSITIVE, AT_LEAST_ONE = (0.0, math.inf), (0.0, 1.0), (-math.inf, 0.0), (1.0, math.inf)


class Network(nn.Module):
    """Layers of 4, 8, 8 and 1 units, a learnt ``g``, and a function that puts them together."""

    def __init__(self, make, shape=(8,), start=0.5):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 1)
        self.g = nn.Parameter(torch.full(shape, start))
        self.make = make

    def forward(self, x):
        z = F.relu(self.a(x))
        return self.make(self, self.g, x, z)


def value(m, z):
    return m.c(F.relu(m.b(z)))


def sequential(*inner):
    return lambda: nn.Sequential(nn.Linear(4, 8), *copy.deepcopy(inner), nn.Linear(8, 1))


MODELS = {
    "a gate": (lambda: Network(lambda m, g, x, z: m.c(z + g * F.relu(m.b(z)))), {"g": NON_NEGATIVE}),
    "a factor on logsumexp": (
        lambda: Network(lambda m, g, x, z: value(m, z) + g * m.a(x).logsumexp(-1, keepdim=True), ()),
        {"g": NON_NEGATIVE},
    ),
    "a factor on |x|²": (
        lambda: Network(lambda m, g, x, z: value(m, z) + g * x.square().sum(-1, keepdim=True), ()),
        {"g": NON_NEGATIVE},
    ),
    "a factor on a norm, halved": (
        lambda: Network(lambda m, g, x, z: value(m, z) + (g / 2) * x.norm(dim=-1, keepdim=True), (1,)),
        {"g": NON_NEGATIVE},
    ),
    "lerp": (lambda: Network(lambda m, g, x, z: m.c(torch.lerp(z, F.relu(m.b(z)), g))), {"g": PROPORTION}),
    "lerp by hand": (
        lambda: Network(lambda m, g, x, z: m.c((1 - g) * z + g * F.relu(m.b(z))), ()), {"g": PROPORTION},
    ),
    "a factor that is subtracted": (
        lambda: Network(lambda m, g, x, z: m.c(z - g * F.relu(m.b(z))), (8,), -0.5), {"g": NON_POSITIVE},
    ),
    "a shift inside a square": (
        lambda: Network(lambda m, g, x, z: value(m, z) + (z + g).square().sum(-1, keepdim=True)), {"g": NON_NEGATIVE},
    ),
    "an exponent": (
        lambda: Network(lambda m, g, x, z: value(m, z) + (z**g).mean(-1, keepdim=True), (), 1.5), {"g": AT_LEAST_ONE},
    ),
    "a gate through a sigmoid": (
        lambda: Network(lambda m, g, x, z: m.c(g.sigmoid() * z + (1 - g.sigmoid()) * F.relu(m.b(z)))), {},
    ),
    "slopes": (
        sequential(nn.PReLU(), nn.Linear(8, 8), nn.PReLU(8)), {"1.weight": PROPORTION, "3.weight": PROPORTION},
    ),
    "scales": (
        sequential(nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Softplus()),
        {"2.weight": NON_NEGATIVE, "4.weight": NON_NEGATIVE},
    ),
    "a scale of the input": (sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU()), {}),
    "a gate behind moves": (
        lambda: Network(lambda m, g, x, z: m.c(z + g.t().flatten()[:8] * F.relu(m.b(z))), (3, 4)), {"g": NON_NEGATIVE},
    ),
}  # fmt: skip


def kept(made):
    return {each.name: each.interval for each in made.kept if not each.drawn}


def step(model, optimizer, direction):
    """A step that takes every parameter out of every interval."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.grad = -direction * (3.0 + torch.rand(parameter.shape, generator=generator))
    optimizer.step()
