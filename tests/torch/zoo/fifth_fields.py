"""Fields of the fifth dozen: images, signals and graphs, with fixed filters, transforms and neighbours."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

SOFTPLUS = "softplus(1, 20)"
SIDE, CHANNELS, LONG, NODES, KNOTS = 8, 8, 16, 6, 9


def images(count):
    return torch.randn(count, 1, SIDE, SIDE)


def graphs(count):
    return torch.randn(count, NODES, SEEN)


def signals(count):
    return torch.randn(count, 1, LONG)


class GraphLayers(nn.Module):
    """A convex graph network: features of the neighbours are averaged by a fixed matrix behind every product."""

    def __init__(self, depth):
        super().__init__()
        ring = torch.eye(NODES) + torch.eye(NODES).roll(1, 0) + torch.eye(NODES).roll(-1, 0)
        self.register_buffer("adj", ring / ring.sum(1, keepdim=True))
        self.theta = nn.ParameterList(
            [torch.randn(SEEN, WIDTH), *(torch.randn(WIDTH, WIDTH) for _ in range(depth - 1))]
        )
        self.skip = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth - 1)])

    def project(self):
        for theta in list(self.theta)[1:]:
            theta.data.clamp_(min=0.0)

    def forward(self, x):
        z = F.relu(self.adj @ (x @ self.theta[0]))
        for theta, skip_ in zip(list(self.theta)[1:], self.skip, strict=True):
            z = F.relu(torch.matmul(self.adj, z @ theta) + skip_(x))
        return z.mean((1, 2))


def graph_rows(depth):
    rows = [free("theta.0", SEEN)]
    for i in range(1, depth):
        rows.append(skip(f"skip.{i - 1}", SEEN, f"theta.{i}"))
        rows.append(positive(f"theta.{i}", WIDTH, "relu", shift=f"skip.{i - 1}"))
    return rows


class BlurPool(nn.Module):
    """A fixed binomial filter of every channel, with stride."""

    def __init__(self, channels, stride):
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4.0
        self.register_buffer("filt", (row[:, None] * row[None, :]).expand(channels, 1, 3, 3).clone())
        self.stride = stride

    def forward(self, x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.filt, stride=self.stride, groups=x.shape[1])


class Blurred(nn.Module):
    """An adversarial regulariser without aliases: a fixed blur between each activation and the next convolution."""

    def __init__(self, depth):
        super().__init__()
        self.wx = nn.ModuleList([nn.Conv2d(1, CHANNELS, 3, padding=1) for _ in range(depth)])
        self.wz = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False) for _ in range(depth - 1)])
        self.blur = BlurPool(CHANNELS, 1)
        self.final = nn.Linear(CHANNELS, 1, bias=False)

    def zero_clip_weights(self):
        for layer in [*self.wz, self.final]:
            layer.weight.data.clamp_(0)

    def forward(self, x):
        z = F.leaky_relu(self.wx[0](x), 0.2)
        for wz, wx in zip(self.wz, self.wx[1:], strict=True):
            z = F.leaky_relu(wz(self.blur(z)) + wx(x), 0.2)
        return self.final(z.mean((2, 3)))


def blurred_rows(depth):
    rows = [free("wx.0", 9)]
    for i in range(depth - 1):
        rows.append(skip(f"wx.{i + 1}", 9, f"wz.{i}"))
        rows.append(positive(f"wz.{i}", 9 * CHANNELS, None, shift=f"wx.{i + 1}"))
    return [*rows, positive("final", CHANNELS, None)]


class Spectral(nn.Module):
    """A prior on the cosine coefficients of a signal: an orthonormal transform before free and convex layers."""

    def __init__(self, depth):
        super().__init__()
        k, n = torch.arange(LONG)[:, None], torch.arange(LONG)[None, :]
        basis = torch.cos(math.pi * (n + 0.5) * k / LONG) * math.sqrt(2.0 / LONG)
        basis[0] /= math.sqrt(2.0)
        self.register_buffer("dct", basis)
        self.analysis = nn.Linear(LONG, WIDTH, bias=False)
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.softplus(self.analysis(x[:, 0] @ self.dct.t()))
        for layer in self.layers:
            z = F.softplus(F.linear(z, layer.weight.exp(), layer.bias))
        return z.sum(-1)


def spectral_rows(depth):
    hidden = [positive(f"layers.{i}", WIDTH, SOFTPLUS, "exp", shift=f"layers.{i}") for i in range(depth - 1)]
    return [free("analysis", LONG), *hidden]


class SplineRidges(nn.Module):
    """Convex ridges whose profile is a linear spline: hinges at fixed knots, times non-negative learnt slopes."""

    def __init__(self, depth):
        super().__init__()
        sizes = [1, *[CHANNELS] * depth]
        self.conv = nn.ModuleList([nn.Conv2d(a, b, 5, padding=2, bias=False) for a, b in pairwise(sizes)])
        self.register_buffer("knots", torch.linspace(-2.0, 2.0, KNOTS))
        self.raw = nn.Parameter(torch.randn(CHANNELS, 1, 1, KNOTS))

    def forward(self, x):
        for layer in self.conv:
            x = layer(x)
        hinges = F.relu(x.unsqueeze(-1) - self.knots)
        return (F.softplus(self.raw) * hinges).sum(-1).sum((1, 2, 3))


def spline_rows(depth):
    filters = [free(f"conv.{i}", 25 if i == 0 else 25 * CHANNELS) for i in range(depth)]
    return [*filters, positive("raw", KNOTS, "*", "softplus")]


class HuberRegulariser(nn.Module):
    """A sum of Huber functions, piece by piece, of learnt filters, under non-negative layers over the channels."""

    def __init__(self, depth):
        super().__init__()
        self.filters = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.mix = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in range(depth - 1)])

    @staticmethod
    def phi(s):
        inside = 0.5 * s * s
        return torch.where(s > 1.0, s - 0.5, torch.where(s < -1.0, -s - 0.5, inside))

    def forward(self, x):
        z = self.phi(self.filters(x))
        for layer in self.mix:
            z = F.softplus(F.conv2d(z, layer.weight.abs(), layer.bias))
        return z.sum((1, 2, 3))


def huber_rows(depth):
    rows = [free("filters", 9)]
    for i in range(depth - 1):
        fed = "*" if i == 0 else SOFTPLUS
        rows.append(positive(f"mix.{i}", CHANNELS, fed, "abs", shift=f"mix.{i}"))
    return rows


class Differences(nn.Module):
    """Total variation learnt: fixed differences of the image, filters on them, convex layers, a quadratic beside."""

    def __init__(self, depth):
        super().__init__()
        kernel = torch.zeros(2, 1, 3, 3)
        kernel[0, 0, 1, 1:], kernel[1, 0, 1:, 1] = torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0])
        self.register_buffer("D", kernel)
        self.first = nn.Conv2d(2, CHANNELS, 3, padding=1)
        self.hidden = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(depth - 1)])
        self.log_mu = nn.Parameter(torch.tensor(-3.0))

    def forward(self, x):
        gradients = F.conv2d(x, self.D, padding=1)
        z = F.elu(self.first(gradients))
        for layer in self.hidden:
            z = F.elu(F.conv2d(z, layer.weight**2, layer.bias, padding=1))
        return z.mean((1, 2, 3)) + self.log_mu.exp() * gradients.square().mean((1, 2, 3))


def difference_rows(depth):
    hidden = [positive(f"hidden.{i}", 9 * CHANNELS, "elu(1)", "square", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", 18), *hidden]


MODELS = {
    "graph layers": Entry(GraphLayers, graphs, graph_rows, tighten="project", depths=(3,)),
    "blurred": Entry(Blurred, images, blurred_rows, tighten="zero_clip_weights", depths=(3,)),
    "spectral": Entry(Spectral, signals, spectral_rows, depths=(3,)),
    "spline ridges": Entry(SplineRidges, images, spline_rows, depths=(2,)),
    "huber": Entry(HuberRegulariser, images, huber_rows, depths=(3,)),
    "differences": Entry(Differences, images, difference_rows, depths=(3,)),
}
