"""Weights that are bare parameters, in either layout, through every kind of map."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.dense import vectors
from tests.torch.zoo.entry import SEEN, WIDTH, Entry, free, positive, skip


def drawn(*shape):
    return nn.Parameter(torch.randn(*shape) / shape[0] ** 0.5)


class RowsOfData(nn.Module):
    """``x @ U``: weights stored as (in, out); a bias for each sum that belongs to no layer; exp."""

    def __init__(self, depth):
        super().__init__()
        self.U = nn.ParameterList([drawn(SEEN, WIDTH) for _ in range(depth)])
        self.W = nn.ParameterList([drawn(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.b = nn.ParameterList([nn.Parameter(torch.zeros(WIDTH)) for _ in range(depth)])
        self.a = drawn(WIDTH, 1)

    def forward(self, x):
        z = torch.relu(x @ self.U[0] + self.b[0])
        for U, W, b in zip(self.U[1:], self.W, self.b[1:], strict=True):
            z = torch.relu(z @ torch.exp(W) + x @ U + b)
        return z @ torch.exp(self.a)


def rows_of_data(depth):
    rows = [free("U.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"U.{i + 1}", SEEN, f"W.{i}"))
        rows.append(positive(f"W.{i}", WIDTH, "relu", "exp", shift=f"b.{i + 1}"))
    return [*rows, positive("a", WIDTH, "relu", "exp")]


class Lyapunov(nn.Module):
    """Control: here W is free and U positive, used through ``F.linear``; minus the value at 0, plus a quadratic."""

    def __init__(self, depth):
        super().__init__()
        self.W = nn.ParameterList([drawn(WIDTH, SEEN) for _ in range(depth)])
        self.U = nn.ParameterList([drawn(WIDTH, WIDTH) for _ in range(depth - 1)])
        self.bias = nn.ParameterList([nn.Parameter(torch.zeros(WIDTH)) for _ in range(depth)])
        self.W.append(drawn(1, SEEN))
        self.U.append(drawn(1, WIDTH))
        self.bias.append(nn.Parameter(torch.zeros(1)))
        self.slack = 1e-2

    def network(self, x):
        z = F.leaky_relu(F.linear(x, self.W[0], self.bias[0]), 0.1)
        for W, U, b in zip(self.W[1:-1], self.U[:-1], self.bias[1:-1], strict=True):
            z = F.leaky_relu(F.linear(x, W, b) + F.linear(z, F.softplus(U)) * 0.5, 0.1)
        return F.linear(x, self.W[-1], self.bias[-1]) + F.linear(z, F.softplus(self.U[-1]))

    def forward(self, x):
        above = self.network(x) - self.network(torch.zeros_like(x))
        return F.softplus(above, beta=10) + self.slack * x.pow(2).sum(1, keepdim=True)


def lyapunov_rows(depth):
    rows = [free("W.0", SEEN)]
    for i in range(depth):
        through = "0.5·softplus" if i < depth - 1 else "softplus"
        rows.append(skip(f"W.{i + 1}", SEEN, f"U.{i}"))
        # The last bias cancels in f(x) − f(0).
        shift = f"bias.{i + 1}" if i < depth - 1 else ""
        rows.append(positive(f"U.{i}", WIDTH, "leaky_relu(0.1)", through, shift=shift))
    return rows


class NoBiasAtAll(nn.Module):
    """Column vectors, ``W z``, squares as weights, and no bias anywhere."""

    def __init__(self, depth):
        super().__init__()
        self.matrices = nn.ParameterList([drawn(WIDTH, SEEN), *(drawn(WIDTH, WIDTH) for _ in range(depth - 1))])
        self.vector = drawn(1, WIDTH)

    def forward(self, x):
        z = torch.matmul(self.matrices[0], x.unsqueeze(-1))
        for matrix in self.matrices[1:]:
            z = torch.matmul(matrix.square(), z.relu())
        return torch.matmul(self.vector.square(), z.relu()).squeeze(-1)


def no_bias_rows(depth):
    hidden = [positive(f"matrices.{i}", WIDTH, "relu", "square") for i in range(1, depth)]
    return [free("matrices.0", SEEN), *hidden, positive("vector", WIDTH, "relu", "square")]


class NoBiasWithSkips(nn.Module):
    """Absolute values as weights, maps of the input at every layer, no bias anywhere, CELU."""

    def __init__(self, depth):
        super().__init__()
        self.p = nn.ParameterDict()
        self.p["in"] = drawn(WIDTH, SEEN)
        for i in range(1, depth):
            self.p[f"along{i}"], self.p[f"in{i}"] = drawn(WIDTH, WIDTH), drawn(WIDTH, SEEN)
        self.depth = depth

    def forward(self, x):
        z = F.celu(F.linear(x, self.p["in"]), 0.5)
        for i in range(1, self.depth):
            z = F.celu(torch.einsum("oi,bi->bo", self.p[f"along{i}"].abs(), z) + F.linear(x, self.p[f"in{i}"]), 0.5)
        return z.mean(1)


def no_bias_skip_rows(depth):
    rows = [free("p.in", SEEN)]
    for i in range(1, depth):
        rows.append(skip(f"p.in{i}", SEEN, f"p.along{i}"))
        rows.append(positive(f"p.along{i}", WIDTH, "celu(0.5)", "abs"))
    return rows


class SmoothedRelu(nn.Module):
    """Control again: a ReLU whose kink is a parabola of width d, put together from clamps; weights over fan-in."""

    def __init__(self, depth, width=0.5):
        super().__init__()
        self.width = width
        self.A = nn.ParameterList([drawn(WIDTH, SEEN) for _ in range(depth)])
        self.P = nn.ParameterList([drawn(WIDTH, WIDTH) for _ in range(depth - 1)])

    def act(self, s):
        return s.clamp(0, self.width) ** 2 / (2 * self.width) + (s - self.width).clamp(min=0)

    def forward(self, x):
        z = self.act(x @ self.A[0].T)
        for A, P in zip(self.A[1:], self.P, strict=True):
            z = self.act(x @ A.T + z @ F.softplus(P).T / WIDTH)
        return z.sum(1)


def smoothed_rows(depth):
    rows = [free("A.0", SEEN)]
    for i in range(depth - 1):
        rows.append(skip(f"A.{i + 1}", SEEN, f"P.{i}"))
        rows.append(positive(f"P.{i}", WIDTH, None, f"{1 / WIDTH:g}·softplus"))
    return rows


class PackedPairs(nn.Module):
    """``addmm`` with a bare bias, relu of the raw weight over fan-in, ELU, a functional activation in place."""

    def __init__(self, depth):
        super().__init__()
        self.blocks = nn.ModuleList()
        for i in range(depth):
            block = nn.Module()
            block.kernel = drawn(WIDTH if i else SEEN, WIDTH)
            block.offset = nn.Parameter(torch.zeros(WIDTH))
            self.blocks.append(block)

    def forward(self, x):
        first = self.blocks[0]
        z = torch.addmm(first.offset, x, first.kernel)
        for block in list(self.blocks)[1:]:
            z = torch.addmm(block.offset, F.elu_(z), F.relu(block.kernel) / math.sqrt(WIDTH))
        return z


def packed_rows(depth):
    rows = [free("blocks.0.kernel", SEEN)]
    for i in range(1, depth):
        path = f"blocks.{i}.kernel"
        rows.append(positive(path, WIDTH, "elu(1)", f"{1 / WIDTH**0.5:g}·relu", shift=f"blocks.{i}.offset"))
    return rows


MODELS = {
    "rows of data": Entry(RowsOfData, vectors, rows_of_data),
    "lyapunov": Entry(Lyapunov, vectors, lyapunov_rows),
    "no bias at all": Entry(NoBiasAtAll, vectors, no_bias_rows),
    "no bias with skips": Entry(NoBiasWithSkips, vectors, no_bias_skip_rows),
    "smoothed relu": Entry(SmoothedRelu, vectors, smoothed_rows),
    "packed pairs": Entry(PackedPairs, vectors, packed_rows, bends=lambda depth: depth - 1),
}
