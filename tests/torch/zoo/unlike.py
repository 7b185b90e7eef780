"""A second dozen, written before any of them was read, to be unlike the first: how much is read at once?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip


class SetFunction(nn.Module):
    """Convex in the elements of a set: layers act on the last of three dimensions, a mean joins the elements."""

    def __init__(self, depth):
        super().__init__()
        self.embed = nn.Linear(SEEN, WIDTH)
        self.inner = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 2)])
        self.outer = nn.Linear(WIDTH, WIDTH)

    def forward(self, elements):
        z = F.softplus(self.embed(elements))
        for layer in self.inner:
            z = F.softplus(F.linear(z, layer.weight.exp(), layer.bias))
        return F.softplus(F.linear(z.mean(1), self.outer.weight.exp(), self.outer.bias)).sum(-1)


def set_rows(depth):
    paths = [*(f"inner.{i}" for i in range(depth - 2)), "outer"]
    return [free("embed", SEEN), *(positive(p, WIDTH, "softplus(1, 20)", "exp", shift=p) for p in paths)]


class Stacked(nn.Module):
    """The weights of all layers in one tensor, and all biases in another."""

    def __init__(self, depth):
        super().__init__()
        self.W = nn.Parameter(torch.randn(depth - 1, WIDTH, WIDTH))
        self.A = nn.Parameter(torch.randn(depth, SEEN, WIDTH))
        self.b = nn.Parameter(torch.zeros(depth, WIDTH))

    def forward(self, x):
        z = F.relu(x @ self.A[0] + self.b[0])
        for i in range(self.W.shape[0]):
            z = F.relu(z @ self.W[i].square() + x @ self.A[i + 1] + self.b[i + 1])
        return z.sum(1)


def stacked_rows(depth):
    return [skip("A", SEEN, "W"), positive("W", WIDTH, "relu", "square", shift="b")]


class Ensemble(nn.Module):
    """Four networks side by side, each product over all of them at once."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Parameter(torch.randn(4, SEEN, WIDTH))
        self.rest = nn.ParameterList([torch.randn(4, WIDTH, WIDTH) for _ in range(depth - 1)])
        self.offsets = nn.ParameterList([torch.zeros(4, 1, WIDTH) for _ in range(depth)])

    def forward(self, x):
        z = torch.einsum("bi,eio->ebo", x, self.first) + self.offsets[0]
        for weight, offset in zip(self.rest, self.offsets[1:], strict=True):
            z = torch.baddbmm(offset, F.elu(z), F.softplus(weight))
        return z.mean((0, 2))


def ensemble_rows(depth):
    rows = [free("first", SEEN)]
    for i in range(depth - 1):
        rows.append(positive(f"rest.{i}", WIDTH, "elu(1)", "softplus", shift=f"offsets.{i + 1}"))
    return rows


class Standardised(nn.Module):
    """Buffers standardise the input and give the output its scale; features are returned beside it."""

    def __init__(self, depth):
        super().__init__()
        self.register_buffer("centre", torch.full((SEEN,), 2.0))
        self.register_buffer("scale", torch.full((SEEN,), 3.0))
        self.register_buffer("unit", torch.tensor(7.0))
        self.inputs = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])

    def constrain(self):
        self.hidden.apply(lambda m: m.weight.data.clamp_(min=0) if isinstance(m, nn.Linear) else None)

    def forward(self, x):
        x = (x - self.centre) / self.scale
        z = F.relu(self.inputs[0](x))
        for direct, onward in zip(self.inputs[1:], self.hidden, strict=True):
            z = F.relu(direct(x) + onward(z))
        return self.unit * z.sum(1) + 5.0, torch.tanh(z)


def standardised_rows(depth):
    rows = [free("inputs.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"inputs.{i + 1}", SEEN, f"hidden.{i}"))
        rows.append(positive(f"hidden.{i}", WIDTH, "relu", shift=f"inputs.{i + 1}"))
    return rows


class Hourglass(nn.Module):
    """Images down by pooling and up by interpolation; features of the same size are joined by positive 1×1 maps."""

    def __init__(self, depth):
        super().__init__()
        pairs, wide = depth // 2, 8
        self.stem = nn.Conv2d(1, wide, 3, padding=1)
        self.down = nn.ModuleList([nn.Conv2d(wide, wide, 3, padding=1) for _ in range(pairs)])
        self.up = nn.ModuleList([nn.Conv2d(wide, wide, 3, padding=1) for _ in range(pairs)])
        self.join = nn.ModuleList([nn.Conv2d(wide, wide, 1, bias=False) for _ in range(pairs)])
        for layer in [*self.down, *self.up, *self.join]:
            parametrize.register_parametrization(layer, "weight", nn.ReLU())

    def forward(self, x):
        z = F.leaky_relu(self.stem(x), 0.2)
        kept = []
        for i, layer in enumerate(self.down):
            kept.append(z)
            z = F.leaky_relu(layer(F.avg_pool2d(z, 2) if i < 2 else z), 0.2)
        for layer, join, past in zip(self.up, self.join, kept[::-1], strict=True):
            if past.shape != z.shape:
                z = F.interpolate(z, scale_factor=2, mode="nearest")
            z = F.leaky_relu(layer(z) + join(past), 0.2)
        return z.mean((1, 2, 3))


def hourglass_rows(depth):
    rows, phi = [free("stem", 9)], "leaky_relu(0.2)"
    for i in range(depth // 2):
        rows.append(positive(f"down.{i}", 72, phi, "relu", shift=f"down.{i}"))
        rows.append(positive(f"up.{i}", 72, phi, "relu", shift=f"up.{i}", beside=(f"join.{i}",)))
        rows.append(positive(f"join.{i}", 8, phi, "relu", shift=f"up.{i}", beside=(f"up.{i}",)))
    return rows


class Offset(nn.Module):
    """Exponentials of a shifted raw weight, so that a raw weight of 0 is a small one."""

    def __init__(self, depth):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(SEEN, WIDTH), *(nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1))])

    def forward(self, x):
        z = self.layers[0](x)
        for layer in self.layers[1:]:
            z = F.linear(F.softplus(z), torch.exp(layer.weight - 4.0), layer.bias)
        return z.logsumexp(1)


def offset_rows(depth):
    paths = [f"layers.{i}" for i in range(1, depth)]
    rows = [positive(path, WIDTH, "softplus(1, 20)", "exp[raw-4]", shift=path) for path in paths]
    return [free("layers.0", SEEN), *rows]


class NormedSkips(nn.Module):
    """The free maps have weight normalisation, the positive ones are clamped from outside."""

    def __init__(self, depth):
        super().__init__()
        self.x = nn.ModuleList([parametrizations.weight_norm(nn.Linear(SEEN, WIDTH)) for _ in range(depth)])
        self.z = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])

    def clamp(self):
        for layer in self.z:
            layer.weight.data.clamp_(0)

    def forward(self, x):
        z = F.relu(self.x[0](x))
        for direct, onward in zip(self.x[1:], self.z, strict=True):
            z = F.relu(direct(x) + onward(z))
        return z.amax(1)


def normed_rows(depth):
    rows = [free("x.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"x.{i + 1}", SEEN, f"z.{i}"))
        rows.append(positive(f"z.{i}", WIDTH, "relu", shift=f"x.{i + 1}"))
    return rows


class LayerScale(nn.Module):
    """A residual stream: each branch has a learnt positive factor for every unit, and so has the stream itself."""

    def __init__(self, depth):
        super().__init__()
        self.lift = nn.Linear(SEEN, WIDTH)
        self.branches = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.small = nn.ParameterList([torch.full((WIDTH,), -1.0) for _ in range(depth - 1)])
        self.stream = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.elu(self.lift(x))
        for layer, small, stream in zip(self.branches, self.small, self.stream, strict=True):
            branch = F.linear(z, layer.weight.abs(), layer.bias)
            z = F.elu(stream.exp() * z + small.exp() * branch)
        return z.sum(1)


def layer_scale_rows(depth):
    paths = [f"branches.{i}" for i in range(depth - 1)]
    return [free("lift", SEEN), *(positive(path, WIDTH, "elu(1)", "abs", shift=path) for path in paths)]


class Categories(nn.Module):
    """Context is a category: its embedding is added to every sum and gates every feature."""

    def __init__(self, depth):
        super().__init__()
        self.shift = nn.ModuleList([nn.Embedding(5, WIDTH) for _ in range(depth)])
        self.gate = nn.Embedding(5, WIDTH)
        self.x = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.z = nn.ParameterList([torch.randn(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x, category):
        gate = torch.sigmoid(self.gate(category)) + 0.5
        z = F.softplus(self.x[0](x) + self.shift[0](category))
        for direct, weight, shift in zip(self.x[1:], self.z, self.shift[1:], strict=True):
            z = F.softplus((gate * z) @ F.softplus(weight) + direct(x) + shift(category))
        return z.mean(1)


def category_rows(depth):
    rows = [free("x.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"x.{i + 1}", SEEN, f"z.{i}"))
        rows.append(positive(f"z.{i}", WIDTH, None, "softplus", shift=f"x.{i + 1}"))
    return rows


class Doubled(nn.Module):
    """Recurrent control: the input beside its negative, so that all weights, those of inputs too, are non-negative."""

    def __init__(self, depth):
        super().__init__()
        self.U = nn.Parameter(torch.rand(2 * SEEN, WIDTH))
        self.V = nn.Parameter(torch.rand(WIDTH, WIDTH))
        self.D = nn.Parameter(torch.rand(2 * SEEN, WIDTH))
        self.b = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, sequence):
        doubled = torch.cat([sequence, -sequence], -1)
        z, before = sequence.new_zeros(sequence.shape[0], WIDTH), torch.zeros_like(doubled[:, 0])
        for u in doubled.unbind(1):
            z = F.relu(u @ self.U.abs() + z @ self.V.abs() + before @ self.D.abs() + self.b)
            before = u
        return z.sum(1)


def doubled_rows(depth):
    # By the data flow alone U and D would be free; the map on them makes them positive.
    return [
        positive("U", 2 * SEEN, "identity", "abs", shift="b"),
        positive("V", WIDTH, "relu", "abs", shift="b", beside=("U", "D")),
        positive("D", 2 * SEEN, "identity", "abs", shift="b", beside=("U", "V")),
    ]


class RowsOfShares(nn.Module):
    """The weights of a unit are shares that add up to a learnt number: softplus over its sum."""

    def __init__(self, depth):
        super().__init__()
        self.start = nn.Linear(SEEN, WIDTH)
        self.raw = nn.ParameterList([torch.randn(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.total = nn.ParameterList([torch.zeros(WIDTH, 1) for _ in range(depth - 1)])
        self.bias = nn.ParameterList([torch.zeros(WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.relu(self.start(x))
        for raw, total, bias in zip(self.raw, self.total, self.bias, strict=True):
            shares = F.softplus(raw)
            z = F.relu(F.linear(z, total.exp() * shares / shares.sum(1, keepdim=True), bias))
        return z.sum(1)


def share_rows(depth):
    # No map of one raw number to one weight: to be refused with that reason.
    return []


class Gradient(nn.Module):
    """A gradient map: ``forward`` differentiates the potential, which has smooth maxima at a temperature."""

    def __init__(self, depth):
        super().__init__()
        self.temperature = 0.5
        self.pieces = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.mix = nn.ParameterList([torch.randn(WIDTH, WIDTH) - 3 for _ in range(depth - 1)])

    def potential(self, x):
        z = F.softplus(self.pieces[0](x) / self.temperature) * self.temperature
        for pieces, mix in zip(self.pieces[1:], self.mix, strict=True):
            z = self.temperature * F.softplus((pieces(x) + torch.mm(z, mix.exp())) / self.temperature)
        return z.sum(1)

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.potential(x).sum(), x)[0]


def gradient_rows(depth):
    rows = [free("pieces.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"pieces.{i + 1}", SEEN, f"mix.{i}"))
        rows.append(positive(f"mix.{i}", WIDTH, None, "2·exp", shift=f"pieces.{i + 1}"))
    return rows


def sequences(count):
    return torch.randn(count, 6, SEEN)


# What is refused, with reasons, or has slices of one tensor for the weights of all layers.
NOT_READ = ("stacked", "normed skips", "rows of shares")
MODELS = {
    "set function": Entry(SetFunction, lambda n: torch.randn(n, 5, SEEN), set_rows),
    "stacked": Entry(Stacked, vectors, stacked_rows),
    "ensemble": Entry(Ensemble, vectors, ensemble_rows, bends=lambda depth: depth - 1),
    "standardised": Entry(
        Standardised, lambda n: 2 + 3 * vectors(n), standardised_rows, outputs="output.0", tighten="constrain"
    ),
    "hourglass": Entry(Hourglass, lambda n: torch.randn(n, 1, 8, 8), hourglass_rows),
    "offset": Entry(Offset, vectors, offset_rows),
    "normed skips": Entry(NormedSkips, vectors, normed_rows, tighten="clamp"),
    "layer scale": Entry(LayerScale, vectors, layer_scale_rows),
    "categories": Entry(Categories, lambda n: (vectors(n), torch.randint(5, (n,))), category_rows, convex_inputs=0),
    "doubled": Entry(Doubled, sequences, doubled_rows, depths=(3,)),
    "rows of shares": Entry(RowsOfShares, vectors, share_rows),
    "gradient": Entry(Gradient, vectors, gradient_rows, entry="potential"),
}
