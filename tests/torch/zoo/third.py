"""Ten more, written after the kinds before were read right and before any of these was run: what is read at once?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

SOFTPLUS = "softplus(1, 20)"
HALF = SEEN // 2


class ByKey(nn.Module):
    """Layers in a dict by name, a skip by addition of a product in a comprehension."""

    def __init__(self, depth):
        super().__init__()
        self.blocks = nn.ModuleDict({f"z{i}": nn.Linear(WIDTH, WIDTH, bias=False) for i in range(1, depth)})
        self.direct = nn.ModuleDict({f"x{i}": nn.Linear(SEEN, WIDTH) for i in range(depth)})

    def forward(self, x):
        z = F.softplus(self.direct["x0"](x))
        for i, block in enumerate(self.blocks.values(), 1):
            z = F.softplus(sum([F.linear(z, torch.clamp(block.weight, min=0.0)), self.direct[f"x{i}"](x)]))
        return z.mean(-1)


def by_key_rows(depth):
    rows = [free("direct.x0", SEEN)]
    for i in range(1, depth):
        rows.append(positive(f"blocks.z{i}", WIDTH, SOFTPLUS, "relu", shift=f"direct.x{i}"))
        rows.append(skip(f"direct.x{i}", SEEN, f"blocks.z{i}"))
    return rows


class Columns(nn.Module):
    """Rows of data against columns of weights, sigmoid-bounded weights."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Parameter(torch.randn(SEEN, WIDTH))
        self.rest = nn.ParameterList([torch.randn(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.b = nn.ParameterList([torch.zeros(1, WIDTH) for _ in range(depth)])

    def forward(self, x):
        z = F.leaky_relu(x @ self.first + self.b[0], 0.05)
        for W, b in zip(self.rest, self.b[1:], strict=True):
            z = F.leaky_relu(z @ torch.sigmoid(W) + b, 0.05)
        return z.sum(1)


def columns_rows(depth):
    phi = "leaky_relu(0.05)"
    rest = [positive(f"rest.{i}", WIDTH, phi, "sigmoid", shift=f"b.{i + 1}") for i in range(depth - 1)]
    return [free("first", SEEN), *rest]


class Powers(nn.Module):
    """Squared ReLUs, weights as squares, a learnt positive temperature of the input."""

    def __init__(self, depth):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.first = nn.Linear(SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.relu(self.first(x * self.scale))
        for layer in self.hidden:
            z = F.relu(F.linear(z, layer.weight**2, layer.bias))
        return z.square().sum(1).sqrt()


def powers_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "relu", "square", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", SEEN), *hidden]


class HalfContext(nn.Module):
    """The second half is context: chunked, and shifts every layer."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(HALF, WIDTH)
        self.context = nn.Sequential(nn.Linear(HALF, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, xy):
        y, x = xy.chunk(2, dim=-1)
        c = self.context(x)
        z = F.softplus(self.first(y) + c)
        for layer in self.hidden:
            z = F.softplus(F.linear(z, layer.weight.exp(), layer.bias) + c)
        return z.logsumexp(-1)


def half_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, SOFTPLUS, "exp", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", HALF), *hidden]


class Columnwise(nn.Module):
    """Context is one column, the time; it scales the value by a non-negative schedule."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN - 1, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.value = nn.Linear(WIDTH, 1)

    def clamp_(self):
        for layer in (*self.hidden, self.value):
            layer.weight.data.clamp_(0.0)

    def forward(self, tx):
        t, x = tx[:, 0:1], tx[:, 1:]
        z = F.relu(self.first(x))
        for layer in self.hidden:
            z = F.relu(layer(z))
        return self.value(z) * torch.exp(-t.abs())


def columnwise_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "relu", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", SEEN - 1), *hidden, positive("value", WIDTH, "relu", shift="value")]


class Exponent(nn.Module):
    def forward(self, w):
        return torch.exp(w - 4.0)


class Registered(nn.Module):
    """A parametrization of one's own on each positive layer, and concatenation skips of two layers."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, WIDTH)
        self.onward = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.direct = nn.ModuleList([nn.Linear(SEEN, WIDTH, bias=False) for _ in range(depth - 1)])
        for layer in self.onward:
            parametrize.register_parametrization(layer, "weight", Exponent())

    def forward(self, x):
        z = F.elu(self.first(x))
        for onward, direct in zip(self.onward, self.direct, strict=True):
            z = F.elu(onward(z) + direct(x))
        return z.max(-1).values


def registered_rows(depth):
    rows = [free("first", SEEN)]
    for i in range(depth - 1):
        rows.append(positive(f"onward.{i}", WIDTH, "elu(1)", "exp[raw - 4]", shift=f"onward.{i}"))
        rows.append(skip(f"direct.{i}", SEEN, f"onward.{i}"))
    return rows


class Mirrored(nn.Module):
    """``[x, −x]`` by a stack that is flattened, all weights ReLUs of parameters."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(2 * SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = torch.stack((x, -x), 1).flatten(1)
        for layer in (self.first, *self.hidden):
            z = F.softplus(F.linear(z, layer.weight.relu(), layer.bias))
        return z.sum(1)


def mirrored_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, SOFTPLUS, "relu", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [positive("first", 2 * SEEN, "identity", "relu", shift="first"), *hidden]


class Teacher(nn.Module):
    """Two convex networks; their sum with a learnt positive weight each."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.ModuleList([nn.Linear(SEEN, WIDTH) for _ in range(2)])
        self.hidden = nn.ModuleList(
            [nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)]) for _ in range(2)]
        )

    def one(self, x, first, hidden):
        z = F.relu(first(x))
        for layer in hidden:
            z = F.relu(F.linear(z, F.softplus(layer.weight), layer.bias))
        return z.sum(1)

    def forward(self, x):
        return sum(self.one(x, *each) for each in zip(self.first, self.hidden, strict=True))


def teacher_rows(depth):
    rows = []
    for k in range(2):
        rows.append(free(f"first.{k}", SEEN))
        for i in range(depth - 1):
            path = f"hidden.{k}.{i}"
            rows.append(positive(path, WIDTH, "relu", "softplus", shift=path))
    return rows


class Distance(nn.Module):
    """Features are distances to learnt centres, which rise behind positive layers."""

    def __init__(self, depth):
        super().__init__()
        self.centres = nn.Linear(SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def project(self):
        with torch.no_grad():
            for layer in self.hidden:
                layer.weight.copy_(layer.weight.clip(0))

    def forward(self, x):
        z = self.centres(x).abs()
        for layer in self.hidden:
            z = F.softplus(layer(z))
        return z.sum(1)


def distance_rows(depth):
    rows = [free("centres", SEEN), positive("hidden.0", WIDTH, None, shift="hidden.0")]
    return rows + [positive(f"hidden.{i}", WIDTH, SOFTPLUS, shift=f"hidden.{i}") for i in range(1, depth - 1)]


class Normalised(nn.Module):
    """The input is standardised by the model's own buffers, the output scaled back by them."""

    def __init__(self, depth):
        super().__init__()
        self.register_buffer("mean", torch.zeros(SEEN))
        self.register_buffer("std", torch.ones(SEEN))
        self.net = nn.Sequential(nn.Linear(SEEN, WIDTH))
        for _ in range(depth - 1):
            self.net.extend([nn.ELU(), nn.Linear(WIDTH, WIDTH)])
        self.head = nn.Linear(WIDTH, 1)

    def clip_(self):
        for layer in [*list(self.net)[1:], self.head]:
            if isinstance(layer, nn.Linear):
                layer.weight.data.clamp_(min=0)

    def forward(self, x):
        return 3.0 * self.head(F.elu(self.net((x - self.mean) / self.std))) + 6.4


def normalised_rows(depth):
    hidden = [positive(f"net.{2 * i}", WIDTH, "elu(1)", shift=f"net.{2 * i}") for i in range(1, depth)]
    return [free("net.0", SEEN), *hidden, positive("head", WIDTH, "elu(1)", shift="head")]


MODELS = {
    "by key": Entry(ByKey, vectors, by_key_rows, depths=(3,)),
    "columns": Entry(Columns, vectors, columns_rows, depths=(3,)),
    "powers": Entry(Powers, vectors, powers_rows, depths=(3,)),
    "half of the input": Entry(HalfContext, vectors, half_rows, convex_inputs={0: slice(0, HALF)}, depths=(3,)),
    "a column": Entry(
        Columnwise, vectors, columnwise_rows, convex_inputs={"0": slice(1, None)}, tighten="clamp_", depths=(3,)
    ),
    "registered": Entry(Registered, vectors, registered_rows, depths=(3,)),
    "mirrored": Entry(Mirrored, vectors, mirrored_rows, depths=(3,)),
    "two networks": Entry(Teacher, vectors, teacher_rows, depths=(3,)),
    "distances": Entry(Distance, vectors, distance_rows, tighten="project", depths=(3,)),
    "standardised": Entry(Normalised, vectors, normalised_rows, tighten="clip_", depths=(3,)),
}
