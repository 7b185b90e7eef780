"""Ordinary mathematics in unusual clothes: odd containers, orders, inputs, entry points, parametrizations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip


class OutOfOrder(nn.Module):
    """One list holds all layers, last first, free and positive by turns; which is which only the forward knows."""

    def __init__(self, depth):
        super().__init__()
        layers = [nn.Linear(SEEN, WIDTH)]
        for _ in range(depth - 1):
            layers += [nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(SEEN, WIDTH)]
        self.fc = nn.ModuleList(reversed(layers))

    def forward(self, x):
        order = list(self.fc)[::-1]
        z = F.relu_(order[0](x))
        for along, across in zip(order[1:-2:2], order[2:-2:2], strict=True):
            z = F.relu_(along(z).add_(across(x)))
        return order[-2](z).add_(order[-1](x)).logsumexp(1)

    def project(self):
        order = list(self.fc)[::-1]
        for layer in order[1::2]:
            layer.weight.data = layer.weight.data.clamp(min=0.0)


def out_of_order_rows(depth):
    last = 2 * (depth - 1)
    rows = [free(f"fc.{last}", SEEN)]
    for i in range(1, depth):
        along, across = f"fc.{last - 2 * i + 1}", f"fc.{last - 2 * i}"
        rows += [skip(across, SEEN, along), positive(along, WIDTH, "relu", shift=across)]
    return rows


class PlainAttributes(nn.Module):
    """Layers set as attributes by name and found again in a plain list of names; dict in, dict out."""

    def __init__(self, depth):
        super().__init__()
        self.names = []
        for i in range(depth):
            for kind, seen in (("u", SEEN), ("v", WIDTH)):
                if i or kind == "u":
                    setattr(self, f"{kind}{i}", nn.Linear(seen, WIDTH, bias=kind == "v" or i == 0))
            self.names.append(i)

    def forward(self, batch):
        x = batch["position"]
        z = F.softplus(self.u0(x))
        for i in self.names[1:]:
            along = getattr(self, f"v{i}")
            z = F.softplus(F.linear(z, torch.exp(along.weight), along.bias) + getattr(self, f"u{i}")(x))
        return {"energy": z.sum(1), "features": z}


def plain_attribute_rows(depth):
    rows = [free("u0", SEEN)]
    for i in range(1, depth):
        rows += [skip(f"u{i}", SEEN, f"v{i}"), positive(f"v{i}", WIDTH, "softplus(1, 20)", "exp", shift=f"v{i}")]
    return rows


class PlainLists(nn.Module):
    """Layers in ordinary lists, which torch does not look into."""

    def __init__(self, depth):
        super().__init__()
        self.direct = [nn.Linear(SEEN, WIDTH) for _ in range(depth)]
        self.through = [nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)]
        self.top = nn.Linear(WIDTH, 2)

    def clip(self):
        for layer in [*self.through, self.top]:
            layer.weight.data.clamp_(min=0)

    def forward(self, x):
        z = F.elu(self.direct[0](x))
        for direct, through in zip(self.direct[1:], self.through, strict=True):
            z = F.elu(direct(x) + through(z))
        return self.top(z)


def plain_list_rows(depth):
    rows = [free("direct.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"direct.{i + 1}", SEEN, f"through.{i}"))
        rows.append(positive(f"through.{i}", WIDTH, "elu(1)", shift=f"direct.{i + 1}"))
    return [*rows, positive("top", WIDTH, "elu(1)", shift="top")]


class TwoInputs(nn.Module):
    """Jointly convex in two inputs of different size, each with its own free maps; only the first has biases."""

    def __init__(self, depth):
        super().__init__()
        self.a = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])
        self.b = nn.ModuleList([nn.Linear(5, WIDTH, bias=False) for _ in range(depth)])
        self.c = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])

    def forward(self, x, y):
        s = self.a[0](x) + self.b[0](y)
        for a, b, c in zip(self.a[1:], self.b[1:], self.c, strict=True):
            s = a(x) + b(y) + F.linear(F.relu(s), c.weight.abs())
        return s.amax(1)


def two_input_rows(depth):
    rows = [free("a.0", SEEN), free("b.0", 5)]
    for i in range(depth - 1):
        rows += [skip(f"a.{i + 1}", SEEN, f"c.{i}"), skip(f"b.{i + 1}", 5, f"c.{i}")]
        rows.append(positive(f"c.{i}", WIDTH, "relu", "abs", shift=f"a.{i + 1}"))
    return rows


class Squared(nn.Module):
    def forward(self, raw):
        return raw**2


class Parametrized(nn.Module):
    """torch parametrizations of somebody else's, blocks inside blocks, an activation given as a module."""

    class Block(nn.Module):
        def __init__(self, seen, made, phi):
            super().__init__()
            self.phi, self.map = phi, nn.Linear(seen, made)

        def forward(self, z):
            return self.map(self.phi(z))

    def __init__(self, depth):
        super().__init__()
        phi = nn.LeakyReLU(0.2)
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(SEEN, WIDTH))
        self.body = nn.Sequential(*(self.Block(WIDTH, WIDTH, phi) for _ in range(depth - 1)))
        self.head = self.Block(WIDTH, 1, phi)
        for block in [*self.body, self.head]:
            parametrize.register_parametrization(block.map, "weight", Squared())

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


def parametrized_rows(depth):
    rows = [free("stem.1", SEEN)]
    for path in [*(f"body.{i}.map" for i in range(depth - 1)), "head.map"]:
        rows.append(positive(path, WIDTH, "leaky_relu(0.2)", "square", shift=path))
    return rows


class Energy(nn.Module):
    """``forward`` returns a gradient, ``energy`` is convex; a chain with a maximum over pieces instead of ReLU."""

    def __init__(self, depth):
        super().__init__()
        self.depth = depth
        self.maps = nn.ModuleList([nn.Linear(SEEN, 2 * WIDTH)])
        self.maps.extend(nn.Linear(WIDTH, 2 * WIDTH) for _ in range(depth - 1))

    def energy(self, x):
        z = self.maps[0](x).unflatten(1, (WIDTH, 2)).amax(-1)
        for layer in self.maps[1:]:
            z = F.linear(z, F.softplus(layer.weight), layer.bias).unflatten(1, (WIDTH, 2)).amax(-1)
        return z.sum(1)

    def forward(self, x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]


def energy_rows(depth):
    paths = [f"maps.{i}" for i in range(1, depth)]
    return [free("maps.0", SEEN), *(positive(p, WIDTH, None, "softplus", shift=p) for p in paths)]


class TiedBlocks(nn.Module):
    """One positive layer used again at every step, with a free map of its own for each."""

    def __init__(self, depth):
        super().__init__()
        self.again = nn.Linear(WIDTH, WIDTH, bias=False)
        self.inject = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(depth)])

    def project(self):
        with torch.no_grad():
            self.again.weight.copy_(self.again.weight.relu())

    def forward(self, x):
        z = self.inject[0](x).relu()
        for inject in self.inject[1:]:
            z = (self.again(z) + inject(x)).relu()
        return z.sum(1)


def tied_rows(depth):
    skips = [skip(f"inject.{i}", SEEN, "again") for i in range(1, depth)]
    return [free("inject.0", SEEN), *skips, positive("again", WIDTH, "relu", shift="inject.1")]


MODELS = {
    "out of order": Entry(OutOfOrder, vectors, out_of_order_rows, tighten="project"),
    "plain attributes": Entry(
        PlainAttributes, lambda n: ({"position": vectors(n)},), plain_attribute_rows, convex_inputs="0.position"
    ),
    "plain lists": Entry(PlainLists, vectors, plain_list_rows, tighten="clip"),
    "two inputs": Entry(TwoInputs, lambda n: (vectors(n), torch.randn(n, 5)), two_input_rows),
    "parametrized": Entry(Parametrized, vectors, parametrized_rows),
    "another entry point": Entry(Energy, vectors, energy_rows, entry="energy"),
    "tied blocks": Entry(TiedBlocks, vectors, tied_rows, tighten="project"),
}
