"""``plan(model, example_inputs)`` for models with a forward of their own: read from what they do, not from names."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from tests.torch.certified_models import Context, Recurrent, Skips, x


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Published(nn.Module):
    """The usual form: ``z' = φ(f(W_z) z + W_x x)``, no bias on the positive layers; the names mean nothing."""

    def __init__(self, positivity, activation=F.relu, depth=3, width=16):
        super().__init__()
        self.wz = nn.ModuleList([nn.Linear(5, width) for _ in range(depth)])  # these see the input
        self.wx = nn.ModuleList([nn.Linear(width, width, bias=False) for _ in range(depth - 1)])
        self.out, self.across = nn.Linear(width, 1, bias=False), nn.Linear(5, 1)
        self.positivity, self.activation = positivity, activation

    def forward(self, x):
        z = self.activation(self.wz[0](x))
        for free, positive in zip(self.wz[1:], self.wx, strict=True):
            z = self.activation(free(x) + F.linear(z, self.positivity(positive.weight)))
        return F.linear(z, self.positivity(self.out.weight)) + self.across(x)


def rows(plan):
    return {layer.path: layer for layer in plan.layers}


MAPS = {
    "none": (lambda w: w, "projection"),
    "exp": (torch.exp, "exp"),
    "softplus": (F.softplus, "softplus"),
    "softplus(3)": (lambda w: F.softplus(w, beta=3), "softplus(beta=3)"),
    "relu": (F.relu, "relu"),
    "clamp": (lambda w: w.clamp(min=0), "relu"),
    "clamp_min": (lambda w: torch.clamp_min(w, 0.0), "relu"),
    "square": (torch.square, "square"),
    "pow": (lambda w: w**2, "square"),
    "times itself": (lambda w: w * w, "square"),
    "abs": (torch.abs, "abs"),
    "1/fan_in": (lambda w: F.softplus(w) / 16, "0.0625·softplus"),
    "gain": (lambda w: 0.5 * w.exp(), "0.5·exp"),
    "moved inside": (lambda w: torch.exp(w - 3), "exp[raw-3]"),
    "two maps": (lambda w: F.softplus(w).square(), "power∘softplus"),
    "scaled and moved inside": (lambda w: F.softplus(2 * (w + 1)) / 4, "0.25·softplus[2·raw+2]"),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_map_is_read_from_what_the_forward_does(name):
    positivity, expected = MAPS[name]
    model = Published(positivity)
    found = rows(ci.plan(model, x()))
    assert [layer.role for layer in found.values()].count("positive") == 3
    for path in ("wx.0", "wx.1", "out"):
        assert found[path].role == "positive"
        assert str(found[path].recipe.positivity) == expected
        assert str(found[path].recipe.activation) == "relu"
        assert found[path].recipe.statistics.fan_in == 16
    assert found["wz.0"].role == "free"
    assert {found[path].role for path in ("wz.1", "wz.2", "across")} == {"skip"}
    assert found["out"].shift_into == "across"


@pytest.mark.parametrize("name", MAPS)
def test_effective_weights_have_the_law_and_the_model_is_convex(name):
    positivity, _ = MAPS[name]
    model = Published(positivity, width=200)
    ci.apply_(model, x(), calibrate=False)
    with torch.no_grad():
        weights = positivity(model.wx[0].weight)
    law = rows(ci.plan(model, x()))["wx.0"].recipe.weight
    logs = weights.detach().double().log()
    count = logs.numel()
    # The log-weights are exactly normal: five standard errors of their mean and variance.
    assert abs(float(logs.mean()) - law.log_mean) < 5 * law.log_std / count**0.5
    assert abs(float(logs.var()) / law.log_std**2 - 1) < 5 * (2 / count) ** 0.5
    assert ci.certify(model, x())


@pytest.mark.parametrize("depth", [3, 10])
def test_the_signal_stays_alive(depth):
    """Measured at the pre-activations themselves; the model's own default init is far outside at depth 10."""
    seen = []

    def activation(s):
        seen.append(s.detach())
        return F.softplus(s)

    model = Published(F.softplus, activation, depth=depth, width=128)
    batch = torch.randn(512, 5)
    ci.apply_(model, torch.randn(3, 5))
    seen.clear()
    model(batch)
    variances = [float(s.var()) for s in seen]
    assert all(0.2 < variance < 3.0 for variance in variances), variances
    fresh = Published(F.softplus, activation, depth=depth, width=128)
    seen.clear()
    fresh(batch)
    assert depth < 10 or float(seen[-1].var()) > 1e3


ACTIVATIONS = {
    "leaky_relu(0.2)": lambda s: F.leaky_relu(s, 0.2),
    "elu(0.5)": lambda s: F.elu(s, 0.5),
    "celu(0.3)": lambda s: F.celu(s, 0.3),
    "softplus(5, 20)": lambda s: F.softplus(s, beta=5),
    "relu": lambda s: s.clamp(min=0),
    "prelu(0.25)": nn.PReLU(),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_activation_that_feeds_a_layer_is_read_with_its_parameters(name):
    found = rows(ci.plan(Published(F.softplus, ACTIVATIONS[name]), x()))
    assert str(found["wx.1"].recipe.activation) == name


def test_layers_called_as_modules_and_a_weight_used_again():
    found = rows(ci.plan(Skips(), x()))
    assert {path: layer.role for path, layer in found.items()} == {
        "first": "free",
        "free.0": "skip",
        "positive.0": "positive",
        "free.1": "skip",
        "positive.1": "positive",
    }
    recurrent = rows(ci.plan(Recurrent(), x()))
    assert {path: layer.role for path, layer in recurrent.items()} == {"inward": "skip", "onward": "positive"}


def test_layers_that_see_only_context_are_left_alone():
    model = Context()
    inputs = (x(), torch.randn(3, 3))
    before = model.gate.weight.detach().clone()
    found = rows(ci.plan(model, inputs, convex_inputs=0))
    assert {path: layer.role for path, layer in found.items()} == {"x": "free", "out": "positive"}
    assert str(found["out"].recipe.activation) == "relu"
    ci.apply_(model, inputs, convex_inputs=0)
    assert torch.equal(model.gate.weight, before)


class SumOfTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.a, self.b = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        z = F.relu(self.first(x))
        return self.a(z) + self.b(z)


class Identity(SumOfTwo):
    def forward(self, x):
        z = F.relu(self.first(x))
        return self.a(z) + z


class Subtracted(SumOfTwo):
    def forward(self, x):
        z = F.relu(self.first(x))
        return self.a(z) - self.b(z)


class UsedTwice(SumOfTwo):
    def forward(self, x):
        return self.b(F.relu(self.a(x[:, :4]))) + self.a(F.relu(self.first(x)))


REFUSED = {
    "subtracted": (Subtracted, "'b': sub in the model's forward (test_plan_by_behaviour.py:"),
    "free and positive": (UsedTwice, "'a': its weight is used both as free and as positive"),
    "unknown map": (lambda: Published(torch.tanh), "'wx.0': its weight goes through tanh, which gives -1 at -30"),
    "learnt scale inside the map": (
        lambda: Published(lambda w: (w * torch.linspace(1, 2, w.shape[1])).exp()),
        "'wx.0': its weight is scaled by mul in a way that is not known",
    ),
    "normalised": (lambda: Published(lambda w: w.exp() / w.exp().sum(1, True)), "normalised by a value"),
    "moved outside of the map": (lambda: Published(lambda w: w.exp() + 1), "positivity add∘exp gives weights from 1 "),
    "unknown activation": (lambda: Published(F.softplus, torch.tanh), "tanh is neither convex nor concave"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_and_nothing_is_written(name):
    make, reason = REFUSED[name]
    model = make()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    inputs = torch.randn(2, 1, 8, 8) if name == "batch norm" else x()
    with pytest.raises(ValueError, match="nothing was written") as error:
        ci.apply_(model, inputs)
    assert reason in str(error.value)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_a_map_on_a_layer_that_sees_the_input_makes_it_positive():
    class Rising(SumOfTwo):
        def forward(self, x):
            return self.a(F.relu(F.linear(x, self.first.weight.exp())))

    first = ci.plan(Rising(), x()).layers[0]
    assert (first.path, first.role, str(first.recipe.positivity)) == ("first", "positive", "exp")
    assert "its outputs rise with all that it sees" in first.reason
    with pytest.raises(ValueError, match=r"'first': its weight is made non-negative \(by exp\), but it is free"):
        ci.plan(Rising(), x(), free="first")


def test_without_example_inputs_the_structure_is_the_same():
    model = Published(F.softplus)
    ours, theirs = (ci.plan(model, *inputs, calibrate=False).to_dict() for inputs in ((), (x(),)))
    assert ours == theirs


class Pixels(SumOfTwo):
    def forward(self, x):
        if x.min() < 0:
            raise RuntimeError("pixels are not negative")
        return self.a(F.relu(self.first(x)))


class Folded(SumOfTwo):
    def forward(self, x):
        return self.a(F.relu(self.first(x.reshape(-1, 3, 5).sum(1))))


class ByName(SumOfTwo):
    def forward(self, batch):
        return self.a(F.relu(self.first(batch["x"])))


class TwoInputs(SumOfTwo):
    def forward(self, x, y):
        return self.a(F.relu(self.first(x) + y))


@pytest.mark.parametrize("kind", [Pixels, Folded, ByName, TwoInputs])
def test_where_no_input_can_be_made_the_error_asks_for_example_inputs(kind):
    with pytest.raises(ValueError, match=f"example_inputs.* {kind.__name__}.*; pass"):
        ci.plan(kind())


def test_the_report_reads_the_batch():
    report = ci.signal_report(Skips(), torch.randn(64, 5))
    assert [layer.path for layer in report.layers] == ["first", "positive.0", "positive.1"]
    report = ci.signal_report(OnlyWeights(), torch.randn(64, 5))
    assert [layer.path for layer in report.layers] == ["first", "a"]
    report = ci.signal_report(OnlyWeights(), torch.randn(64, 5), positive="first")
    assert [layer.path for layer in report.layers] == ["first", "a"]


class OnlyWeights(SumOfTwo):
    def forward(self, x):
        return F.linear(F.relu(F.linear(x, self.first.weight)), self.a.weight.exp())


def test_a_map_that_contradicts_what_the_layer_has_is_refused():
    with pytest.raises(ValueError, match=r"'wx.0': positivity='exp' was given, but .* by softplus"):
        ci.plan(Published(F.softplus), x(), positivity="exp")
    marked = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), ci.ConvexLinear(4, 2))
    with pytest.raises(ValueError, match=r"'2': positivity='exp' was given, but .* by projection"):
        ci.plan(marked, positivity="exp")
    assert ci.plan(marked, positivity="projection")


def test_giving_a_lazy_model_its_shapes_leaves_the_global_generator_alone():
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    inputs = x()
    before = torch.get_rng_state()
    ci.apply_(model, inputs, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
