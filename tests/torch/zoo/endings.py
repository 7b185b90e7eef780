"""Networks that end in their own way, or whose skips come from context: more kinds that are published."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive
from tests.torch.zoo.published import SOFTPLUS, C, D


class Temperature(nn.Module):
    """A soft maximum over affine functions of positive features, at a low temperature."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, x):
        z = F.relu(self.first(x))
        for layer in self.hidden[:-1]:
            z = F.relu(F.linear(z, layer.weight.abs(), layer.bias))
        last = self.hidden[-1]
        return 0.5 * torch.logsumexp(F.linear(z, last.weight.abs(), last.bias) / 0.5, -1)


def temperature_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "relu", "abs", shift=f"hidden.{i}") for i in range(depth - 2)]
    last = f"hidden.{depth - 2}"
    return [free("first", SEEN), *hidden, positive(last, WIDTH, "relu", "2·abs", shift=last)]


class Brenier(nn.Module):
    """Strongly convex: a quadratic around a learnt centre is added, as it is."""

    def __init__(self, depth):
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(SEEN))
        self.first = nn.Linear(SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.last = nn.Linear(WIDTH, 1)

    def convexify(self):
        for layer in [*self.hidden, self.last]:
            layer.weight.data.clamp_min_(0.0)

    def forward(self, x):
        z = F.softplus(self.first(x))
        for layer in self.hidden:
            z = F.softplus(layer(z))
        return self.last(z).squeeze(-1) + 0.05 * (x - self.centre).square().sum(-1)


def brenier_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, SOFTPLUS, shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", SEEN), *hidden, positive("last", WIDTH, SOFTPLUS, shift="last")]


class Hypernetwork(nn.Module):
    """The skips' weights are made from context, and left to their maker."""

    def __init__(self, depth):
        super().__init__()
        self.maker, self.first = nn.Linear(C, D * WIDTH), nn.Linear(D, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])

    def forward(self, xy):
        x, y = xy[..., :C], xy[..., C:]
        made = 0.1 * torch.tanh(self.maker(x)).view(-1, WIDTH, D)
        z = F.elu(self.first(y))
        for layer in self.hidden:
            direct = torch.bmm(made, y.unsqueeze(-1)).squeeze(-1)
            z = F.elu(F.linear(z, layer.weight.exp(), layer.bias) + direct)
        return z.sum(-1)


def hypernetwork_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "elu(1)", "exp", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", D), *hidden]


class Averaged(nn.Module):
    """The last layer multiplies element by element and averages."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Linear(SEEN, WIDTH)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.w, self.b = nn.Parameter(torch.randn(WIDTH)), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        z = F.relu(self.first(x))
        for layer in self.hidden:
            z = F.relu(F.linear(z, F.softplus(layer.weight), layer.bias))
        return (F.softplus(self.w) * z).mean(-1) + self.b


def averaged_rows(depth):
    hidden = [positive(f"hidden.{i}", WIDTH, "relu", "softplus", shift=f"hidden.{i}") for i in range(depth - 1)]
    return [free("first", SEEN), *hidden, positive("w", WIDTH, "relu", "0.015625·softplus", shift="b")]


MODELS = {
    "temperature": Entry(Temperature, vectors, temperature_rows),
    "quadratic around a centre": Entry(Brenier, vectors, brenier_rows, tighten="convexify"),
    "hypernetwork": Entry(Hypernetwork, vectors, hypernetwork_rows, convex_inputs={"0": slice(C, None)}),
    "averaged": Entry(Averaged, vectors, averaged_rows),
}
