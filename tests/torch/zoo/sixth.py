"""A sixth dozen, as independent authors write them from papers: flows, transport, labels, stability, gauges, solids.

Each was written with its plan before it was run. A map or an activation that has no name in the theory is ``"*"``.

Two expectations were wrong, and were put right afterwards: the flow had the symmetric activation in all layers, which
is not monotone, so that the network was not convex, as the refusal said (the paper has it in the first layer only); and
a bare parameter of a module of one's own is shown by its own name (``w.0.weight``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo import sixth_fields
from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

SOFTPLUS = "softplus(1, 20)"
CONTEXT = 4


def conditioned(count):
    return torch.randn(count, SEEN), torch.randn(count, CONTEXT)


def labels(count):
    return torch.rand(count, SEEN) * 0.9 + 0.05, torch.randn(count, CONTEXT)


class PosLinear(nn.Linear):
    """Softplus on the weight, and a gain of one over what it sums."""

    def forward(self, x):
        gain = 1 / x.size(1)
        return F.linear(x, F.softplus(self.weight), self.bias) * gain


class PotentialFlow(nn.Module):
    """Convex potential flow: softplus, made symmetric in the first layer, gains, and a square; both with a strength."""

    def __init__(self, depth):
        super().__init__()
        hidden = [PosLinear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)]
        self.Wzs = nn.ModuleList([nn.Linear(SEEN, WIDTH), *hidden, PosLinear(WIDTH, 1, bias=False)])
        self.Wxs = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth - 1)])
        self.Wxs.append(nn.Linear(SEEN, 1, bias=False))
        self.w0, self.w1 = nn.Parameter(torch.log(torch.exp(torch.ones(1)) - 1)), nn.Parameter(torch.zeros(1))

    @staticmethod
    def phi(s):
        return F.softplus(s) - 0.5 * s

    def forward(self, x):
        z = self.phi(self.Wzs[0](x))
        for Wz, Wx in zip(self.Wzs[1:-1], self.Wxs[:-1], strict=True):
            z = F.softplus(Wz(z) + Wx(x))
        z = self.Wzs[-1](z) + self.Wxs[-1](x)
        return F.softplus(self.w1) * z + F.softplus(self.w0) * (x.view(len(x), -1) ** 2).sum(1, keepdim=True) / 2


def flow_rows(depth):
    rows = [free("Wzs.0", SEEN)]
    for i in range(depth):
        shift = f"Wxs.{i}" if i < depth - 1 else ""
        fed = SOFTPLUS if i else "*"
        rows.append(positive(f"Wzs.{i + 1}", WIDTH, fed, "0.015625·softplus", shift=shift))
        rows.append(skip(f"Wxs.{i}", SEEN, f"Wzs.{i + 1}"))
    return rows


class LastInputQuadratic(nn.Module):
    """Wasserstein-2 transport: squared leaky units first, layers without biases, half a square at the end."""

    def __init__(self, depth):
        super().__init__()
        self.fc1_normal, self.fc2_normal = nn.Linear(SEEN, WIDTH), nn.Linear(SEEN, WIDTH)
        self.fc2_convex, self.last_convex = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, 1, bias=False)
        self.last_normal, self.activation = nn.Linear(SEEN, 1), nn.LeakyReLU(0.2)

    def forward(self, x):
        z = self.activation(self.fc1_normal(x)).pow(2)
        z = self.activation(self.fc2_convex(z).add(self.fc2_normal(x)))
        return self.last_convex(z).add(self.last_normal(x)) + 0.5 * torch.sum(x * x, dim=1, keepdim=True)


def last_input_rows(depth):
    return [
        free("fc1_normal", SEEN),
        positive("fc2_convex", WIDTH, None, shift="fc2_normal"),
        skip("fc2_normal", SEEN, "fc2_convex"),
        positive("last_convex", WIDTH, "leaky_relu(0.2)", shift="last_normal"),
        skip("last_normal", SEEN, "last_convex"),
    ]


class Kernelled(nn.Module):
    """A layer that shows its weight by a method."""

    def __init__(self, seen, made, beta=1.0):
        super().__init__()
        self.weight, self.beta = nn.Parameter(torch.empty(made, seen).uniform_(0, 0.1)), beta

    def kernel(self):
        return F.softplus(self.weight, beta=self.beta)

    def forward(self, x):
        return F.linear(x, self.kernel())


class CellTransport(nn.Module):
    """Perturbed cells: kernels of softplus, squared units first, and a quadratic potential about a learnt centre."""

    def __init__(self, depth):
        super().__init__()
        self.w = nn.ModuleList([Kernelled(WIDTH, WIDTH), Kernelled(WIDTH, 1)])
        self.a = nn.ModuleList([nn.Linear(SEEN, WIDTH), nn.Linear(SEEN, WIDTH), nn.Linear(SEEN, 1)])
        self.factor, self.centre = nn.Parameter(torch.eye(SEEN)), nn.Parameter(torch.zeros(SEEN))

    def forward(self, x):
        z = F.leaky_relu(self.a[0](x), 0.2)
        z = z * z
        z = F.leaky_relu(self.w[0](z) + self.a[1](x), 0.2)
        y = self.w[1](z) + self.a[2](x)
        return y + 0.5 * ((x - self.centre) @ self.factor.t()).square().sum(-1, keepdim=True)


def cell_rows(depth):
    return [
        free("a.0", SEEN),
        positive("w.0.weight", WIDTH, None, "softplus", shift="a.1"),
        skip("a.1", SEEN, "w.0.weight"),
        positive("w.1.weight", WIDTH, "leaky_relu(0.2)", "softplus", shift="a.2"),
        skip("a.2", SEEN, "w.1.weight"),
        skip("factor", SEEN, "w.1.weight"),
    ]


class Partial(nn.Module):
    """Convex in the first input; the second gates features and inputs, and shifts."""

    def __init__(self, depth):
        super().__init__()
        self.us = nn.ModuleList([nn.Linear(CONTEXT if i == 0 else 32, 32) for i in range(depth - 1)])
        seen = [CONTEXT, *[32] * (depth - 1)]
        self.wx = nn.ModuleList([nn.Linear(SEEN, WIDTH if i < depth - 1 else 1, bias=False) for i in range(depth)])
        self.wxu = nn.ModuleList([nn.Linear(n, SEEN) for n in seen])
        self.wu = nn.ModuleList([nn.Linear(n, WIDTH if i < depth - 1 else 1) for i, n in enumerate(seen)])
        outputs = [*[WIDTH] * (depth - 2), 1]
        self.wz = nn.ModuleList([nn.Linear(WIDTH, n, bias=False) for n in outputs])
        self.wzu = nn.ModuleList([nn.Linear(n, WIDTH) for n in seen[1:]])

    def make_convex(self):
        for layer in self.wz:
            layer.weight.data = torch.clamp(layer.weight.data, min=0)

    def forward(self, x, u):
        z = None
        for i, (wx, wxu, wu) in enumerate(zip(self.wx, self.wxu, self.wu, strict=True)):
            s = wx(x * wxu(u)) + wu(u)
            if z is not None:
                s = s + self.wz[i - 1](z * F.relu(self.wzu[i - 1](u)))
            z = s if i == len(self.wx) - 1 else F.relu(s)
            u = F.relu(self.us[i](u)) if i < len(self.us) else u
        return z


def partial_rows(depth):
    rows = [free("wx.0", SEEN)]
    for i in range(depth - 1):
        rows.append(positive(f"wz.{i}", WIDTH, "relu", shift=f"wu.{i + 1}"))
        rows.append(skip(f"wx.{i + 1}", SEEN, f"wz.{i}"))
    return rows


class Stable(nn.Module):
    """A Lyapunov function: the network less its value at rest, through a smoothed ReLU, and a small square."""

    def __init__(self, depth, d=0.1, eps=0.01):
        super().__init__()
        self.W = nn.ParameterList([torch.randn(WIDTH, SEEN) * 0.3 for _ in range(depth)])
        self.W.append(torch.randn(1, SEEN))
        self.U = nn.ParameterList([torch.randn(WIDTH, WIDTH) * 0.1 for _ in range(depth - 1)])
        self.U.append(torch.randn(1, WIDTH))
        self.bias = nn.ParameterList([*(torch.zeros(WIDTH) for _ in range(depth)), torch.zeros(1)])
        self.d, self.eps = d, eps

    def phi(self, s):
        bent = torch.clamp(torch.sign(s) * torch.div(s.pow(2), 2 * self.d), min=0, max=self.d / 2)
        return torch.max(bent, s - self.d / 2)

    def net(self, x):
        z = self.phi(F.linear(x, self.W[0], self.bias[0]))
        for W, b, U in zip(self.W[1:-1], self.bias[1:-1], self.U[:-1], strict=True):
            z = self.phi(F.linear(x, W, b) + F.linear(z, F.softplus(U)) / U.shape[0])
        return F.linear(x, self.W[-1], self.bias[-1]) + F.linear(z, F.softplus(self.U[-1])) / self.U[-1].shape[1]

    def forward(self, x):
        return self.phi(self.net(x) - self.net(torch.zeros_like(x))) + self.eps * x.pow(2).sum(1, keepdim=True)


def stable_rows(depth):
    rows = [free("W.0", SEEN)]
    for i in range(depth):
        shift = f"bias.{i + 1}" if i < depth - 1 else ""
        rows.append(positive(f"U.{i}", WIDTH, "*", "0.015625·softplus", shift=shift))
        rows.append(skip(f"W.{i + 1}", SEEN, f"U.{i}"))
    return rows


class LabelEnergy(nn.Module):
    """Structured prediction: an energy that is convex in relaxed labels, less their entropy."""

    def __init__(self, depth):
        super().__init__()
        self.feat = nn.Sequential(nn.Linear(CONTEXT, 32), nn.ReLU())
        self.y0, self.y1, self.y2 = (nn.Linear(SEEN, n, bias=False) for n in (WIDTH, WIDTH, 1))
        self.u0, self.u1, self.u2 = (nn.Linear(32, n) for n in (WIDTH, WIDTH, 1))
        self.z1, self.z2 = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, 1, bias=False)

    def forward(self, y, x):
        u = self.feat(x)
        z = F.softplus(self.y0(y) + self.u0(u))
        z = F.softplus(F.linear(z, self.z1.weight.abs()) + self.y1(y) + self.u1(u))
        energy = F.linear(z, self.z2.weight.abs()) + self.y2(y) + self.u2(u)
        return energy.squeeze(-1) - (torch.special.entr(y) + torch.special.entr(1 - y)).sum(-1)


def label_rows(depth):
    rows = [free("y0", SEEN)]
    for i in (1, 2):
        rows.append(positive(f"z{i}", WIDTH, SOFTPLUS, "abs", shift=f"u{i}"))
        rows.append(skip(f"y{i}", SEEN, f"z{i}"))
    return rows


class Maxout(nn.Module):
    """Maxima over pieces between the layers; the weights are the squares of what is learnt."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, 4 * WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, 4 * WIDTH) for _ in range(depth - 1)])
        self.out = nn.Linear(WIDTH, 1)

    @staticmethod
    def pieces(s):
        return s.unflatten(-1, (WIDTH, 4)).amax(-1)

    def forward(self, x):
        z = self.pieces(self.first(x))
        for layer in self.hidden:
            z = self.pieces(F.linear(z, layer.weight**2, layer.bias))
        return F.linear(z, self.out.weight**2, self.out.bias)


def maxout_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, None, "square", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", SEEN), *hidden, positive("out", WIDTH, None, "square", shift="out")]


class Gauge(nn.Module):
    """Positively homogeneous: lengths of groups of linear maps, no bias anywhere."""

    def __init__(self, depth):
        super().__init__()
        self.A, self.B = nn.Linear(SEEN, 4 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.C, self.top = nn.Linear(SEEN, WIDTH, bias=False), nn.Linear(WIDTH, 1, bias=False)

    def forward(self, x):
        z = torch.linalg.vector_norm(self.A(x).view(len(x), WIDTH, 4), dim=-1)
        z = torch.relu(F.linear(z, torch.relu(self.B.weight)) + self.C(x))
        return F.linear(z, torch.relu(self.top.weight))


def gauge_rows(depth):
    return [
        free("A", SEEN),
        positive("B", WIDTH, None, "relu"),
        skip("C", SEEN, "B"),
        positive("top", WIDTH, "relu", "relu"),
    ]


class Exponentials(nn.Module):
    """A log-sum-exp network at a learnt temperature, in the stable way."""

    def __init__(self, depth):
        super().__init__()
        self.affine, self.log_temperature = nn.Linear(SEEN, WIDTH), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        t = self.log_temperature.exp()
        s = self.affine(x) / t
        top = s.max(dim=1, keepdim=True)[0]
        return t * (top + torch.log(torch.sum(torch.exp(s - top), dim=1, keepdim=True)))


MODELS = {
    **sixth_fields.MODELS,
    "potential flow": Entry(PotentialFlow, vectors, flow_rows, depths=(3,)),
    "last input quadratic": Entry(LastInputQuadratic, vectors, last_input_rows, depths=(2,)),
    "cell transport": Entry(CellTransport, vectors, cell_rows, depths=(2,)),
    "partial": Entry(Partial, conditioned, partial_rows, convex_inputs=0, tighten="make_convex", depths=(3,)),
    "stable": Entry(Stable, vectors, stable_rows, depths=(2,)),
    "label energy": Entry(LabelEnergy, labels, label_rows, convex_inputs=0, depths=(2,)),
    "maxout": Entry(Maxout, vectors, maxout_rows, depths=(2,)),
    "gauge": Entry(Gauge, vectors, gauge_rows, depths=(2,)),
    "exponentials": Entry(Exponentials, vectors, lambda depth: [free("affine", SEEN)], depths=(1,)),
}
