"""Models that write to themselves while they run, or whose forward is the gradient of what is convex."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip


class ClampedInForward(nn.Module):
    """Every forward clamps the weights themselves, behind autograd's back."""

    def __init__(self, depth):
        super().__init__()
        self.direct = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.onward = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])

    def tighten(self, layer):
        layer.weight.data.clamp_(min=0)

    def forward(self, x):
        z = F.relu(self.direct[0](x))
        for direct, onward in zip(self.direct[1:], self.onward, strict=True):
            self.tighten(onward)
            z = F.relu(direct(x) + onward(z))
        return z.sum(1)


class ReplacedInForward(ClampedInForward):
    def tighten(self, layer):
        layer.weight.data = F.relu(layer.weight.data)


class OverwrittenInForward(ClampedInForward):
    @torch.no_grad()
    def tighten(self, layer):
        layer.weight.copy_(layer.weight.abs())


def rows_through(through):
    def rows(depth):
        found = [free("direct.0", SEEN)]
        for i in range(depth - 1):
            found.append(skip(f"direct.{i + 1}", SEEN, f"onward.{i}"))
            found.append(positive(f"onward.{i}", WIDTH, "relu", through, shift=f"direct.{i + 1}"))
        return found

    return rows


class SetByFirstBatch(nn.Module):
    """ActNorm: shift and gain of every unit are set by the first batch that the model sees."""

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift, self.log_gain = nn.Parameter(torch.zeros(WIDTH)), nn.Parameter(torch.zeros(WIDTH))
            self.register_buffer("is_set", torch.tensor(False))

        def forward(self, s):
            if not self.is_set:
                self.shift.data.copy_(-s.mean(0))
                self.log_gain.data.copy_(-s.std(0).log())
                self.is_set.fill_(True)
            return (s + self.shift) * self.log_gain.exp()

    def __init__(self, depth):
        super().__init__()
        self.norms = nn.ModuleList([self.Norm() for _ in range(depth)])
        self.direct = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.raw = nn.ParameterList([torch.randn(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.softplus(self.norms[0](self.direct[0](x)), beta=100)
        for norm, direct, raw in zip(self.norms[1:], self.direct[1:], self.raw, strict=True):
            z = F.softplus(norm(direct(x) + F.linear(z, F.softplus(raw) / WIDTH)), beta=100)
        return z.sum(1)


def set_rows(depth):
    rows, through = [free("direct.0", SEEN)], f"{1 / WIDTH:g}·softplus"
    for i in range(depth - 1):
        rows.append(skip(f"direct.{i + 1}", SEEN, f"raw.{i}"))
        rows.append(positive(f"raw.{i}", WIDTH, "softplus(100, 20)", through, shift=f"direct.{i + 1}"))
    return rows


class Strided(nn.Module):
    """A learned proximal map for images: its potential has strided convolutions, and ``forward`` is the gradient."""

    def __init__(self, depth):
        super().__init__()
        wide = 12
        self.first = nn.Conv2d(1, wide, 3, padding=1)
        strides = [2 if i < 2 else 1 for i in range(depth - 1)]
        self.hidden = nn.ModuleList([nn.Conv2d(wide, wide, 3, stride, 1, bias=False) for stride in strides])
        self.direct = nn.ModuleList([nn.Conv2d(1, wide, 3, 2 if i == 0 else 4, 1) for i in range(depth - 1)])
        self.out = nn.Linear(wide, 1, bias=False)

    def wclip(self):
        for layer in [*self.hidden, self.out]:
            layer.weight.data.clamp_(0)

    def scalar(self, x):
        z = F.elu(self.first(x))
        for hidden, direct in zip(self.hidden, self.direct, strict=True):
            z = F.elu(hidden(z) + direct(x))
        return self.out(z.mean((2, 3))) + 1e-3 * x.flatten(1).square().sum(1, keepdim=True)

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.scalar(x).sum(), x)[0]


def strided_rows(depth):
    rows = [free("first", 9)]
    for i in range(depth - 1):
        rows.append(skip(f"direct.{i}", 9, f"hidden.{i}"))
        rows.append(positive(f"hidden.{i}", 108, "elu(1)", shift=f"direct.{i}"))
    return [*rows, positive("out", 12, "elu(1)")]


MODELS = {
    "clamped in forward": Entry(ClampedInForward, vectors, rows_through("relu")),
    "replaced in forward": Entry(ReplacedInForward, vectors, rows_through("relu")),
    "overwritten in forward": Entry(OverwrittenInForward, vectors, rows_through("abs")),
    "set by the first batch": Entry(SetByFirstBatch, vectors, set_rows),
    "strided": Entry(Strided, lambda n: torch.randn(n, 1, 12, 12), strided_rows, entry="scalar", tighten="wclip"),
}
