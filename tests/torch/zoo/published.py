"""Kinds that were read wrong once: gains, norms that set themselves, parts of one input, both signs, frozen offsets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

C, D = 3, SEEN - 3  # context and convex part of one input
SOFTPLUS = "softplus(1, 20)"


class GainLinear(nn.Linear):
    """The gain is in front of the bias, too."""

    def forward(self, z):
        return F.linear(z, F.softplus(self.weight), self.bias) * (1 / z.size(1))


class ActNorm(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.log_scale, self.shift = nn.Parameter(torch.zeros(units)), nn.Parameter(torch.zeros(units))
        self.register_buffer("initialized", torch.tensor(False))

    def forward(self, s):
        if not self.initialized:
            with torch.no_grad():
                self.log_scale.copy_(-torch.log(s.std(0) + 1e-6))
                self.shift.copy_(-s.mean(0) * self.log_scale.exp())
                self.initialized.fill_(True)
        return s * self.log_scale.exp() + self.shift


class Flow(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.Wz = nn.ModuleList([nn.Linear(SEEN, WIDTH), *(GainLinear(WIDTH, WIDTH) for _ in range(depth - 1))])
        self.Wx = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth - 1)])
        self.norms = nn.ModuleList([ActNorm(WIDTH) for _ in range(depth)])
        self.last = GainLinear(WIDTH, 1, bias=False)

    def forward(self, x):
        z = F.softplus(self.norms[0](self.Wz[0](x)))
        for onward, direct, norm in zip(self.Wz[1:], self.Wx, self.norms[1:], strict=True):
            z = F.softplus(norm(onward(z) + direct(x)))
        return self.last(z)


def flow_rows(depth):
    rows, through = [free("Wz.0", SEEN)], "0.015625·softplus"
    for i in range(1, depth):
        rows.append(positive(f"Wz.{i}", WIDTH, SOFTPLUS, through, shift=f"Wz.{i}"))
        rows.append(skip(f"Wx.{i - 1}", SEEN, f"Wz.{i}"))
    return [*rows, positive("last", WIDTH, SOFTPLUS, through)]


class HalfSoftplus(nn.Linear):
    def effective_weight(self):
        return 0.5 * F.softplus(self.weight)

    def forward(self, z):
        return z @ self.effective_weight().T + self.bias


class Effective(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.lin = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.pos = nn.ModuleList([HalfSoftplus(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.softplus(self.lin[0](x))
        for direct, onward in zip(self.lin[1:], self.pos, strict=True):
            z = F.softplus(direct(x) + onward(z))
        return z.sum(1)


def effective_rows(depth):
    rows = [free("lin.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"lin.{i + 1}", SEEN, f"pos.{i}"))
        rows.append(positive(f"pos.{i}", WIDTH, SOFTPLUS, "0.5·softplus", shift=f"pos.{i}"))
    return rows


class BothSigns(nn.Module):
    """Softplus on every weight, of a vector and its negative."""

    def __init__(self, depth):
        super().__init__()
        self.W = nn.ParameterList(
            [torch.randn(WIDTH, 2 * SEEN), *(torch.randn(WIDTH, WIDTH) for _ in range(depth - 1))]
        )
        self.A = nn.ParameterList([torch.randn(WIDTH, 2 * SEEN) for _ in range(depth - 1)])
        self.b = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth)])

    def forward(self, x):
        u = torch.cat((x, -x), 1)
        z = F.softplus(F.linear(u, F.softplus(self.W[0]), self.b[0]))
        for W, A, b in zip(self.W[1:], self.A, self.b[1:], strict=True):
            z = F.softplus(F.linear(z, F.softplus(W), b) + F.linear(u, F.softplus(A)))
        return z.sum(1)


def both_signs_rows(depth):
    rows = [positive("W.0", 2 * SEEN, "identity", "softplus", shift="b.0")]
    for i in range(1, depth):
        one, other = f"W.{i}", f"A.{i - 1}"
        rows.append(positive(one, WIDTH, SOFTPLUS, "softplus", shift=f"b.{i}", beside=(other,)))
        rows.append(positive(other, 2 * SEEN, "identity", "softplus", shift=f"b.{i}", beside=(one,)))
    return rows


class ClippedBoth(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2 * SEEN, WIDTH), *(nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1))])

    def clip_weights(self):
        for layer in self.layers:
            layer.weight.data.clamp_(min=0)

    def forward(self, x):
        z = torch.cat((x, x.neg()), -1)
        for layer in self.layers:
            z = layer(z).relu()
        return z.sum(-1)


def clipped_rows(depth):
    rows = [positive("layers.0", 2 * SEEN, "identity", shift="layers.0")]
    return rows + [positive(f"layers.{i}", WIDTH, "relu", shift=f"layers.{i}") for i in range(1, depth)]


class GatedSlice(nn.Module):
    """A partially convex network whose context is the front of its one input."""

    def __init__(self, depth):
        super().__init__()
        self.u = nn.Linear(C, WIDTH)
        self.first = nn.Linear(D, WIDTH)
        self.gates = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.yu = nn.ModuleList([nn.Linear(WIDTH, D) for _ in range(depth - 1)])
        self.Wz = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.Wy = nn.ModuleList([nn.Linear(D, WIDTH) for _ in range(depth - 1)])

    def forward(self, xy):
        x, y = xy[:, :C], xy[:, C:]
        u = torch.tanh(self.u(x))
        z = F.softplus(self.first(y) + u)
        for gate, yu, Wz, Wy in zip(self.gates, self.yu, self.Wz, self.Wy, strict=True):
            z = F.softplus(Wz(z * F.softplus(gate(u))) + Wy(y * yu(u)))
        return z.sum(1)


def gated_rows(depth):
    rows = [free("first", D)]
    for i in range(depth - 1):
        rows.append(positive(f"Wz.{i}", WIDTH, SOFTPLUS, shift=f"Wy.{i}"))
        rows.append(skip(f"Wy.{i}", D, f"Wz.{i}"))
    return rows


class Scattered(nn.Module):
    """Context at every third place, standardised with the rest by buffers before it is cut out."""

    def __init__(self, depth):
        super().__init__()
        self.register_buffer("centre", torch.full((SEEN,), 0.1))
        self.register_buffer("places", torch.tensor([1, 2, 4, 5, 7]))
        self.c, self.first = nn.Linear(3, WIDTH), nn.Linear(5, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        x = x - self.centre
        z = F.relu(self.first(x[:, self.places]) + torch.sin(self.c(x[:, ::3])))
        for layer in self.hidden:
            z = F.relu(F.linear(z, layer.weight.square(), layer.bias))
        return z.sum(1)


def scattered_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "relu", "square", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", 5), *hidden]


class FromZero(nn.Module):
    """f(x) − f(0): no bias of the last layer can move it."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.last = nn.Linear(WIDTH, 1)

    def f(self, x):
        z = F.celu(self.first(x))
        for layer in self.hidden:
            z = F.celu(layer(z))
        return self.last(z)

    def forward(self, x):
        return self.f(x) - self.f(torch.zeros_like(x))


def from_zero_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "elu(1)", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", SEEN), *hidden, positive("last", WIDTH, "elu(1)")]


class Warm(nn.Module):
    """The offset of the output is the mean of the targets, and not learnt."""

    def __init__(self, depth):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(SEEN, WIDTH))
        for _ in range(depth - 1):
            self.net.extend([nn.Softplus(), nn.Linear(WIDTH, WIDTH)])
        self.net.extend([nn.Softplus(), nn.Linear(WIDTH, 1)])
        self.net[-1].bias.requires_grad_(False).fill_(6.4)

    def forward(self, x):
        return self.net(x)


def warm_rows(depth):
    hidden = [positive(f"net.{2 * i}", WIDTH, SOFTPLUS, shift=f"net.{2 * i}") for i in range(1, depth)]
    return [free("net.0", SEEN), *hidden, positive(f"net.{2 * depth}", WIDTH, SOFTPLUS)]


class Mixture(nn.Module):
    """Potentials that are mixed by shares which context makes."""

    def __init__(self, depth):
        super().__init__()
        self.shares, self.first = nn.Linear(C, 4), nn.Linear(D, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.heads = nn.Linear(WIDTH, 4)

    def project_weights(self):
        for layer in [*self.hidden, self.heads]:
            layer.weight.data = torch.relu(layer.weight.data)

    def forward(self, xy):
        x, y = torch.split(xy, [C, D], -1)
        z = F.elu(self.first(y))
        for layer in self.hidden:
            z = F.elu(layer(z))
        return (self.heads(z) * torch.softmax(self.shares(x), -1)).sum(-1)


def mixture_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "elu(1)", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", D), *hidden, positive("heads", WIDTH, "elu(1)", shift="heads")]


MODELS = {
    "flow": Entry(Flow, vectors, flow_rows),
    "effective weights": Entry(Effective, vectors, effective_rows),
    "both signs": Entry(BothSigns, vectors, both_signs_rows),
    "clipped, both signs": Entry(ClippedBoth, vectors, clipped_rows, tighten="clip_weights"),
    "gated by a slice": Entry(GatedSlice, vectors, gated_rows, convex_inputs={0: slice(C, None)}),
    "context at places": Entry(Scattered, vectors, scattered_rows, convex_inputs={"0": [1, 2, 4, 5, 7]}),
    "from zero": Entry(FromZero, vectors, from_zero_rows),
    "warm": Entry(Warm, vectors, warm_rows),
    "mixed by context": Entry(
        Mixture, vectors, mixture_rows, convex_inputs={0: range(C, SEEN)}, tighten="project_weights"
    ),
}
