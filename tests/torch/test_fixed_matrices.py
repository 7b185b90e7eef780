"""Matrices and kernels that are not learnt, between a product and its activation or between layers."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from tests.torch.zoo.pre_activations import pre_activations, variance

SEEN, WIDTH, LONG = 8, 32, 16
K, N = torch.arange(WIDTH)[:, None], torch.arange(WIDTH)[None]
COSINES = torch.cos(math.pi * (N + 0.5) * K / WIDTH) * math.sqrt(2.0 / WIDTH)
NEIGHBOURS = sum(torch.eye(WIDTH).roll(step, 1) for step in range(4))
AVERAGE = NEIGHBOURS / 4.0
SUMS = torch.tril(torch.ones(WIDTH, WIDTH))
DIFFERENCES = torch.eye(WIDTH) - torch.eye(WIDTH).roll(1, 1)
KERNEL = torch.tensor([1.0, 2.0, 1.0]).expand(WIDTH, 1, 3)


class Net(nn.Module):
    """Two layers behind the first one; ``first`` and ``later`` are what stands behind products of either kind."""

    def __init__(self, first, later, bias="outside"):
        super().__init__()
        self.a, self.c = nn.Linear(SEEN, WIDTH, bias=False), nn.Linear(SEEN, WIDTH, bias=False)
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=bias == "inside") for _ in range(2)])
        self.shift = nn.ParameterList([torch.zeros(WIDTH) for _ in range(2)]) if bias == "outside" else [0.0, 0.0]
        self.register_buffer("first", first)
        self.register_buffer("later", later)

    def forward(self, x):
        z = F.relu(self.a(x) @ self.first)
        for layer, shift in zip(self.layers, self.shift, strict=True):
            z = F.relu(F.linear(z, F.softplus(layer.weight), layer.bias) @ self.later + self.c(x) + shift)
        return z.sum(-1)


class Drawn(Net):
    """The matrix is made while the model runs, and applied by ``einsum`` from the left."""

    def forward(self, x):
        matrix = torch.ones(WIDTH, WIDTH).triu() / math.sqrt(WIDTH)
        z = F.relu(torch.einsum("ij,bj->bi", matrix, self.a(x)))
        for layer, shift in zip(self.layers, self.shift, strict=True):
            z = F.relu(torch.einsum("ij,bj->bi", matrix, F.linear(z, F.softplus(layer.weight))) + self.c(x) + shift)
        return z.sum(-1)


class Twice(Net):
    """Two fixed matrices one behind the other, and a number."""

    def forward(self, x):
        z = F.relu(0.5 * (self.a(x) @ self.first) @ self.first.T)
        for layer, shift in zip(self.layers, self.shift, strict=True):
            product = F.linear(z, F.softplus(layer.weight))
            z = F.relu(3.0 * (product @ self.later) @ self.later + self.c(x) + shift)
        return z.sum(-1)


class Blurred(nn.Module):
    """A fixed filter of each channel behind every convolution, and one between activation and convolution."""

    def __init__(self, kernel):
        super().__init__()
        self.a = nn.Conv1d(1, WIDTH, 3, padding=1)
        self.layers = nn.ModuleList([nn.Conv1d(WIDTH, WIDTH, 3, padding=1) for _ in range(2)])
        self.register_buffer("kernel", kernel)

    def blur(self, z):
        return F.conv1d(F.pad(z, (1, 1), mode="circular"), self.kernel, groups=WIDTH)

    def forward(self, x):
        z = F.relu(self.blur(self.a(x[:, None])))
        for layer in self.layers:
            z = F.relu(self.blur(F.conv1d(self.blur(z), layer.weight.exp(), layer.bias, padding=1)))
        return z.mean((1, 2))


class Form(nn.Module):
    """A fixed matrix inside squares, beside a positive layer."""

    def __init__(self):
        super().__init__()
        self.a, self.form, self.last = nn.Linear(SEEN, WIDTH), nn.Linear(SEEN, WIDTH, bias=False), nn.Linear(WIDTH, 4)
        self.register_buffer("matrix", 5.0 * SUMS)

    def forward(self, x):
        squares = (self.form(x) @ self.matrix).square().view(len(x), 4, -1).mean(-1)
        return F.softplus(F.linear(F.relu(self.a(x)), self.last.weight.exp(), self.last.bias) + squares)


MODELS = {
    "neighbours": lambda: Net(NEIGHBOURS, NEIGHBOURS),
    "averages": lambda: Net(AVERAGE, AVERAGE),
    "sums from below": lambda: Net(SUMS, SUMS),
    "an orthogonal transform of free products": lambda: Net(COSINES, AVERAGE),
    "differences of free products": lambda: Net(DIFFERENCES, NEIGHBOURS),
    "a bias inside": lambda: Net(NEIGHBOURS, NEIGHBOURS, bias="inside"),
    "made in the forward": lambda: Drawn(AVERAGE, AVERAGE),
    "twice": lambda: Twice(DIFFERENCES, AVERAGE),
    "a blur": lambda: Blurred(KERNEL),
    "a strong blur": lambda: Blurred(25.0 * KERNEL),
    "inside squares": Form,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_signal_is_what_it_is_meant_to_be_behind_them(name):
    torch.manual_seed(0)
    model, (x, y) = MODELS[name](), torch.randn(2, 1024, LONG if "blur" in name else SEEN)
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    variances = [variance(s) for s in pre_activations(model, y, x) if s.ndim > 1]
    assert len(variances) >= 2
    assert all(0.25 <= each <= 4.0 for each in variances), variances
    assert ci.certify(model, x, search=False)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "inside squares"])
def test_products_and_skips_of_one_sum_are_read_together(name):
    torch.manual_seed(0)
    model, x = MODELS[name](), torch.randn(64, LONG if "blur" in name else SEEN)
    layers = {layer.path: layer for layer in ci.plan(model, x).layers}
    for i in range(2):
        layer = layers[f"layers.{i}"]
        assert layer.role == "positive"
        assert layer.shift_into in (f"layers.{i}", f"shift.{i}")
        assert str(layer.recipe.activation) == "relu"
        assert layer.beside == ()
    if "blur" not in name:
        assert layers["c"].role == "skip"


@pytest.mark.parametrize(
    ("later", "named"),
    [
        (DIFFERENCES, "'layers.0'.* has to be added"),
        (-NEIGHBOURS, "'layers.0'.* has to be added"),
        (torch.full((WIDTH, WIDTH), math.nan), "'later' holds NaN"),
    ],
    ids=["of both signs", "below 0", "NaN"],
)
def test_a_matrix_that_no_convex_value_may_pass_is_named_and_nothing_written(later, named):
    model = Net(AVERAGE, later)
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=f"nothing was written: .*{named}"):
        ci.apply_(model, torch.randn(64, SEEN))
    assert all(map(torch.equal, before, model.parameters()))


def test_without_examples_the_theory_knows_what_independent_products_sum_to():
    plain, mixed = (ci.plan(Net(torch.eye(WIDTH) * s, AVERAGE), torch.randn(64, SEEN)) for s in (1.0, 3.0))
    found = [plan.layers[0].recipe.statistics.weight_variance for plan in (plain, mixed)]
    assert found[0] == pytest.approx(9.0 * found[1])
