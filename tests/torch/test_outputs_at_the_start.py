"""Mean and variance of what a model returns after ``apply_``: what the user wants, on a batch that was not shown."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from convex_init_core.planning.outputs.wanted import outputs_of

SEEN, H, SHOWN = 8, 64, 2048


class Skips(nn.Module):
    def __init__(self, outputs=1, bias=True, form=False):
        super().__init__()
        self.a, self.b, self.o = nn.Linear(SEEN, H), nn.Linear(H, H), nn.Linear(H, outputs, bias=bias)
        self.skip, self.last = nn.Linear(SEEN, H), nn.Linear(SEEN, outputs, bias=False)
        self.form = form

    def forward(self, x):
        z = F.softplus(self.b(F.softplus(self.a(x))) + self.skip(x))
        y = self.o(z) + self.last(x)
        return y + 0.5 * x.square().sum(-1, keepdim=True) if self.form else y


def chain(*behind, outputs=1):
    layers = [nn.Linear(SEEN, H), nn.ReLU(), nn.Linear(H, H), nn.ReLU(), nn.Linear(H, outputs)]
    return nn.Sequential(*layers, *behind)


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 2, 3, padding=1)

    def forward(self, x):
        return self.b(F.relu(self.a(x.unflatten(1, (1, 2, 4)))))


class Exponents(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.W, self.b = nn.Linear(SEEN, H), nn.Parameter(torch.randn(3, H)), nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return F.linear(F.elu(self.first(x)), self.W.exp(), self.b)


def sample(means, stds):
    return torch.randn(4000, len(means), generator=torch.Generator().manual_seed(5)) * torch.tensor(
        stds
    ) + torch.tensor(means)


CASES = {
    "one mean": (Skips, {"output_mean": 6.4}, [6.4], [1.0]),
    "one variance": (Skips, {"output_variance": 4}, [0.0], [4.0]),
    "both": (Skips, {"output_mean": -3.0, "output_variance": 0.01}, [-3.0], [0.01]),
    "a sample": (Skips, {"targets": sample([6.4], [3.0])}, [6.4], [9.0]),
    "the paper's equations": (Skips, {"targets": sample([6.4], [3.0]), "method": "log_normal"}, [6.4], [9.0]),
    "isometric": (chain, {"targets": sample([6.4], [3.0]), "method": "isometric"}, [6.4], [9.0]),
    "without the last axis": (lambda: chain(nn.Flatten(0)), {"targets": sample([2.0], [5.0])[:, 0]}, [2.0], [25.0]),
    "two outputs": (lambda: Skips(2), {"targets": sample([6.4, -2.0], [3.0, 0.1])}, [6.4, -2.0], [9.0, 0.01]),
    "two means": (lambda: Skips(2), {"output_mean": [1.0, -1.0], "output_variance": 4.0}, [1.0, -1.0], [4.0, 4.0]),
    "exponents": (Exponents, {"output_mean": [1.0, 2.0, 3.0], "output_variance": [1, 4, 9]}, [1, 2, 3], [1, 4, 9]),
    "channels": (Image, {"output_mean": np.array([5.0, 0.0]), "output_variance": [0.25, 4.0]}, [5, 0], [0.25, 4]),
    "beside a form": (lambda: Skips(form=True), {"output_mean": 10.0, "output_variance": 9.0}, [10.0], [9.0]),
}


@pytest.mark.parametrize("name", CASES)
def test_mean_and_variance_of_a_fresh_batch(name):
    make, options, means, variances = CASES[name]
    torch.manual_seed(0)
    model, shown, fresh = make(), torch.randn(SHOWN, SEEN), torch.randn(SHOWN, SEEN)
    ci.apply_(model, shown, generator=torch.Generator().manual_seed(1), **options)
    with torch.no_grad():
        y = model(fresh).double()
    rows = y.reshape(len(y), -1) if y.ndim < 4 else y.movedim(1, -1).flatten(0, 2)
    for values, mean, variance in zip(rows.unbind(1), means, variances, strict=True):
        # It is exact on what was shown, so two samples are compared. Standard errors of a mean, σ/√n, and of a
        # variance, σ²√((κ − 1)/n) with the kurtosis κ; positions of one image are not independent, and count as one.
        kurtosis = float(((values - values.mean()) / values.std()).pow(4).mean())
        targets = options.get("targets")
        exact = 2 / SHOWN + (0 if targets is None else 1 / len(targets))
        assert abs(float(values.mean()) - mean) < 5.0 * math.sqrt(variance * exact)
        assert abs(float(values.var()) / variance - 1.0) < 5.0 * math.sqrt((max(kurtosis, 3.0) - 1.0) * exact)


def test_the_variance_of_the_layers_is_not_that_of_the_output():
    torch.manual_seed(0)
    x = torch.randn(SHOWN, SEEN)
    for method in ("bounded_gain", "log_normal"):
        plan = ci.plan(Skips(), x, variance=16.0, method=method)
        one = ci.plan(Skips(), x, method=method)
        last, first = plan.layers[-1].recipe.statistics, plan.layers[0].recipe.statistics
        assert first.weight_variance == 16.0 * one.layers[0].recipe.statistics.weight_variance
        assert last.fan_in * last.weight_variance < 1.0  # of the skip: its share of 1, not of 16
    model = ci.apply_(Skips(), x, variance=16.0)
    assert float(model(x).detach().var()) == pytest.approx(1.0, rel=0.5)


def test_without_inputs_the_plan_has_the_moments():
    model = chain()
    plain, wanted = (ci.plan(model, method="log_normal", **o).layers[-1].recipe for o in ({}, _MOMENTS))
    assert wanted.statistics.weight_mean == pytest.approx(3.0 * plain.statistics.weight_mean)
    assert wanted.statistics.weight_variance == pytest.approx(9.0 * plain.statistics.weight_variance)
    assert wanted.bias.mean == pytest.approx(3.0 * plain.bias.mean + 6.4)


_MOMENTS = {"output_mean": 6.4, "output_variance": 9.0}


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(SEEN, H), nn.Linear(H, 1), nn.Linear(H, 1)

    def forward(self, x):
        z = F.relu(self.a(x))
        return self.b(z), self.c(z)


T = sample([6.4], [3.0])
REFUSED = {
    "an activation behind": (lambda: chain(nn.Softplus()), _MOMENTS, r"'4': .*softplus in '5' stands between it and"),
    "a link": (lambda: chain(nn.Sigmoid()), {"targets": T}, "sigmoid in '5' stands between it and the output"),
    "no bias": (lambda: Skips(bias=False), {"output_mean": 1.0}, r"'o', 'last': no bias moves.*output_variance= alone"),
    "several sums": (TwoHeads, {"output_mean": 1.0}, r"the model ends with 2 sums \('b'; 'c'\)"),
    "other columns": (Skips, {"output_mean": [1.0, 2.0]}, "'o', 'last': .* has 2 columns, and the model has 1 outputs"),
    "too large a rest": (lambda: Skips(form=True), {"output_variance": 1.0}, "cannot have variance 1 at the start"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_had_is_refused_and_leaves_the_model_alone(name):
    make, options, message = REFUSED[name]
    torch.manual_seed(0)
    model, x = make(), torch.randn(64, SEEN)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        ci.apply_(model, x, **options)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_numbers_for_each_output_need_inputs():
    with pytest.raises(ValueError, match="set by measuring: pass 32 example_inputs or more"):
        ci.plan(chain(outputs=2), output_mean=[1.0, 2.0])
    with pytest.raises(ValueError, match="set by measuring: pass 32 example_inputs or more"):
        ci.plan(chain(outputs=2), torch.randn(31, SEEN), output_mean=[1.0, 2.0])
    ci.plan(chain(outputs=2), torch.randn(32, SEEN), output_mean=[1.0, 2.0])


WRONG = {
    "classes": ({"targets": np.array([0, 2, 1])}, TypeError, "targets= holds whole numbers: classes have no mean"),
    "truth values": ({"targets": [True, False]}, TypeError, "targets= holds whole numbers"),
    "texts": ({"targets": ["a", "b"]}, TypeError, "targets must be a sample of numbers, got list"),
    "constant": ({"targets": np.ones((5, 2)) * [1.0, 0.0]}, ValueError, "targets= are constant in column"),
    "one example": ({"targets": np.ones((1, 2))}, ValueError, "targets= holds 1 example"),
    "gaps": ({"targets": np.array([1.0, np.nan])}, ValueError, "targets= holds NaN or infinite"),
    "both words": ({"targets": np.arange(3.0), "output_mean": 1.0}, ValueError, "targets= says mean and variance"),
    "no variance": ({"output_variance": [1.0, 0.0]}, ValueError, "output_variance must be above 0"),
    "a text": ({"output_mean": "x"}, TypeError, "output_mean must be a number"),
    "a truth value": ({"output_mean": True}, TypeError, "output_mean must be a number"),
    "a matrix": ({"output_mean": np.ones((2, 2))}, TypeError, "output_mean must be a number, or one for each output"),
    "an infinite one": ({"output_mean": math.inf}, ValueError, "output_mean must be finite"),
    "other sizes": ({"output_mean": [1, 2], "output_variance": [1, 2, 3]}, ValueError, "are for 2 and 3 outputs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wanted_is_checked(name):
    options, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        outputs_of(options)


def test_a_frozen_bias_of_the_output_stays_and_is_counted():
    """A warm model, whose last bias is the mean of the targets."""
    torch.manual_seed(0)
    model, x = Skips(), torch.randn(SHOWN, SEEN)
    model.o.bias.requires_grad_(False).fill_(6.4)
    plan = ci.plan(model, x)
    assert "its frozen bias 'o.bias' stays as it is" in plan.layers[-1].note + plan.layers[-2].note
    ci.apply_(model, x)
    assert model.o.bias.item() == pytest.approx(6.4)
    y = model(x).detach()
    assert float(y.var()) == pytest.approx(1.0, rel=0.05)
    with pytest.raises(ValueError, match="no bias moves the output"):
        ci.plan(model, x, output_mean=1.0)


class Both(nn.Module):
    """Every weight is clamped, and the input is given with its negative."""

    def __init__(self, how):
        super().__init__()
        self.layers, self.how = nn.ModuleList([nn.Linear(2 * SEEN, H), nn.Linear(H, H), nn.Linear(H, 1)]), how

    def clip_weights(self):
        for layer in self.layers:
            layer.weight.data.clamp_(min=0)

    def forward(self, u):
        joined = {"both": (u, -u), "twice": (u, u)}[self.how]
        z = torch.cat(joined, -1)
        for layer in self.layers[:-1]:
            z = F.relu(layer(z))
        return self.layers[-1](z)


def test_weights_that_a_method_clamps_are_positive_where_both_signs_of_the_input_are_seen():
    x = torch.randn(256, SEEN)
    plan = ci.plan(Both("both"), x)
    assert [layer.role for layer in plan.layers] == ["positive"] * 3
    assert "made non-negative (by clip_weights())" in plan.layers[0].reason
    with pytest.raises(
        ValueError, match=r"'layers\.0': clip_weights\(\) makes its weight non-negative, but it is free"
    ):
        ci.plan(Both("twice"), x)


METHODS = ("auto", "bounded_gain", "log_normal", "isometric")


@pytest.mark.parametrize("skip", [False, True], ids=["chain", "skips"])
@pytest.mark.parametrize("activation", ["relu", "softplus"])
@pytest.mark.parametrize("method", METHODS)
def test_outputs_of_our_network_do_not_follow_the_variance_of_its_layers(method, activation, skip):
    x = torch.randn(1024, SEEN)
    found = {}
    for variance in (1.0, 16.0):
        torch.manual_seed(0)
        model = ci.ICNN(SEEN, [H] * 3, 1, skip=skip, activation=activation, variance=variance, method=method)
        found[variance] = float(model(x).detach().var())
    # With ReLUs all but the bends scales; nothing else may make more of an output than 16 times as much.
    assert found[16.0] < 5.0 * max(found[1.0], 0.3)
    if activation == "relu" and not skip and method in ("auto", "isometric"):  # the same weights but for their scale
        assert found[16.0] == pytest.approx(found[1.0], rel=0.5)


@pytest.mark.parametrize("method", METHODS)
def test_our_network_starts_where_it_is_told(method):
    x, fresh = torch.randn(2, 4096, SEEN)
    torch.manual_seed(0)
    model = ci.ICNN(SEEN, [H] * 3, 1, method=method, targets=T)
    told = ci.plan(model, targets=T).layers[-1].recipe
    plain = ci.plan(model).layers[-1].recipe
    assert float(told.weight.mean) == pytest.approx(3.0 * float(plain.weight.mean), rel=0.05)
    assert float(told.bias.mean) == pytest.approx(3.0 * plain.bias.mean + 6.4, abs=0.6)
    model.reset_parameters(output_mean=6.4, output_variance=9.0)
    ci.apply_(model, x, targets=T)
    assert float(model(fresh).detach().mean()) == pytest.approx(6.4, abs=0.6)
    assert float(model(fresh).detach().var()) == pytest.approx(9.0, rel=0.3)
    with pytest.raises(ValueError, match="are settings of the convex initialisation"):
        ci.ICNN(SEEN, [H], 1, positivity=None, output_mean=1.0)
