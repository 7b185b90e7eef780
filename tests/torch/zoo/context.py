"""Partially convex networks: convex in the first input, any function of the second."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip

SIDE = 6


def with_context(count):
    return vectors(count), torch.randn(count, SIDE)


class Gated(nn.Module):
    """Both the features and the input are multiplied by functions of a context path; biases at the positive layers."""

    def __init__(self, depth):
        super().__init__()
        self.u = nn.ModuleList([nn.Linear(SIDE if i == 0 else 16, 16) for i in range(depth - 1)])
        self.zu = nn.ModuleList([nn.Linear(16, WIDTH) for _ in range(depth - 1)])
        self.yu = nn.ModuleList([nn.Linear(SIDE if i == 0 else 16, SEEN) for i in range(depth)])
        self.z = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.y = nn.ModuleList([nn.Linear(SEEN, WIDTH, bias=False) for _ in range(depth)])
        for gate in [*self.zu, *self.yu]:
            nn.init.ones_(gate.bias)

    def project(self):
        for layer in self.z:
            layer.weight.data.clamp_(min=0)

    def forward(self, y, context):
        u = context
        z = F.relu(self.y[0](y * self.yu[0](u)))
        for i, layer in enumerate(self.z):
            u = F.relu(self.u[i](u))
            gated = layer(z * F.relu(self.zu[i](u)))
            z = F.relu(gated + self.y[i + 1](y * self.yu[i + 1](u)))
        return z.sum(1)


def gated_rows(depth):
    rows = [free("y.0", SEEN)]
    for i in range(depth - 1):
        rows += [skip(f"y.{i + 1}", SEEN, f"z.{i}"), positive(f"z.{i}", WIDTH, None, shift=f"z.{i}")]
    return rows


class ShiftedByContext(nn.Module):
    """A map of the context is added to each sum and brings its only bias; softplus weights, ELU."""

    def __init__(self, depth):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(SIDE, 16), nn.Tanh())
        self.from_context = nn.ModuleList([nn.Linear(16, WIDTH) for _ in range(depth)])
        self.from_input = nn.ModuleList([nn.Linear(SEEN, WIDTH, bias=False) for _ in range(depth)])
        self.onward = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])

    def forward(self, x, c):
        c = self.embed(c)
        z = F.elu(self.from_input[0](x) + self.from_context[0](c))
        for i, layer in enumerate(self.onward):
            s = F.linear(z, F.softplus(layer.weight))
            z = F.elu(s + self.from_input[i + 1](x) + self.from_context[i + 1](c))
        return z.mean(1)


def shifted_by_context_rows(depth):
    rows = [free("from_input.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"from_input.{i + 1}", SEEN, f"onward.{i}"))
        rows.append(positive(f"onward.{i}", WIDTH, "elu(1)", "softplus", shift=f"from_context.{i + 1}"))
    return rows


class ActionValue(nn.Module):
    """Control: state and action are concatenated for every free map; convex in the action alone."""

    def __init__(self, depth):
        super().__init__()
        self.both = nn.ModuleList([nn.Linear(SEEN + SIDE, WIDTH) for _ in range(depth)])
        self.keep = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(depth - 1)])
        self.value = nn.Linear(WIDTH, 1)

    def forward(self, action, state):
        seen = torch.cat([state, action], dim=-1)
        q = F.leaky_relu(self.both[0](seen))
        for both, keep in zip(self.both[1:], self.keep, strict=True):
            q = F.leaky_relu(both(seen) + F.linear(q, keep.weight.exp()))
        return F.linear(q, self.value.weight.exp(), self.value.bias)


def action_value_rows(depth):
    rows = [free("both.0", SEEN + SIDE)]
    for i in range(depth - 1):
        rows.append(skip(f"both.{i + 1}", SEEN + SIDE, f"keep.{i}"))
        rows.append(positive(f"keep.{i}", WIDTH, "leaky_relu(0.01)", "exp", shift=f"both.{i + 1}"))
    return [*rows, positive("value", WIDTH, "leaky_relu(0.01)", "exp", shift="value")]


class ScaledByContext(nn.Module):
    """The features are scaled by a softplus of the context after the activation."""

    def __init__(self, depth):
        super().__init__()
        self.map = nn.ModuleList([nn.Linear(SEEN, WIDTH), *(nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1))])
        self.scale = nn.ModuleList([nn.Linear(SIDE, WIDTH) for _ in range(depth)])

    def forward(self, x, c):
        z = F.softplus(self.map[0](x)) * F.softplus(self.scale[0](c))
        for layer, scale in zip(self.map[1:], self.scale[1:], strict=True):
            z = F.softplus(F.linear(z, layer.weight.square(), layer.bias)) * F.softplus(scale(c))
        return z.sum(1)


def scaled_rows(depth):
    paths = [f"map.{i}" for i in range(1, depth)]
    return [free("map.0", SEEN), *(positive(path, WIDTH, None, "square", shift=path) for path in paths)]


MODELS = {
    "gated": Entry(Gated, with_context, gated_rows, convex_inputs=0, tighten="project"),
    "shifted by context": Entry(ShiftedByContext, with_context, shifted_by_context_rows, convex_inputs=0),
    "action value": Entry(ActionValue, with_context, action_value_rows, convex_inputs=0),
    "scaled by context": Entry(ScaledByContext, with_context, scaled_rows, convex_inputs=0),
}
