"""A dozen more, for the kinds that had too few models: maps without a name, weights made of parts, lost activations.

Each was written with its plan before it was run. A map or an activation that has no name in the theory is ``"*"`` here.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

SOFTPLUS = "softplus(1, 20)"
CHANNELS, LONG = 12, 16


def signals(count):
    return torch.randn(count, 2, LONG)


class _Mapped(nn.Module):
    """Layers whose weight goes through ``through``, between softplus."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, WIDTH)
        self.inner = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.softplus(self.first(x))
        for layer in self.inner:
            z = F.softplus(F.linear(z, self.through(layer.weight), layer.bias))
        return z.mean(-1)


def mapped_rows(depth):
    inner = [positive(f"inner.{i}", WIDTH, SOFTPLUS, "*", shift=f"inner.{i}") for i in range(depth - 1)]
    return [free("first", SEEN), *inner]


class Hyperbola(_Mapped):
    """``w + √(w² + 1)``, the positive branch of a hyperbola."""

    def through(self, w):
        return w + torch.sqrt(w * w + 1.0)


class Damped(_Mapped):
    """Softplus, damped where it is small."""

    def through(self, w):
        return torch.sigmoid(w) * F.softplus(w)


class Moved(_Mapped):
    """A steep softplus, moved and scaled back."""

    def through(self, w):
        return F.softplus(3.0 * w - 2.0) / 3.0


class Reciprocal(_Mapped):
    """Linear above 0, a reciprocal below, with one slope where they meet."""

    def through(self, w):
        return torch.where(w > 0, w + 1.0, 1.0 / (1.0 - w.clamp(max=0.0)))


class InputFirst(nn.Module):
    """The input is put before the features, and so is its free block of the weight."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Linear(SEEN, WIDTH)
        self.log_w = nn.ParameterList([torch.randn(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.v = nn.ParameterList([torch.randn(WIDTH, SEEN) for _ in range(depth - 1)])
        self.b = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.relu(self.start(x))
        for log_w, v, b in zip(self.log_w, self.v, self.b, strict=True):
            z = F.relu(F.linear(torch.cat((x, z), 1), torch.cat((v, log_w.exp()), 1), b))
        return z.sum(1)


def input_first_rows(depth):
    rows = [free("start", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"v.{i}", SEEN, f"log_w.{i}"))
        rows.append(positive(f"log_w.{i}", WIDTH, "relu", "exp", shift=f"b.{i}"))
    return rows


class Halves(nn.Module):
    """Two halves of the features, each with a weight of its own, summed to one layer by a concatenated weight."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Linear(SEEN, WIDTH)
        half = WIDTH // 2
        self.left = nn.ParameterList([torch.randn(WIDTH, half) for _ in range(depth - 1)])
        self.right = nn.ParameterList([torch.randn(WIDTH, half) for _ in range(depth - 1)])
        self.b = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.relu(self.start(x))
        for left, right, b in zip(self.left, self.right, self.b, strict=True):
            z = F.relu(z @ torch.cat((left.abs(), right.square()), 1).T + b)
        return z.sum(1)


def halves_rows(depth):
    rows = [free("start", SEEN)]
    for i in range(depth - 1):
        rows.append(positive(f"left.{i}", WIDTH // 2, "relu", "abs", beside=(f"right.{i}",), shift=f"b.{i}"))
        rows.append(positive(f"right.{i}", WIDTH // 2, "relu", "square", beside=(f"left.{i}",), shift=f"b.{i}"))
    return rows


class Channels(nn.Module):
    """A convolution of features and signal in one, its kernel put together of a clamped and a free part."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Conv1d(2, CHANNELS, 3, padding=1)
        self.kz = nn.ParameterList([torch.rand(CHANNELS, CHANNELS, 3) for _ in range(depth - 1)])
        self.kx = nn.ParameterList([torch.randn(CHANNELS, 2, 3) for _ in range(depth - 1)])
        self.b = nn.ParameterList([torch.zeros(CHANNELS) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.leaky_relu(self.start(x), 0.1)
        for kz, kx, b in zip(self.kz, self.kx, self.b, strict=True):
            kernel = torch.cat((kz.clamp(min=0), kx), 1)
            z = F.leaky_relu(F.conv1d(torch.cat((z, x), 1), kernel, b, padding=1), 0.1)
        return z.mean((1, 2))


def channels_rows(depth):
    rows = [free("start", 6)]
    for i in range(depth - 1):
        rows.append(skip(f"kx.{i}", 6, f"kz.{i}"))
        rows.append(positive(f"kz.{i}", 3 * CHANNELS, "leaky_relu(0.1)", "relu", shift=f"b.{i}"))
    return rows


class OneWeight(nn.Module):
    """Features and input through one softplus weight: rising in the input as well."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Linear(SEEN, WIDTH)
        self.inner = nn.ModuleList([nn.Linear(WIDTH + SEEN, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.softplus(self.start(x))
        for layer in self.inner:
            z = F.softplus(F.linear(torch.cat((z, x), -1), F.softplus(layer.weight), layer.bias))
        return z.logsumexp(-1)


def one_weight_rows(depth):
    inner = [positive(f"inner.{i}", WIDTH + SEEN, None, "softplus", shift=f"inner.{i}") for i in range(depth - 1)]
    return [free("start", SEEN), *inner]


class Ring(nn.Module):
    """Signals on a ring: every convolution behind a circular padding of the features."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Conv1d(2, CHANNELS, 3, padding=1, padding_mode="circular")
        self.inner = nn.ModuleList([nn.Conv1d(CHANNELS, CHANNELS, 3) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.softplus(self.start(x))
        for layer in self.inner:
            z = F.pad(z, (1, 1), mode="circular")
            z = F.softplus(F.conv1d(z, layer.weight.exp(), layer.bias))
        return z.mean((1, 2))


def ring_rows(depth):
    inner = [positive(f"inner.{i}", 3 * CHANNELS, SOFTPLUS, "exp", shift=f"inner.{i}") for i in range(depth - 1)]
    return [free("start", 6), *inner]


class Expected(nn.Module):
    """The activation is the expectation of a ReLU of a noisy value, written with erf."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, WIDTH)
        self.inner = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def phi(self, s):
        density = torch.exp(-0.5 * s**2) / math.sqrt(2.0 * math.pi)
        return 0.5 * s * (1.0 + torch.erf(s / math.sqrt(2.0))) + density

    def forward(self, x):
        z = self.phi(self.first(x))
        for layer in self.inner:
            z = self.phi(F.linear(z, layer.weight.abs(), layer.bias))
        return z.sum(-1)


def expected_rows(depth):
    inner = [positive(f"inner.{i}", WIDTH, "*", "abs", shift=f"inner.{i}") for i in range(depth - 1)]
    return [free("first", SEEN), *inner]


class Rounded(nn.Module):
    """A ReLU whose corner is a parabola, of values reflected at the border of the signal."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Conv1d(2, CHANNELS, 3, padding=1)
        self.inner = nn.ModuleList([nn.Conv1d(CHANNELS, CHANNELS, 3, bias=False) for _ in range(depth - 1)])
        self.shift = nn.ParameterList([torch.zeros(CHANNELS, 1) for _ in range(depth - 1)])

    def project(self):
        for layer in self.inner:
            layer.weight.data.clamp_(min=0)

    def phi(self, s):
        return torch.where(s < 0, torch.zeros_like(s), torch.where(s < 1, 0.5 * s * s, s - 0.5))

    def forward(self, x):
        z = self.phi(self.start(x))
        for layer, shift in zip(self.inner, self.shift, strict=True):
            z = self.phi(layer(F.pad(z, (1, 1), mode="reflect")) + shift)
        return z.sum((1, 2))


def rounded_rows(depth):
    inner = [positive(f"inner.{i}", 3 * CHANNELS, "*", shift=f"shift.{i}") for i in range(depth - 1)]
    return [free("start", 6), *inner]


class Transport(nn.Module):
    """A strongly convex potential: a learnt multiple of |x|², a low-rank form, and a network without biases inside."""

    def __init__(self, depth):
        super().__init__()
        self.log_strength = nn.Parameter(torch.zeros(()))
        self.form = nn.Linear(SEEN, 3, bias=False)
        self.first = nn.Linear(SEEN, WIDTH)
        self.direct = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth - 1)])
        self.inner = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.last = nn.Linear(WIDTH, 1, bias=False)

    def forward(self, x):
        z = F.celu(self.first(x))
        for inner, direct in zip(self.inner, self.direct, strict=True):
            z = F.celu(F.linear(z, F.softplus(inner.weight)) + direct(x))
        value = F.linear(z, F.softplus(self.last.weight)).squeeze(-1)
        return value + 0.5 * self.log_strength.exp() * x.square().sum(-1) + self.form(x).square().sum(-1)


def transport_rows(depth):
    rows = [free("first", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"direct.{i}", SEEN, f"inner.{i}"))
        rows.append(positive(f"inner.{i}", WIDTH, "celu(1)", "softplus", shift=f"direct.{i}"))
    return [*rows, positive("last", WIDTH, "celu(1)", "softplus"), skip("form", SEEN, "last")]


MODELS = {
    "hyperbola": Entry(Hyperbola, vectors, mapped_rows, depths=(3,)),
    "damped": Entry(Damped, vectors, mapped_rows, depths=(3,)),
    "moved": Entry(Moved, vectors, mapped_rows, depths=(3,)),
    "reciprocal": Entry(Reciprocal, vectors, mapped_rows, depths=(3,)),
    "input first": Entry(InputFirst, vectors, input_first_rows, depths=(3,)),
    "halves": Entry(Halves, vectors, halves_rows, depths=(3,)),
    "channels": Entry(Channels, signals, channels_rows, depths=(3,)),
    "one weight": Entry(OneWeight, vectors, one_weight_rows, depths=(3,)),
    "ring": Entry(Ring, signals, ring_rows, depths=(3,)),
    "expected": Entry(Expected, vectors, expected_rows, depths=(3,)),
    "rounded": Entry(Rounded, signals, rounded_rows, tighten="project", depths=(3,)),
    "transport": Entry(Transport, vectors, transport_rows, depths=(3,)),
}
