"""Kinds of models that people publish and that used to be read wrong, or not at all."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import convex_init.torch as ci
from convex_init_core.planning.measurement.to_measure import samples
from convex_init_core.reading.fed_by import Feeding
from tests.torch.readings import reading_of


class Through(nn.Linear):
    """A layer that puts a map on its weight in its own forward."""

    def __init__(self, seen, made, function):
        super().__init__(seen, made)
        self.function = function

    def forward(self, z):
        return F.linear(z, self.function(self.weight), self.bias)


MAPS = {
    "exp": (torch.exp, "exp"),
    "softplus over n": (lambda w: F.softplus(w) / 16, "0.0625·softplus"),
    "softplus of a scaled weight": (lambda w: F.softplus(3 * w) / 16, "0.0625·softplus[3·raw]"),
    "chosen": (lambda w: torch.where(w < 0, w.exp(), w + 1), None),
    "elu + 1": (lambda w: F.elu(w) + 1, None),
    "sigmoid": (torch.sigmoid, None),
    "tanh squared away": (lambda w: 0.5 * (1 + torch.tanh(w)), None),
}


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", MAPS)
def test_a_layer_with_a_map_in_its_own_forward(name, kind):
    function, shown = MAPS[name]
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), Through(16, 16, function)).to(kind)
    reading = reading_of(model, torch.randn(4, 6, dtype=kind))
    assert [(p.source, p.positive) for p in reading.products] == [("0.weight", False), ("2.weight", True)]
    positivity = reading.products[1].positivity
    assert shown in (None, str(positivity))
    wanted = torch.linspace(0.01, 0.9, 200, dtype=kind) * min(positivity.scale, 1.0)
    raw = positivity.inverse(wanted, torch)
    assert raw.dtype == kind
    # The raw number is rounded, and so is what the map adds up.
    rounding = torch.finfo(kind).eps
    torch.testing.assert_close(function(raw), wanted, rtol=max(8 * rounding, 1e-5), atol=max(rounding, 1e-7))
    parameter = nn.Parameter(raw)
    torch.testing.assert_close(
        positivity.value(parameter, torch).detach(), function(raw), rtol=max(4 * rounding, 1e-5), atol=rounding
    )


SLOW = {
    "a hyperbola": lambda w: w + torch.sqrt(w * w + 1.0),
    "a reciprocal": lambda w: torch.where(w > 0, w + 1.0, 1.0 / (1.0 - w.clamp(max=0.0))),
    "a power of a reciprocal": lambda w: torch.where(w > 0, w + 1.0, (1.0 - w.clamp(max=0.0)) ** -1.5),
    "an angle": lambda w: 0.5 * torch.pi + torch.atan(w),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_map_that_falls_off_slowly_takes_raw_numbers_far_out(name):
    """Behind these, no raw number between −30 and 30 gives most of the weights that the law asks for."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 64), nn.Softplus(), Through(64, 64, SLOW[name])), torch.randn(256, 6)
    model.append(nn.Softplus())
    ci.apply_(model, x, generator=torch.Generator().manual_seed(0))
    law = ci.plan(model, x).layers[1].recipe.weight
    weight = SLOW[name](model[2].weight.double())
    assert 0.0 < weight.min() < 0.3 * weight.mean()
    assert 0.5 < weight.mean() / law.mean < 2.0
    assert 0.25 < model[:3](torch.randn(256, 6)).var() < 4.0


class Centred(nn.Module):
    def forward(self, w):
        return w - w.mean(1, keepdim=True)


STAYS = {
    "zero mean": lambda layer: parametrize.register_parametrization(layer, "weight", Centred()),
    "orthogonal": parametrizations.orthogonal,
    "spectral norm": parametrizations.spectral_norm,
}


@pytest.mark.parametrize("name", STAYS)
def test_a_free_layer_behind_a_parametrization_stays_as_it_is(name):
    first = nn.Linear(16, 16)
    STAYS[name](first)
    reading = reading_of(nn.Sequential(first, nn.Softplus(), nn.Linear(16, 1)), torch.randn(4, 16))
    assert [p.source for p in reading.products] == ["2.weight"]
    assert [source for source, _ in reading.left] == ["0.parametrizations.weight.original"]
    assert not reading.problems


class Parts(nn.Module):
    """One matrix over features and input, put together of a positive and a free part, or whole."""

    def __init__(self, whole):
        super().__init__()
        self.first, self.bias = nn.Linear(6, 16), nn.Parameter(torch.zeros(8))
        self.L, self.K = nn.Parameter(torch.randn(8, 16)), nn.Parameter(torch.randn(8, 6))
        self.W = nn.Parameter(torch.randn(8, 22)) if whole else None

    def forward(self, x):
        z = F.relu(self.first(x))
        weight = torch.cat((F.softplus(self.L), self.K), 1) if self.W is None else self.W
        return F.linear(torch.cat((z, x), 1), weight, self.bias)


@pytest.mark.parametrize("whole", [False, True])
def test_a_concatenation_has_a_role_for_each_part(whole):
    reading = reading_of(Parts(whole), torch.randn(4, 6))
    found = [(p.source, p.positive, p.fan_in, p.columns) for p in reading.products[1:]]
    if whole:
        assert found == [("W", True, 16, (0, 16)), ("W", False, 6, (16, 22))]
    else:
        assert found == [("L", True, 16, None), ("K", False, 6, None)]
    assert [len(each.terms) for each in reading.sums] == [1, 2]
    assert reading.sums[1].biases == [("bias", 1.0)]
    assert samples(reading.sums[1]) == 4  # examples, however the weight is put together


class WeightedMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.w = nn.Linear(6, 16), nn.Parameter(torch.randn(16))

    def forward(self, x):
        return (F.softplus(self.w) * F.softplus(self.first(x))).mean(-1)


def test_a_weight_of_each_feature_that_are_averaged():
    reading = reading_of(WeightedMean(), torch.randn(4, 6))
    last = reading.products[-1]
    assert (last.source, last.positive, last.fan_in, str(last.positivity)) == ("w", True, 16, "softplus")
    assert reading.sums[-1].terms[0].factor.literal == 1 / 16


class Circular(nn.Module):
    """Activations behind circular padding, one of them built from erf."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
        self.two = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
        self.three = nn.Conv2d(4, 4, 3, padding=1)

    def smooth(self, s):
        return 0.5 * s * (1 + torch.erf(s / 2**0.5)) + torch.exp(-(s**2) / 2) / (2 * torch.pi) ** 0.5

    def forward(self, x):
        return self.three(self.smooth(self.two(F.elu(self.one(x)))))


def test_an_activation_behind_circular_padding():
    reading = reading_of(Circular(), torch.randn(2, 1, 6, 6))
    feeding = Feeding.of(reading.graph, reading.values)
    two, three = (feeding.activation_behind(product.data) for product in reading.products[1:])
    assert str(two) == "elu(1)"
    s = torch.linspace(-4, 4, 50, dtype=torch.float64)
    torch.testing.assert_close(torch.from_numpy(three(s.numpy())), Circular().smooth(s))


class Squares(nn.Module):
    """The only bias of the last sum is inside a square."""

    def __init__(self, bias):
        super().__init__()
        self.first, self.last, self.lin = nn.Linear(6, 16), nn.Linear(16, 1, bias=bias), nn.Linear(6, 1)

    def forward(self, x):
        return self.last(F.relu(self.first(x))) + self.lin(x) ** 2


@pytest.mark.parametrize("bias", [False, True])
def test_a_bias_inside_a_square_shifts_nothing(bias):
    last = reading_of(Squares(bias), torch.randn(4, 6)).sums[-1]
    assert {t.product.source: t.squares for t in last.terms} == {"last.weight": 0.0, "lin.weight": 1.0}
    assert dict(last.biases) == {"lin.bias": 0.0, **({"last.bias": 1.0} if bias else {})}


class SoftMaximum(nn.Module):
    """A log-sum-exp that is stabilised by hand, behind a positive layer."""

    def __init__(self, detached):
        super().__init__()
        self.first, self.last, self.detached = nn.Linear(6, 16), nn.Linear(16, 16), detached

    def forward(self, x):
        z = self.last(F.softplus(self.first(x)))
        top = (z.detach() if self.detached else z).max(-1, keepdim=True).values
        return (z - top).exp().sum(-1).log() + top.squeeze(-1)


@pytest.mark.parametrize("detached", [False, True])
def test_a_log_sum_exp_that_is_stabilised_by_hand_is_planned_and_certified(detached):
    torch.manual_seed(0)
    model, x = SoftMaximum(detached), torch.randn(64, 6)
    assert [(layer.path, layer.role) for layer in ci.plan(model, x).layers] == [("first", "free"), ("last", "positive")]
    assert ci.certify(ci.apply_(model, x), x)
