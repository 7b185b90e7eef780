"""Models whose bends can be spread, and their neighbours that a threshold does not fit."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch import Positive
from tests.torch.networks import generator

SPREAD = {"method": "isometric", "threshold": 0.5}
X = torch.randn(30, 6, generator=generator(2))


def linear(inputs, outputs, positivity="projection", **options):
    layer = nn.Linear(inputs, outputs, **options)
    if positivity != "projection":
        parametrize.register_parametrization(layer, "weight", Positive(positivity))
    return layer


def chain(*layers, phi=nn.ReLU):
    """A ReLU before every layer."""
    return nn.Sequential(*(module for layer in layers for module in (phi(), layer)))


def three(phi=nn.ReLU, **options):
    return chain(nn.Linear(6, 6, **options), nn.Linear(6, 6), nn.Linear(6, 2), phi=phi)


class Unread(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.free, self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6, **options), nn.Linear(6, 6, **options)
        self.last = nn.Linear(6, 2, **options)

    def forward(self, x):
        return self.after(self.first(self.free(x).relu()))

    def after(self, x):
        return self.last(self.second(x.relu()).clamp(min=0))


class Residual(Unread):
    def after(self, x):
        return self.last((self.second(x.relu()) + x).relu())


class Doubled(Unread):
    def after(self, x):
        return self.last((2.0 * self.second(x.relu())).relu())


class Twice(Unread):
    def after(self, x):
        return self.last(self.second(self.second(x.relu()).relu()).relu())


class Branching(Unread):
    def after(self, x):
        return self.last(x.relu()) + self.second(x.relu()).relu().sum(-1, keepdim=True)


class Joined(Unread):
    def after(self, x):
        return self.last(torch.cat([self.second(x.relu())[:, :3], x[:, :3]], 1).relu())


class Between(Unread):
    """With something else between the free layer and the first positive one."""

    def __init__(self, between):
        super().__init__()
        self.between = between

    def forward(self, x):
        return self.after(self.first(self.between(self.free(x)).relu()))


class Shared(Unread):
    """One bias in two sums."""

    def __init__(self):
        super().__init__(bias=False)
        self.bias = nn.Parameter(torch.zeros(1))

    def after(self, x):
        return self.last((self.second(x.relu()) + self.bias).relu()) + self.bias


class Bare(Unread):
    """A weight that no layer holds, behind layers without a bias."""

    def __init__(self):
        super().__init__(bias=False)
        self.weight = nn.Parameter(torch.ones(6, 6))

    def after(self, x):
        return self.last((self.second(x.relu()).relu() @ self.weight).relu())


class Normalised(Unread):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6, affine=False)

    def after(self, x):
        return self.last(self.norm(self.second(x.relu())).relu())
