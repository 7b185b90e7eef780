"""The second half of the sixth dozen: images, sets, horizons, mechanics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

CHANNELS = 12


def images(count):
    return torch.rand(count, 1, 16, 16)


def point_sets(count):
    return torch.randn(count, 5, SEEN)


def stretches(count):
    return torch.rand(count, 3) * 0.5 + 3.0


class AdversarialRegulariser(nn.Module):
    """Convolutions of features, squares of convolutions of the image, and linear ones; clipped from outside."""

    def __init__(self, depth):
        super().__init__()
        self.wz = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2, bias=False) for _ in range(depth - 1)])
        self.wx_quad = nn.ModuleList([nn.Conv2d(1, CHANNELS, 5, padding=2, bias=False) for _ in range(depth)])
        self.wx_lin = nn.ModuleList([nn.Conv2d(1, CHANNELS, 5, padding=2, bias=True) for _ in range(depth)])
        self.final_conv = nn.Conv2d(CHANNELS, 1, 5, padding=2, bias=False)
        self.negative_slope = 0.2

    def zero_clip_weights(self):
        for layer in self.wz:
            layer.weight.data.clamp_(0)
        self.final_conv.weight.data.clamp_(0)
        return self

    def forward(self, x):
        z = F.leaky_relu(self.wx_quad[0](x) ** 2 + self.wx_lin[0](x), negative_slope=self.negative_slope)
        for wz, quad, lin in zip(self.wz, self.wx_quad[1:], self.wx_lin[1:], strict=True):
            z = F.leaky_relu(wz(z) + quad(x) ** 2 + lin(x), negative_slope=self.negative_slope)
        z = self.final_conv(z)
        return F.avg_pool2d(z, z.size()[2:]).view(z.size(0), -1)


def adversarial_rows(depth):
    rows = [free("wx_quad.0", 25), free("wx_lin.0", 25)]
    for i in range(depth - 1):
        rows += [skip(f"wx_quad.{i + 1}", 25, f"wz.{i}"), skip(f"wx_lin.{i + 1}", 25, f"wz.{i}")]
        rows.append(positive(f"wz.{i}", 25 * CHANNELS, "leaky_relu(0.2)", shift=f"wx_lin.{i + 1}"))
    return [*rows, positive("final_conv", 25 * CHANNELS, "leaky_relu(0.2)")]


class ProximalNetwork(nn.Module):
    """A strided potential whose gradient is the denoiser; the potential is what is convex."""

    def __init__(self, depth, beta=10.0, alpha=0.01):
        super().__init__()
        self.lin = nn.ModuleList(
            [
                nn.Conv2d(1, CHANNELS, 3, bias=True, stride=1, padding=1),
                nn.Conv2d(CHANNELS, CHANNELS, 3, bias=False, stride=2, padding=1),
                nn.Conv2d(CHANNELS, CHANNELS, 3, bias=False, stride=1, padding=1),
                nn.Conv2d(CHANNELS, 1, 8, bias=False),
            ]
        )
        self.res = nn.ModuleList(
            [
                nn.Conv2d(1, CHANNELS, 3, stride=2, padding=1),
                nn.Conv2d(1, CHANNELS, 3, stride=1, padding=1),
                nn.Conv2d(1, 1, 8),
            ]
        )
        self.act, self.alpha = nn.Softplus(beta=beta), alpha

    def wclip(self):
        with torch.no_grad():
            for layer in self.lin[1:]:
                layer.weight.clamp_(min=0)

    def scalar(self, x):
        y = self.act(self.lin[0](x))
        y = self.act(self.lin[1](y) + self.res[0](x))
        small = F.avg_pool2d(x, 2)
        y = self.act(self.lin[2](y) + self.res[1](small))
        y = self.lin[3](y) + self.res[2](small)
        return y.mean(dim=(2, 3)) + self.alpha * x.reshape(x.shape[0], -1).pow(2).sum(1, keepdim=True) / 2

    def forward(self, x):
        with torch.enable_grad():
            x = x if x.requires_grad else x.requires_grad_()
            y = self.scalar(x)
            return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def proximal_rows(depth):
    rows = [free("lin.0", 9)]
    for i, (seen, image) in enumerate([(9 * CHANNELS, 9), (9 * CHANNELS, 9), (64 * CHANNELS, 64)]):
        rows.append(positive(f"lin.{i + 1}", seen, "softplus(10, 20)", shift=f"res.{i}"))
        rows.append(skip(f"res.{i}", image, f"lin.{i + 1}"))
    return rows


class DeepSet(nn.Module):
    """Each element beside the mean of all; positive weights exp, a mean over the set, and a head."""

    def __init__(self, depth):
        super().__init__()
        self.own, self.mean = nn.Linear(SEEN, WIDTH), nn.Linear(SEEN, WIDTH, bias=False)
        self.hidden, self.across = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.rho = nn.Linear(WIDTH, 1)

    def forward(self, x):
        z = F.elu(self.own(x) + self.mean(x.mean(dim=1, keepdim=True)))
        pooled = z.mean(dim=1, keepdim=True)
        z = F.elu(F.linear(z, self.hidden.weight.exp(), self.hidden.bias) + F.linear(pooled, self.across.weight.exp()))
        return F.linear(z.mean(dim=1), self.rho.weight.exp(), self.rho.bias)


def set_rows(depth):
    return [
        free("own", SEEN),
        free("mean", SEEN),
        positive("hidden", WIDTH, "elu(1)", "exp", shift="hidden", beside=("across",)),
        positive("across", WIDTH, "elu(1)", "exp", shift="hidden", beside=("hidden",)),
        positive("rho", WIDTH, "elu(1)", "exp", shift="rho"),
    ]


class BuildingModel(nn.Module):
    """Model predictive control: the input beside its negative, and no negative weight at all."""

    def __init__(self, depth):
        super().__init__()
        self.W = nn.ModuleList([nn.Linear(2 * SEEN if i == 0 else WIDTH, WIDTH) for i in range(depth)])
        self.D = nn.ModuleList([nn.Linear(2 * SEEN, WIDTH, bias=False) for _ in range(depth - 1)])
        self.out = nn.Linear(WIDTH, 1)

    def clip(self):
        with torch.no_grad():
            for layer in [*self.W, *self.D, self.out]:
                layer.weight.clamp_(0.0)

    def forward(self, u):
        uhat = torch.cat([u, -u], dim=-1)
        z = torch.relu(self.W[0](uhat))
        for W, D in zip(self.W[1:], self.D, strict=True):
            z = torch.relu(W(z) + D(uhat))
        return self.out(z)


def building_rows(depth):
    rows = [positive("W.0", 2 * SEEN, "identity", shift="W.0")]
    for i in range(1, depth):
        rows.append(positive(f"W.{i}", WIDTH, "relu", shift=f"W.{i}", beside=(f"D.{i - 1}",)))
        rows.append(positive(f"D.{i - 1}", 2 * SEEN, "identity", shift=f"W.{i}", beside=(f"W.{i}",)))
    return [*rows, positive("out", WIDTH, "relu", shift="out")]


class StrainEnergy(nn.Module):
    """Convex and rising in the invariants of a deformation, from which the value at rest is taken."""

    def __init__(self, depth):
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(WIDTH, 3 if i == 0 else WIDTH) * 0.1 for i in range(depth)])
        self.biases = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth)])
        self.last = nn.Parameter(torch.randn(1, WIDTH) * 0.1)

    def net(self, invariants):
        z = invariants
        for w, b in zip(self.weights, self.biases, strict=True):
            z = F.softplus(F.linear(z, F.softplus(w), b))
        return F.linear(z, F.softplus(self.last))

    def forward(self, invariants):
        return self.net(invariants) - self.net(torch.full((1, 3), 3.0))


def strain_rows(depth):
    seen = [3, *[WIDTH] * (depth - 1)]
    rows = [positive(f"weights.{i}", n, None, "softplus", shift=f"biases.{i}") for i, n in enumerate(seen)]
    return [*rows, positive("last", WIDTH, "softplus(1, 20)", "softplus")]


MODELS = {
    "adversarial": Entry(AdversarialRegulariser, images, adversarial_rows, tighten="zero_clip_weights", depths=(3,)),
    "proximal": Entry(ProximalNetwork, images, proximal_rows, entry="scalar", tighten="wclip", depths=(3,)),
    "deep set": Entry(DeepSet, point_sets, set_rows, depths=(2,)),
    "building": Entry(BuildingModel, vectors, building_rows, tighten="clip", depths=(3,)),
    "strain energy": Entry(StrainEnergy, stretches, strain_rows, depths=(2,)),
}
