"""Residual streams, dense concatenation, sums of several positive layers, recurrence, physics, maxima."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip


class ResidualInside(nn.Module):
    """``z' = φ(W z + z)``: the identity joins before the activation."""

    def __init__(self, depth):
        super().__init__()
        self.embed = nn.Linear(SEEN, WIDTH)
        self.steps = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.read = nn.Linear(WIDTH, 1)

    def forward(self, x):
        z = F.relu(self.embed(x))
        for step in self.steps:
            z = F.relu(F.linear(z, step.weight.exp(), step.bias) + z)
        return F.linear(z, self.read.weight.exp(), self.read.bias)


def inside_rows(depth):
    paths = [*(f"steps.{i}" for i in range(depth - 1)), "read"]
    return [free("embed", SEEN), *(positive(path, WIDTH, "relu", "exp", shift=path) for path in paths)]


class ResidualOutside(nn.Module):
    """``z' = z + φ(W z)``: the identity joins after the activation, so a layer is fed by a stream."""

    def __init__(self, depth):
        super().__init__()
        self.embed = nn.Linear(SEEN, WIDTH)
        self.steps = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def project(self):
        for step in self.steps:
            step.weight.data.clamp_(min=0)

    def forward(self, x):
        z = F.softplus(self.embed(x))
        for step in self.steps:
            z = z + F.softplus(step(z))
        return z.sum(1)


def outside_rows(depth):
    rows = [free("embed", SEEN)]
    for i in range(depth - 1):
        fed = "softplus(1, 20)" if i == 0 else None
        rows.append(positive(f"steps.{i}", WIDTH, fed, shift=f"steps.{i}"))
    return rows


class ResidualBlocks(nn.Module):
    """``z' = φ(W₂ φ(W₁ z) + z + A x)``: two layers in a block, a free map of the input, and the identity."""

    def __init__(self, depth):
        super().__init__()
        blocks = depth // 2
        self.embed = nn.Linear(SEEN, WIDTH)
        self.one = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(blocks)])
        self.two = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(blocks)])
        self.side = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(blocks)])

    def forward(self, x):
        z = F.leaky_relu(self.embed(x), 0.2)
        for one, two, side in zip(self.one, self.two, self.side, strict=True):
            inner = F.leaky_relu(F.linear(z, one.weight.square(), one.bias), 0.2)
            z = F.leaky_relu(F.linear(inner, two.weight.square()) + side(x) + z, 0.2)
        return z.mean(1)


def block_rows(depth):
    rows, phi = [free("embed", SEEN)], "leaky_relu(0.2)"
    for i in range(depth // 2):
        rows.append(positive(f"one.{i}", WIDTH, phi, "square", shift=f"one.{i}"))
        rows.append(positive(f"two.{i}", WIDTH, phi, "square", shift=f"side.{i}"))
        rows.append(skip(f"side.{i}", SEEN, f"two.{i}"))
    return rows


class DenselyConnected(nn.Module):
    """Each layer sees the features of all before it, side by side."""

    def __init__(self, depth):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(SEEN, 24)])
        self.layers.extend(nn.Linear(24 * i, 24) for i in range(1, depth))

    def clamp(self):
        for layer in self.layers[1:]:
            layer.weight.data.clamp_(min=0)

    def forward(self, x):
        features = [F.relu(self.layers[0](x))]
        for layer in self.layers[1:]:
            features.append(F.relu(layer(torch.cat(features, dim=-1))))
        return torch.cat(features, -1).mean(-1)


def densely_rows(depth):
    paths = [(f"layers.{i}", 24 * i) for i in range(1, depth)]
    return [free("layers.0", SEEN), *(positive(path, fan, "relu", shift=path) for path, fan in paths)]


class InputBesideFeatures(nn.Module):
    """The input and its negative are concatenated to the features, and one non-negative weight takes both."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Linear(SEEN, WIDTH)
        self.layers = nn.ModuleList([nn.Linear(WIDTH + 2 * SEEN, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.relu(self.start(x))
        for layer in self.layers:
            z = F.relu(F.linear(torch.cat([z, x, -x], 1), F.softplus(layer.weight), layer.bias))
        return z.sum(1)


def beside_rows(depth):
    fan_in = WIDTH + 2 * SEEN
    paths = [f"layers.{i}" for i in range(depth - 1)]
    return [free("start", SEEN), *(positive(path, fan_in, None, "softplus", shift=path) for path in paths)]


class SeveralPositive(nn.Module):
    """Every layer sums a positive map of each of the two before it, and a free map of the input."""

    def __init__(self, depth):
        super().__init__()
        self.x = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.near = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.far = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 2)])

    def forward(self, x):
        z = [F.relu(self.x[0](x))]
        for i, near in enumerate(self.near):
            s = self.x[i + 1](x) + F.linear(z[-1], near.weight.abs())
            if i > 0:
                s = s + F.linear(z[-2], self.far[i - 1].weight.abs())
            z.append(F.relu(s))
        return z[-1].sum(1)


def several_rows(depth):
    rows = [free("x.0", SEEN)]
    for i in range(depth - 1):
        near, far, across = f"near.{i}", f"far.{i - 1}", f"x.{i + 1}"
        together = (near, far) if i > 0 else (near,)
        rows.append(skip(across, SEEN, *together))
        rows.append(positive(near, WIDTH, "relu", "abs", shift=across, beside=together[1:]))
        if i > 0:
            rows.append(positive(far, WIDTH, "relu", "abs", shift=across, beside=(near,)))
    return rows


class Recurrent(nn.Module):
    """A convex recurrent network: one step per element of the sequence, the state starts at 0, free inputs."""

    def __init__(self, depth):
        super().__init__()
        self.U, self.V, self.out = nn.Linear(SEEN, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, 1)

    def project(self):
        for layer in (self.V, self.out):
            layer.weight.data.clamp_(min=0)

    def forward(self, sequence):
        z = sequence.new_zeros(sequence.shape[0], WIDTH)
        outputs = []
        for x in sequence.unbind(1):
            z = F.relu(self.U(x) + self.V(z))
            outputs.append(self.out(z))
        return torch.stack(outputs, 1)


def recurrent_rows(depth):
    return [
        skip("U", SEEN, "V"),
        positive("V", WIDTH, "relu", shift="U"),
        positive("out", WIDTH, "relu", shift="out"),
    ]


class Stretches(nn.Module):
    """Hyperelasticity: every weight is non-negative, on squares and powers of the stretches; no map is free."""

    def __init__(self, depth):
        super().__init__()
        self.inner = nn.ParameterList([torch.randn(WIDTH, 12 if i == 0 else WIDTH) for i in range(depth)])
        self.shifts = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth)])
        self.outer = nn.Parameter(torch.randn(1, WIDTH))

    def forward(self, stretches):
        z = torch.cat([stretches**2, (stretches - 1) ** 2, stretches**4, stretches.abs()], 1)
        for weight, shift in zip(self.inner, self.shifts, strict=True):
            z = F.softplus(F.linear(z, F.softplus(weight), shift))
        return F.linear(z, F.softplus(self.outer))


def stretch_rows(depth):
    rows = [positive("inner.0", 12, None, "softplus", shift="shifts.0")]
    for i in range(1, depth):
        rows.append(positive(f"inner.{i}", WIDTH, "softplus(1, 20)", "softplus", shift=f"shifts.{i}"))
    return [*rows, positive("outer", WIDTH, "softplus(1, 20)", "softplus")]


class LogSumExpLayers(nn.Module):
    """Smooth maxima as activations, over groups of affine or convex pieces."""

    def __init__(self, depth):
        super().__init__()
        self.pieces = nn.ModuleList([nn.Linear(SEEN, 4 * WIDTH)])
        self.pieces.extend(nn.Linear(WIDTH, 4 * WIDTH) for _ in range(depth - 1))

    def project(self):
        for layer in list(self.pieces)[1:]:
            layer.weight.data.mul_(layer.weight.data > 0)

    def forward(self, x):
        z = x
        for layer in self.pieces:
            z = layer(z).view(-1, WIDTH, 4).logsumexp(2)
        return z.sum(1)


def log_sum_exp_rows(depth):
    paths = [f"pieces.{i}" for i in range(1, depth)]
    return [free("pieces.0", SEEN), *(positive(path, WIDTH, None, shift=path) for path in paths)]


class SquaredOutput(nn.Module):
    """Non-negative features, whose positive sum is squared at the end, and a learnt PReLU slope in between."""

    def __init__(self, depth):
        super().__init__()
        self.maps = nn.ModuleList([nn.Linear(SEEN, WIDTH), *(nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1))])
        self.act = nn.ModuleList([nn.PReLU() for _ in range(depth - 1)])

    def forward(self, x):
        z = self.maps[0](x)
        for act, layer in zip(self.act, self.maps[1:], strict=True):
            z = F.linear(act(z), layer.weight.exp(), layer.bias)
        return z.relu().square().sum(1)


def squared_output_rows(depth):
    paths = [f"maps.{i}" for i in range(1, depth)]
    return [free("maps.0", SEEN), *(positive(path, WIDTH, "prelu(0.25)", "exp", shift=path) for path in paths)]


def sequences(depth):
    return lambda count: torch.randn(count, depth, SEEN)


MODELS = {
    "residual inside": Entry(ResidualInside, vectors, inside_rows),
    "residual outside": Entry(ResidualOutside, vectors, outside_rows, tighten="project"),
    "residual blocks": Entry(ResidualBlocks, vectors, block_rows),
    "densely connected": Entry(DenselyConnected, vectors, densely_rows, tighten="clamp"),
    "input beside features": Entry(InputBesideFeatures, vectors, beside_rows),
    "several positive": Entry(SeveralPositive, vectors, several_rows),
    "recurrent, 3 steps": Entry(Recurrent, sequences(3), recurrent_rows, tighten="project", depths=(3,)),
    "recurrent, 10 steps": Entry(Recurrent, sequences(10), recurrent_rows, tighten="project", depths=(10,)),
    "stretches": Entry(Stretches, lambda n: 1 + 0.3 * torch.randn(n, 3), stretch_rows),
    "log-sum-exp layers": Entry(LogSumExpLayers, vectors, log_sum_exp_rows, tighten="project"),
    "squared output": Entry(SquaredOutput, vectors, squared_output_rows),
}
