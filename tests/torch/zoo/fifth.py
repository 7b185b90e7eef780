"""A fifth dozen, in the manner of published code: mechanics, graphs, transport, regularisers, flows, control.

Each was written with its plan before it was run. A map or an activation that has no name in the theory is ``"*"``; a
model without rows is to be refused, with the reason.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo import fifth_fields
from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

SOFTPLUS = "softplus(1, 20)"
CONTEXT = 3


def deformations(count):
    return torch.eye(3) + 0.1 * torch.randn(count, 3, 3)


def invariants(count):
    return torch.randn(count, 4)


def pairs(count):
    return torch.randn(count, SEEN), torch.rand(count, CONTEXT)


class LogCosh(nn.Module):
    """A potential of one wide layer: log cosh, non-negative output weights, a low-rank form and a linear term."""

    def __init__(self, depth):
        super().__init__()
        self.opening = nn.Linear(SEEN, WIDTH)
        self.w = nn.Linear(WIDTH, 1, bias=False)
        self.A = nn.Parameter(torch.randn(3, SEEN))
        self.c = nn.Linear(SEEN, 1)

    @staticmethod
    def phi(s):
        return torch.abs(s) + torch.log(1.0 + torch.exp(-2.0 * torch.abs(s)))

    def forward(self, x):
        value = F.linear(self.phi(self.opening(x)), self.w.weight.square())
        form = 0.5 * torch.sum(torch.matmul(x, torch.t(self.A)) ** 2, dim=1, keepdim=True)
        return value + form + self.c(x)


def log_cosh_rows(depth):
    return [
        free("opening", SEEN),
        positive("w", WIDTH, "*", "square", shift="c"),
        skip("A", SEEN, "w"),
        skip("c", SEEN, "w"),
    ]


class Laplace(nn.Module):
    """Convex potential flow with a ReLU smoothed by Laplace noise, and residual connections."""

    def __init__(self, depth):
        super().__init__()
        self.Wzs = nn.ModuleList([nn.Linear(SEEN, WIDTH)])
        self.Wzs.extend(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1))
        self.Wxs = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth - 1)])
        self.last = nn.Linear(WIDTH, 1, bias=False)

    @staticmethod
    def phi(s):
        return torch.relu(s) + torch.exp(-torch.abs(s)) / 2

    def forward(self, x):
        z = self.phi(self.Wzs[0](x))
        for Wz, Wx in zip(self.Wzs[1:], self.Wxs, strict=True):
            z = self.phi(F.linear(z, F.softplus(Wz.weight)) / z.size(1) + Wx(x))
        return F.linear(z, F.softplus(self.last.weight)) / z.size(1)


def laplace_rows(depth):
    rows, through = [free("Wzs.0", SEEN)], f"{1 / WIDTH:g}·softplus"
    for i in range(1, depth):
        rows.append(skip(f"Wxs.{i - 1}", SEEN, f"Wzs.{i}"))
        rows.append(positive(f"Wzs.{i}", WIDTH, "*", through, shift=f"Wxs.{i - 1}"))
    return [*rows, positive("last", WIDTH, "*", through)]


class Hyperelastic(nn.Module):
    """An energy of a deformation gradient: polyconvex, and so not convex in the gradient itself."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(4, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.out = nn.Linear(WIDTH, 1, bias=False)

    def psi(self, i):
        z = F.softplus(F.linear(i, F.softplus(self.first.weight), self.first.bias))
        for layer in self.hidden:
            z = F.softplus(F.linear(z, F.softplus(layer.weight), layer.bias))
        return F.linear(z, F.softplus(self.out.weight))

    def forward(self, f):
        c = f.transpose(1, 2) @ f
        first = c.diagonal(dim1=1, dim2=2).sum(-1)
        second = 0.5 * (first**2 - (c * c.transpose(1, 2)).sum((1, 2)))
        volume = torch.linalg.det(f)
        return self.psi(torch.stack((first, second, volume, -volume), 1))


def energy_rows(depth):
    rows = [positive("first", 4, "identity", "softplus", shift="first")]
    rows += [positive(f"hidden.{i}", WIDTH, SOFTPLUS, "softplus", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [*rows, positive("out", WIDTH, SOFTPLUS, "softplus")]


class Gates(nn.Module):
    """An LSTM with ReLU gates and non-negative weights of ``[x, −x]``: products of convex functions, so no proof."""

    def __init__(self, depth):
        super().__init__()
        self.ih = nn.Linear(2, 4 * 16)
        self.hh = nn.Linear(16, 4 * 16, bias=False)

    def clip(self):
        for layer in (self.ih, self.hh):
            layer.weight.data.clamp_(min=0)

    def forward(self, x):
        h = c = torch.zeros(len(x), 16)
        for t in range(4):
            u = x[:, 0, t : t + 1]
            i, f, g, o = (self.ih(torch.cat((u, -u), 1)) + self.hh(h)).relu().chunk(4, 1)
            c = f * c + i * g
            h = o * F.relu(c)
        return h.sum(1)


class MaxPairs(nn.Module):
    """Maxout between two positive layers of the same features, each with a skip; a maximum over all at the end."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Linear(SEEN, 2 * WIDTH)
        self.a = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.b = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.u = nn.ModuleList([nn.Linear(SEEN, WIDTH, bias=False) for _ in range(depth - 1)])

    def forward(self, x):
        z = self.start(x).view(len(x), WIDTH, 2).max(-1).values
        for a, b, u in zip(self.a, self.b, self.u, strict=True):
            one = F.linear(z, a.weight.square(), a.bias)
            two = F.linear(z, b.weight.square(), b.bias) + u(x)
            z = torch.maximum(one, two)
        return z.amax(1)


def max_rows(depth):
    rows = [free("start", SEEN)]
    for i in range(depth - 1):
        rows.append(positive(f"a.{i}", WIDTH, None, "square", shift=f"a.{i}"))
        rows.append(positive(f"b.{i}", WIDTH, None, "square", shift=f"b.{i}"))
        rows.append(skip(f"u.{i}", SEEN, f"b.{i}"))
    return rows


class ConditionalMap(nn.Module):
    """Conditional Monge maps: a partially convex network with gates of softplus and leaky ReLU."""

    def __init__(self, depth):
        super().__init__()
        self.w = nn.ModuleList([nn.Linear(CONTEXT, WIDTH) for _ in range(depth)])
        self.wzu = nn.ModuleList([nn.Linear(CONTEXT, WIDTH) for _ in range(depth - 1)])
        self.wx = nn.ModuleList([nn.Linear(SEEN, WIDTH, bias=False) for _ in range(depth)])
        self.wxu = nn.ModuleList([nn.Linear(CONTEXT, SEEN) for _ in range(depth)])
        self.wz = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.out = nn.Linear(WIDTH, 1, bias=False)

    def forward(self, x, c):
        z = F.leaky_relu(self.wx[0](x * self.wxu[0](c)) + self.w[0](c), 0.2)
        for wz, wzu, wx, wxu, w in zip(self.wz, self.wzu, self.wx[1:], self.wxu[1:], self.w[1:], strict=True):
            gated = F.linear(z * F.softplus(wzu(c)), F.softplus(wz.weight, beta=2))
            z = F.leaky_relu(gated + wx(x * wxu(c)) + w(c), 0.2)
        return F.linear(z, F.softplus(self.out.weight, beta=2))


def conditional_rows(depth):
    rows = [free("wx.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"wx.{i + 1}", SEEN, f"wz.{i}"))
        rows.append(positive(f"wz.{i}", WIDTH, None, "softplus(beta=2)", shift=f"w.{i + 1}"))
    return [*rows, positive("out", WIDTH, "leaky_relu(0.2)", "softplus(beta=2)")]


class Temporal(nn.Module):
    """Recurrent control: states through one clamped matrix, free inputs of now and of the step before."""

    def __init__(self, depth):
        super().__init__()
        self.U, self.D = nn.Linear(2, WIDTH), nn.Linear(2, WIDTH, bias=False)
        self.W, self.V = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, 1)

    def forward(self, x):
        steps = x.view(len(x), -1, 2)[:, :4].unbind(1)
        z, before = torch.zeros(len(x), WIDTH), torch.zeros_like(steps[0])
        total = 0.0
        for u in steps:
            z = F.elu(self.U(u) + F.linear(z, self.W.weight.clamp(min=0)) + self.D(before))
            total = total + F.linear(z, self.V.weight.clamp(min=0), self.V.bias)
            before = u
        return total


def temporal_rows(depth):
    return [
        skip("U", 2, "W"),
        skip("D", 2, "W"),
        positive("W", WIDTH, "elu(1)", "relu", shift="U"),
        positive("V", WIDTH, "elu(1)", "relu", shift="V"),
    ]


class Recombined(nn.Module):
    """Layers whose products are recombined by a fixed matrix of neighbours before bias and activation."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, WIDTH, bias=False)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.bias = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth)])
        neighbours = torch.eye(WIDTH) + torch.eye(WIDTH).roll(1, 1) + torch.eye(WIDTH).roll(2, 1)
        self.register_buffer("mixing", neighbours)

    def forward(self, x):
        z = F.relu(self.first(x) @ self.mixing + self.bias[0])
        for layer, bias in zip(self.hidden, list(self.bias)[1:], strict=True):
            z = F.relu(F.linear(z, F.softplus(layer.weight)) @ self.mixing + bias)
        return z.sum(-1)


def recombined_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "relu", "softplus", shift=f"bias.{i + 1}") for i in range(depth - 1)]
    return [free("first", SEEN), *hidden]


MODELS = {
    **fifth_fields.MODELS,
    "log cosh": Entry(LogCosh, vectors, log_cosh_rows, depths=(1,)),
    "laplace": Entry(Laplace, vectors, laplace_rows, depths=(3,)),
    "hyperelastic": Entry(Hyperelastic, deformations, lambda depth: [], depths=(2,)),
    "its energy": Entry(Hyperelastic, invariants, energy_rows, entry="psi", depths=(2,)),
    "gates": Entry(Gates, fifth_fields.signals, lambda depth: [], tighten="clip", depths=(4,)),
    "max pairs": Entry(MaxPairs, vectors, max_rows, depths=(3,)),
    "conditional maps": Entry(ConditionalMap, pairs, conditional_rows, convex_inputs=0, depths=(3,)),
    "temporal": Entry(Temporal, vectors, temporal_rows, depths=(4,)),
    "recombined": Entry(Recombined, vectors, recombined_rows, depths=(3,)),
}
