"""Fully connected networks with free maps of the input beside every positive layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip


def vectors(count):
    return torch.randn(count, SEEN)


class ClampedFromOutside(nn.Module):
    """Biases only in the free maps, ReLU, a method that clamps."""

    def __init__(self, depth):
        super().__init__()
        self.lift = nn.ModuleList([*(nn.Linear(SEEN, WIDTH) for _ in range(depth)), nn.Linear(SEEN, 1)])
        self.carry = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.carry.append(nn.Linear(WIDTH, 1, bias=False))

    @torch.no_grad()
    def make_convex(self):
        for layer in self.carry:
            layer.weight.clamp_(min=0)

    def forward(self, x):
        z = F.relu(self.lift[0](x))
        for across, along in zip(self.lift[1:-1], self.carry[:-1], strict=True):
            z = F.relu(across(x) + along(z))
        return self.carry[-1](z) + self.lift[-1](x)


def clamped_rows(depth):
    rows = [free("lift.0", SEEN)]
    for i in range(depth):
        rows.append(skip(f"lift.{i + 1}", SEEN, f"carry.{i}"))
        rows.append(positive(f"carry.{i}", WIDTH, "relu", shift=f"lift.{i + 1}"))
    return rows


class SquaredFirst(nn.Module):
    """Optimal transport: the first features are squared, leaky ReLU(0.2), here W is the positive one and A free."""

    def __init__(self, depth):
        super().__init__()
        self.slope = 0.2
        self.A = nn.ModuleList([nn.Linear(SEEN, WIDTH, bias=True) for _ in range(depth)])
        self.W = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.final = nn.Linear(WIDTH, 1, bias=False)

    def clip(self):
        for layer in [*self.W, self.final]:
            layer.weight.data.clamp_(0)

    def forward(self, x):
        z = F.leaky_relu(self.A[0](x), self.slope) ** 2
        for i, layer in enumerate(self.W):
            z = F.leaky_relu(layer(z) + self.A[i + 1](x), self.slope)
        return self.final(z)


def squared_rows(depth):
    rows = [free("A.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"A.{i + 1}", SEEN, f"W.{i}"))
        rows.append(positive(f"W.{i}", WIDTH, None if i == 0 else "leaky_relu(0.2)", shift=f"A.{i + 1}"))
    # Behind the last sum nothing has a bias, and no shift is needed for a sum that enters no further layer.
    return [*rows, positive("final", WIDTH, "leaky_relu(0.2)" if depth > 1 else None)]


class Quadratic(nn.Module):
    """``|Fx|² + Wx + b``, unit by unit."""

    def __init__(self, seen, made, rank):
        super().__init__()
        self.factor = nn.Parameter(torch.randn(seen, rank, made))
        self.weight = nn.Parameter(torch.randn(made, seen))
        self.bias = nn.Parameter(torch.zeros(made))

    def forward(self, x):
        squares = torch.einsum("bi,iro->bro", x, self.factor).square().sum(1)
        return squares + F.linear(x, self.weight, self.bias)


class QuadraticTerms(nn.Module):
    """Optimal transport: a quadratic form of the input beside every positive layer, CELU, no bias there."""

    def __init__(self, depth):
        super().__init__()
        self.quadratic_layers = nn.ModuleList([Quadratic(SEEN, WIDTH, 2) for _ in range(depth)])
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.out = nn.Linear(WIDTH, 1, bias=False)

    def convexify(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.weight.data.clamp_(0)

    def forward(self, x):
        z = F.celu(self.quadratic_layers[0](x), 0.5)
        for quadratic, layer in zip(self.quadratic_layers[1:], self.layers, strict=True):
            z = F.celu(layer(z) + quadratic(x), 0.5)
        return self.out(z) + 0.5e-3 * x.square().sum(1, keepdim=True)


def quadratic_rows(depth):
    first = "quadratic_layers.0"
    rows = [free(f"{first}.factor", SEEN), free(f"{first}.weight", SEEN)]
    for i in range(depth - 1):
        path, beside = f"layers.{i}", f"quadratic_layers.{i + 1}"
        rows.append(skip(f"{beside}.factor", SEEN, path))
        rows.append(skip(f"{beside}.weight", SEEN, path))
        rows.append(positive(path, WIDTH, "celu(0.5)", shift=f"{beside}.bias"))
    return [*rows, positive("out", WIDTH, "celu(0.5)")]


class GainLinear(nn.Module):
    """``softplus(W) x`` with a gain of 1/fan_in on the product, no bias."""

    def __init__(self, seen, made):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(made, seen))
        self.gain = 1 / seen

    def forward(self, x):
        return F.linear(x, F.softplus(self.weight)) * self.gain


class ScaleAndShift(nn.Module):
    """ActNorm after it has been set: an exponential gain and a shift for each unit."""

    def __init__(self, units):
        super().__init__()
        self.log_scale, self.shift = nn.Parameter(torch.zeros(units)), nn.Parameter(torch.zeros(units))

    def forward(self, x):
        return (x + self.shift) * self.log_scale.exp()


class Potential(nn.Module):
    """Convex potential flow: half of each layer's features come anew from the input; gains and ActNorm everywhere."""

    def __init__(self, depth):
        super().__init__()
        half = WIDTH // 2
        self.first = nn.Linear(SEEN, WIDTH)
        self.norms = nn.ModuleList([ScaleAndShift(WIDTH) for _ in range(depth)])
        self.along = nn.ModuleList([GainLinear(WIDTH, half) for _ in range(depth - 1)])
        self.across = nn.ModuleList([nn.Linear(SEEN, half) for _ in range(depth - 1)])
        self.anew = nn.ModuleList([nn.Linear(SEEN, half) for _ in range(depth - 1)])
        self.last, self.last_across = GainLinear(WIDTH, 1), nn.Linear(SEEN, 1, bias=False)
        self.w0, self.w1 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        z = F.softplus(self.norms[0](self.first(x)))
        for norm, along, across, anew in zip(self.norms[1:], self.along, self.across, self.anew, strict=True):
            z = F.softplus(norm(torch.cat([along(z) + across(x), anew(x)], 1)))
        icnn = self.last(z) + self.last_across(x)
        return F.softplus(self.w1) * icnn + F.softplus(self.w0) * x.square().sum(1, keepdim=True) / 2


def potential_rows(depth):
    rows, through = [free("first", SEEN)], f"{1 / WIDTH:g}·softplus"
    for i in range(depth - 1):
        path = f"along.{i}"
        rows.append(skip(f"across.{i}", SEEN, f"{path}.weight"))
        rows.append(free(f"anew.{i}", SEEN))
        rows.append(positive(f"{path}.weight", WIDTH, "softplus(1, 20)", through, shift=f"across.{i}"))
    rows.append(skip("last_across", SEEN, "last.weight"))
    return [*rows, positive("last.weight", WIDTH, "softplus(1, 20)", through)]


class ShiftedSoftplus(nn.Module):
    """No skip at all: ``softplus(s) − ln 2`` and clamped weights, biases everywhere."""

    def __init__(self, depth):
        super().__init__()
        self.fc_in = nn.Linear(SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.fc_out = nn.Linear(WIDTH, 1)

    @staticmethod
    def act(s):
        return F.softplus(s) - F.softplus(torch.zeros(1))

    def forward(self, x):
        z = self.act(self.fc_in(x))
        for layer in self.hidden:
            z = self.act(F.linear(z, layer.weight.clamp(min=0), layer.bias))
        return F.linear(z, self.fc_out.weight.clamp(min=0), self.fc_out.bias)


def shifted_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, None, "relu", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("fc_in", SEEN), *hidden, positive("fc_out", WIDTH, None, "relu", shift="fc_out")]


class EverySmoothChoice(nn.Module):
    """ELU, a steep softplus for the weights scaled by 1/fan_in, biases in both maps, an activation on the output."""

    def __init__(self, depth):
        super().__init__()
        self.x_maps = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.z_maps = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.top = nn.Linear(WIDTH, 16)

    @staticmethod
    def weight_of(layer):
        return F.softplus(layer.weight, beta=4) / layer.in_features

    def forward(self, x):
        z = F.elu(self.x_maps[0](x))
        for x_map, z_map in zip(self.x_maps[1:], self.z_maps, strict=True):
            z = F.elu(F.linear(z, self.weight_of(z_map), z_map.bias) + x_map(x))
        return F.softplus(F.linear(z, self.weight_of(self.top), self.top.bias), beta=10)


def smooth_rows(depth):
    rows, through = [free("x_maps.0", SEEN)], f"{1 / WIDTH:g}·softplus(beta=4)"
    for i in range(depth - 1):
        rows.append(skip(f"x_maps.{i + 1}", SEEN, f"z_maps.{i}"))
        rows.append(positive(f"z_maps.{i}", WIDTH, "elu(1)", through, shift=f"z_maps.{i}"))
    return [*rows, positive("top", WIDTH, "elu(1)", through, shift="top")]


MODELS = {
    "clamped from outside": Entry(ClampedFromOutside, vectors, clamped_rows, tighten="make_convex"),
    "squared first layer": Entry(SquaredFirst, vectors, squared_rows, tighten="clip"),
    "quadratic terms": Entry(QuadraticTerms, vectors, quadratic_rows, tighten="convexify"),
    "convex potential": Entry(Potential, vectors, potential_rows),
    "shifted softplus": Entry(ShiftedSoftplus, vectors, shifted_rows),
    "every smooth choice": Entry(EverySmoothChoice, vectors, smooth_rows),
}
