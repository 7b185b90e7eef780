"""Convex regularisers and classifiers for images and signals."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.zoo.entry import Entry, free, positive, skip

WIDE = 12  # channels
SIDE = 10


def images(count):
    return torch.randn(count, 2, SIDE, SIDE)


class Regulariser(nn.Module):
    """5×5 kernels, a convolution of the image beside every positive one, leaky ReLU(0.2), global average."""

    def __init__(self, depth):
        super().__init__()
        self.wx = nn.ModuleList([nn.Conv2d(2, WIDE, 5, padding=2) for _ in range(depth)])
        self.wz = nn.ModuleList([nn.Conv2d(WIDE, WIDE, 5, padding=2, bias=False) for _ in range(depth - 1)])
        self.final = nn.Conv2d(WIDE, 1, 5, padding=2, bias=False)

    def zero_clip(self):
        for layer in [*self.wz, self.final]:
            layer.weight.data.clamp_(0)

    def forward(self, x):
        z = F.leaky_relu(self.wx[0](x), 0.2)
        for wx, wz in zip(self.wx[1:], self.wz, strict=True):
            z = F.leaky_relu(wz(z) + wx(x), 0.2)
        return F.avg_pool2d(self.final(z), SIDE).flatten(1)


def regulariser_rows(depth):
    rows = [free("wx.0", 50)]
    for i in range(depth - 1):
        rows.append(skip(f"wx.{i + 1}", 50, f"wz.{i}"))
        rows.append(positive(f"wz.{i}", 25 * WIDE, "leaky_relu(0.2)", shift=f"wx.{i + 1}"))
    return [*rows, positive("final", 25 * WIDE, "leaky_relu(0.2)")]


class QuadraticRegulariser(nn.Module):
    """Beside every positive convolution the square of one of the image and another as it is; exponents as weights."""

    def __init__(self, depth):
        super().__init__()
        self.quad = nn.ModuleList([nn.Conv2d(2, WIDE, 3, padding=1, bias=False) for _ in range(depth)])
        self.lin = nn.ModuleList([nn.Conv2d(2, WIDE, 3, padding=1) for _ in range(depth)])
        self.log_kernel = nn.ParameterList([torch.randn(WIDE, WIDE, 3, 3) - 4 for _ in range(depth - 1)])

    def forward(self, x):
        z = F.softplus(self.quad[0](x) ** 2 + self.lin[0](x))
        for quad, lin, log_kernel in zip(self.quad[1:], self.lin[1:], self.log_kernel, strict=True):
            z = F.softplus(F.conv2d(z, log_kernel.exp(), padding=1) + quad(x) ** 2 + lin(x))
        return z.mean((1, 2, 3))


def quadratic_regulariser_rows(depth):
    rows = [free("quad.0", 18), free("lin.0", 18)]
    for i in range(depth - 1):
        path = f"log_kernel.{i}"
        rows += [skip(f"quad.{i + 1}", 18, path), skip(f"lin.{i + 1}", 18, path)]
        rows.append(positive(path, 9 * WIDE, "softplus(1, 20)", "exp", shift=f"lin.{i + 1}"))
    return rows


class Classifier(nn.Module):
    """A chain with strides and both kinds of pooling, grouped kernels, and a dense head; biases everywhere."""

    def __init__(self, depth):
        super().__init__()
        self.stem = nn.Conv2d(2, WIDE, 3, padding=1)
        self.middle = nn.ModuleList([nn.Conv2d(WIDE, WIDE, 3, padding=1, groups=3) for _ in range(depth - 2)])
        self.mix = nn.Conv2d(WIDE, 2 * WIDE, 1)
        self.dense = nn.Linear(2 * WIDE * 4, 10)
        self.pool = nn.MaxPool2d(2)

    def clamp_weights(self):
        with torch.no_grad():
            for layer in [*self.middle, self.mix, self.dense]:
                layer.weight.clamp_(min=0.0)

    def forward(self, x):
        z = self.pool(F.elu(self.stem(x)))
        for layer in self.middle:
            z = F.elu(layer(z))
        z = F.adaptive_avg_pool2d(F.elu(self.mix(z)), 2)
        return self.dense(z.flatten(1))


def classifier_rows(depth):
    middle = [f"middle.{i}" for i in range(depth - 2)]
    rows = [free("stem", 18), *(positive(path, 9 * WIDE // 3, "elu(1)", shift=path) for path in middle)]
    return [*rows, positive("mix", WIDE, "elu(1)", shift="mix"), positive("dense", 8 * WIDE, "elu(1)", shift="dense")]


class DownAndUp(nn.Module):
    """A signal of one dimension: strided convolutions down, transposed ones up again, softplus weights."""

    def __init__(self, depth):
        super().__init__()
        self.entry = nn.Conv1d(1, WIDE, 5, padding=2)
        self.down = nn.ModuleList([nn.Conv1d(WIDE, WIDE, 4, stride=2, padding=1) for _ in range(depth // 2)])
        self.up = nn.ModuleList([nn.ConvTranspose1d(WIDE, WIDE, 4, 2, 1) for _ in range(depth // 2)])

    def forward(self, x):
        z = F.relu(self.entry(x))
        for layer in self.down:
            z = F.relu(F.conv1d(z, F.softplus(layer.weight), layer.bias, 2, 1))
        for layer in self.up:
            z = F.relu(F.conv_transpose1d(z, F.softplus(layer.weight), layer.bias, 2, 1))
        return z.sum((1, 2))


def down_and_up_rows(depth):
    rows = [free("entry", 5)]
    for i in range(depth // 2):
        rows.append(positive(f"down.{i}", 4 * WIDE, "relu", "softplus", shift=f"down.{i}"))
        rows.append(positive(f"up.{i}", 2 * WIDE, "relu", "softplus", shift=f"up.{i}"))
    return rows


class Ridges(nn.Module):
    """A convex ridge regulariser: linear convolutions, one convex profile, non-negative factors for its channels."""

    def __init__(self, depth):
        super().__init__()
        convolutions = [nn.Conv2d(2 if i == 0 else WIDE, WIDE, 3, padding=1, bias=False) for i in range(depth)]
        self.filters = nn.Sequential(*convolutions)
        self.log_alpha = nn.Parameter(torch.zeros(WIDE, 1, 1))

    def forward(self, x):
        s = self.filters(x)
        return (self.log_alpha.exp() * (F.softplus(s, beta=5) + F.softplus(-s, beta=5))).sum((1, 2, 3))


def ridge_rows(depth):
    filters = [free(f"filters.{i}", 18 if i == 0 else 9 * WIDE) for i in range(depth)]
    return [*filters, positive("log_alpha", WIDE, None, "100·exp")]


class Normalised(nn.Module):
    """Batch normalisation behind every positive convolution, whose factors are kept non-negative as well."""

    def __init__(self, depth):
        super().__init__()
        self.first = nn.Conv2d(2, WIDE, 3, padding=1)
        self.rest = nn.ModuleList([nn.Conv2d(WIDE, WIDE, 3, padding=1, bias=False) for _ in range(depth - 1)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(WIDE) for _ in range(depth - 1)])

    def project(self):
        for layer in [*self.rest, *self.norms]:
            layer.weight.data.clamp_(min=0)

    def forward(self, x):
        z = F.elu(self.first(x))
        for layer, norm in zip(self.rest, self.norms, strict=True):
            z = F.elu(norm(layer(z)))
        return z.mean((2, 3))


def normalised_rows(depth):
    # The normalisation centres by itself.
    return [free("first", 18), *(positive(f"rest.{i}", 9 * WIDE, "elu(1)") for i in range(depth - 1))]


MODELS = {
    "regulariser": Entry(Regulariser, images, regulariser_rows, tighten="zero_clip"),
    "quadratic regulariser": Entry(QuadraticRegulariser, images, quadratic_regulariser_rows),
    "classifier": Entry(Classifier, images, classifier_rows, tighten="clamp_weights"),
    "down and up": Entry(DownAndUp, lambda n: torch.randn(n, 1, 64), down_and_up_rows),
    "ridges": Entry(Ridges, images, ridge_rows, bends=lambda depth: 1),
    "batch normalisation": Entry(lambda depth: Normalised(depth).eval(), images, normalised_rows, tighten="project"),
}
