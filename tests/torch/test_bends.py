"""The setting ``threshold`` through torch's own layers: where the bends arrive, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch import ICNN, Positive, apply_, plan, signal_report
from convex_init_core.methods.bend_spread import Bends
from tests.torch.networks import assert_untouched, generator, parameters_of

SPREAD = {"method": "isometric", "threshold": 0.5}
ABOVE = 0.30854  # P(z > 0.5)


def linear(inputs, outputs, positivity="projection", **options):
    layer = nn.Linear(inputs, outputs, **options)
    if positivity != "projection":
        parametrize.register_parametrization(layer, "weight", Positive(positivity))
    return layer


def chain(*layers, phi=nn.ReLU):
    """A ReLU before every layer."""
    return nn.Sequential(*(module for layer in layers for module in (phi(), layer)))


@torch.no_grad()
def outputs_of(model, x):
    """What each affine layer of a chain passes on."""
    found = []
    for module in model:
        x = module(x)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            found.append(x)
    return found


@pytest.mark.parametrize("positivity", ["projection", "exp"])
@pytest.mark.parametrize(("variance", "depth"), [(1.0, 1), (1.0, 20), (4.0, 4)])
def test_units_are_on_above_the_threshold_and_outputs_are_centred(variance, depth, positivity):
    """With independent Gaussian inputs; five standard errors.

    Of 2000 · 400 units a share of 0.309 is on: 5 √(0.21/8e5) = 0.0026. The 2000 · 10 outputs are sums of 40 features,
    of an excess kurtosis below 1: 5/√20000 = 0.035 for the mean, 5 √(3/20000) = 0.061 for the variance. Behind exp,
    each unit also gets 1e-3 of the mean of 400 features, which varies by 1/√800, in each of 20 layers: less than 1e-3.
    """
    model = chain(*(linear(400, 400, positivity) for _ in range(depth)), linear(400, 10, positivity))
    assert apply_(model, **SPREAD, variance=variance, generator=generator()) is model
    x = math.sqrt(variance) * torch.randn(2000, 400, generator=generator(1))
    *_, hidden, outputs = outputs_of(model, x)
    assert (hidden > 0).double().mean().item() == pytest.approx(ABOVE, abs=0.0026 + 1e-3)
    assert outputs.mean().item() == pytest.approx(0.0, abs=0.036 * math.sqrt(variance))
    assert outputs.var().item() == pytest.approx(variance, rel=0.061 + 1e-3)
    assert all(bool((layer.weight >= 0).all()) for layer in model[1::2])


@pytest.mark.parametrize("positivity", ["projection", "softplus"])
def test_a_stride_in_the_middle_divides_a_cnn_into_two_runs(positivity):
    """A unit at the end of a run is on where a unit of the signal before it is above the threshold.

    Independent Gaussian pixels, 100 · 24 · 64 of them: a share of 0.309 within 5 √(0.21/153600) = 0.006. The strided
    layer sums four features: an excess kurtosis of up to 10 is one of 2.5 then, of 100 · 24 · 16 numbers the mean is
    good to 5/√38400 = 0.026 and the variance to 5 √(4.5/38400) = 0.055. Behind softplus the small weights add 1e-3 of
    a mean over 216 pixels per layer, so that a pixel near the threshold may come to lie on its other side.
    """
    convolutions = [nn.Conv2d(24, 24, 3, stride=2 if place == 2 else 1, padding=1) for place in range(6)]
    if positivity != "projection":
        for layer in convolutions:
            parametrize.register_parametrization(layer, "weight", Positive(positivity))
    model = nn.Sequential(*chain(*convolutions), nn.ReLU(), nn.Flatten(), linear(24 * 16, 10, positivity))
    apply_(model, **SPREAD, generator=generator())
    recipes = [layer.recipe for layer in plan(model, **SPREAD).layers]
    gains = [recipe.weight.gain for recipe in recipes]
    assert gains[:2] == [Bends(0.5, 2).gain] * 2
    assert gains[3:6] == [Bends(0.5, 3).gain] * 3
    x = torch.randn(100, 24, 8, 8, generator=generator(1))
    found = outputs_of(model, x)
    assert (found[1] > 0).double().mean().item() == pytest.approx(ABOVE, abs=0.006)
    assert found[2].mean().item() == pytest.approx(0.0, abs=0.026)
    assert found[2].var().item() == pytest.approx(1.0, rel=0.055)
    shares = [float((part > bend).double().mean()) for part, bend in ((found[2], 0.5), (found[5], 0.0))]
    assert shares[0] == pytest.approx(shares[1], abs=1e-4 if positivity == "projection" else 2e-3)


@pytest.mark.parametrize("positivity", ["projection", "exp"])
def test_an_icnn_draws_the_same_permutations_with_other_gains(positivity):
    model = ICNN(20, [30, 30, 30], 2, positivity=positivity, method="isometric")
    model.reset_parameters(generator())
    before = [layer.weight.detach().clone() for layer in model.layers]
    model.reset_parameters(generator(), threshold=0.5)
    bends = Bends(0.5, 2)
    assert torch.equal(model.layers[0].weight, before[0])
    for layer, old in zip(model.layers[1:3], before[1:3], strict=True):
        on = old > 0.5
        torch.testing.assert_close(layer.weight[on], bends.gain * old[on])
        tolerance = 1e-6 if positivity == "projection" else 2e-3
        assert layer.bias.detach().numpy() == pytest.approx(-bends.shift, abs=tolerance)
    model.reset_parameters(generator(), threshold=0.0)
    assert all(torch.equal(layer.weight, old) for layer, old in zip(model.layers, before, strict=True))


def test_free_skips_leave_no_run():
    model = ICNN(20, [30, 30, 30], 2, skip=True, method="isometric")
    recipes = [[layer.recipe for layer in plan(model, **chosen).layers] for chosen in (SPREAD, {"method": "isometric"})]
    assert recipes[0] == recipes[1]


def test_ties_leave_no_run():
    tied = linear(40, 40)
    for model in (
        chain(tied, tied, linear(40, 10)),
        chain(tied, linear(40, 20), linear(20, 40), tied, linear(40, 10)),
    ):
        before = parameters_of(model)
        with pytest.raises(ValueError, match=r"'1': threshold= .* its weight is used more than once"):
            apply_(model, **SPREAD)
        assert_untouched(model, before)


class Unread(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.free, self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6, **options), nn.Linear(6, 6, **options)
        self.last = nn.Linear(6, 2, **options)

    def forward(self, x):
        return self.after(self.first(self.free(x).relu()))

    def after(self, x):
        return self.last(self.second(x.relu()).clamp(min=0))


class Residual(Unread):
    def after(self, x):
        return self.last((self.second(x.relu()) + x).relu())


class Doubled(Unread):
    def after(self, x):
        return self.last((2.0 * self.second(x.relu())).relu())


class Twice(Unread):
    def after(self, x):
        return self.last(self.second(self.second(x.relu()).relu()).relu())


class Branching(Unread):
    def after(self, x):
        return self.last(x.relu()) + self.second(x.relu()).relu().sum(-1, keepdim=True)


class Joined(Unread):
    def after(self, x):
        return self.last(torch.cat([self.second(x.relu())[:, :3], x[:, :3]], 1).relu())


class Between(Unread):
    """With something else between the free layer and the first positive one."""

    def __init__(self, between):
        super().__init__()
        self.between = between

    def forward(self, x):
        return self.after(self.first(self.between(self.free(x)).relu()))


class Shared(Unread):
    """One bias in two sums."""

    def __init__(self):
        super().__init__(bias=False)
        self.bias = nn.Parameter(torch.zeros(1))

    def after(self, x):
        return self.last((self.second(x.relu()) + self.bias).relu()) + self.bias


class Bare(Unread):
    """A weight that no layer holds, behind layers without a bias."""

    def __init__(self):
        super().__init__(bias=False)
        self.weight = nn.Parameter(torch.ones(6, 6))

    def after(self, x):
        return self.last((self.second(x.relu()).relu() @ self.weight).relu())


class Normalised(Unread):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6, affine=False)

    def after(self, x):
        return self.last(self.norm(self.second(x.relu())).relu())


X = torch.randn(30, 6, generator=generator(2))


def three(phi=nn.ReLU, **options):
    return chain(nn.Linear(6, 6, **options), nn.Linear(6, 6), nn.Linear(6, 2), phi=phi)


@pytest.mark.parametrize(
    ("model", "arguments", "settings", "message"),
    [
        (three, (), {"threshold": -1}, "threshold must be at least 0"),
        (three, (), {"threshold": float("nan")}, "threshold must be finite"),
        (three, (), {"method": "log_normal"}, "threshold=0.5.*use method 'isometric'"),
        (lambda: three(nn.LeakyReLU), (), {}, r"'1': threshold=.*leaky_relu.*leave threshold out"),
        (three, (), {"fed_by": {"3": "softplus"}}, r"'3': threshold=.*softplus.*leave threshold out"),
        (three, (), {"positive": ["5"]}, "threshold= needs every layer of a chain as it is, so positive= may not"),
        (three, (), {"free": ["1"]}, "so free= may not"),
        (three, (), {"exclude": "5"}, "so exclude= may not.*pass the part of the chain"),
        (three, (X,), {"calibrate": True}, "calibrate=True would centre it"),
        (Unread, (X,), {"calibrate": True}, "calibrate=True would centre it"),
        (lambda: three(bias=False), (X,), {}, r"'1': threshold= .* it has no bias \(register_missing_bias=True"),
        (lambda: three(bias=False), (), {}, r"'1': threshold= .* it has no bias \(register_missing_bias=True"),
        (lambda: Unread(bias=False), (X,), {}, r"'first': threshold= .* it has no bias \(register_missing_bias=True"),
        (lambda: Between(lambda z: z.view(-1, 2)), (), {}, "example_inputs are needed to read Between"),
        (Unread, (X,), {"fed_by": {"second": "softplus"}}, "'second': threshold=.*softplus.*leave threshold out"),
        (Residual, (X,), {}, "'second': threshold= .* a residual or another value is added"),
        (Doubled, (X,), {}, "'second': threshold= .* it is scaled"),
        (Twice, (X,), {}, "'second': threshold= .* its weight is used more than once"),
        (Branching, (X,), {}, "'last': threshold= .* a residual or another value is added"),
        (lambda: Between(lambda z: z.relu() + 2.0), (X,), {}, "'first': threshold= .* fed by add∘relu"),
        (lambda: Between(lambda z: z.relu() + z), (X,), {}, "'first': threshold= .* follow the free layers through"),
        (lambda: Between(lambda z: 3.0 * z.relu()), (X,), {}, "'first': threshold= .* follow the free layers through"),
        (lambda: Between(lambda z: nn.functional.softplus(z).relu()), (X,), {}, "'first': threshold=.*softplus"),
        (lambda: Between(lambda z: nn.functional.max_pool1d(z.relu(), 1).relu() + z), (X,), {}, "'first': .* free lay"),
        (lambda: Between(nn.BatchNorm1d(6, affine=False)), (X,), {}, "'first': threshold= .* free layers"),
        (lambda: Between(lambda z: z.relu().cumsum(-1)), (X,), {}, "'first': threshold= .* free layers"),
        (Shared, (X,), {}, "'second': threshold= .* its bias belongs to other sums as well"),
        (Bare, (X,), {"register_missing_bias": True}, "'weight': threshold= .* it has no bias"),
        (Joined, (X,), {}, "'last': threshold= .* does not follow 'second' through a ReLU alone"),
        (Normalised, (X,), {}, "'second': threshold= .* it is normalised"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(model, arguments, settings, message):
    made = model()
    before = parameters_of(made)
    for call in (plan, apply_):
        with pytest.raises(ValueError, match=message):
            call(made, *arguments, **{**SPREAD, **settings})
    assert_untouched(made, before)


def test_a_missing_bias_can_be_added():
    model = three(bias=False)
    apply_(model, X, **SPREAD, register_missing_bias=True)
    assert model[1].bias.detach().numpy() == pytest.approx(-Bends(0.5, 2).shift)


def test_a_layer_that_cannot_be_written_to_is_reported_first():
    model = three(nn.LeakyReLU)
    model[5].weight.requires_grad_(False)
    with pytest.raises(ValueError, match="'5': its weight is frozen"):
        plan(model, **SPREAD)


def test_a_model_that_is_read_by_running_gets_what_a_chain_gets():
    model = Unread()
    apply_(model, X, **SPREAD, generator=generator())
    layers = (model.free, model.first, model.second, model.last)
    same = plan(nn.Sequential(layers[0], *chain(*layers[1:])), **SPREAD).layers
    found = plan(model, X, **SPREAD).layers
    assert [layer.recipe for layer in found[1:]] == [layer.recipe for layer in same[1:]]
    bends = Bends(0.5, 2)
    for layer in (model.first, model.second):
        assert layer.weight.sum(1).detach().numpy() == pytest.approx(bends.gain)
        assert layer.bias.detach().numpy() == pytest.approx(-bends.shift)
    assert model.last.bias.detach().numpy() == pytest.approx(same[-1].recipe.bias.mean)
    assert plan(model, X, **SPREAD).settings.threshold == 0.5


class Cnn(nn.Module):
    """A network as people write them: blocks, pooling, and a bias that is a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(3 if k == 0 else 12, 12, 3, padding=1) for k in range(5))
        self.shift = nn.Parameter(torch.zeros(12, 1, 1))
        self.plain = nn.Conv2d(12, 12, 3, padding=1, bias=False)
        self.head = nn.Linear(12 * 16, 4)

    def forward(self, x):
        for block in self.blocks:
            x = block(x).relu()
        x = nn.functional.dropout(self.plain(x) + self.shift, training=self.training).relu()
        return self.head(nn.functional.max_pool2d(x, 2).flatten(1))


def test_a_cnn_that_is_read_by_running():
    model, bends = Cnn(), Bends(0.5, 5)
    x = torch.randn(8, 3, 8, 8, generator=generator(1))
    apply_(model, x, **SPREAD, generator=generator())
    for layer in (*model.blocks[1:], model.plain):
        assert layer.weight.sum((1, 2, 3)).detach().numpy() == pytest.approx(bends.gain)
    for bias in (*(block.bias for block in model.blocks[1:]), model.shift):
        assert bias.detach().numpy() == pytest.approx(-bends.shift)
    assert model.head.bias.detach().numpy() == pytest.approx(plan(model, x, **SPREAD).layers[-1].recipe.bias.mean)


def test_a_missing_bias_can_be_added_where_the_model_is_run():
    model = Unread(bias=False)
    apply_(model, X, **SPREAD, register_missing_bias=True)
    assert model.first.bias.detach().numpy() == pytest.approx(-Bends(0.5, 2).shift)


class Shifted(Unread):
    """A number in the code, and a bias that is subtracted."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(6))
        self.plain = nn.Linear(6, 6, bias=False)

    def forward(self, x):
        z = (self.first((self.free(x) + 5.0).relu()) - 0.7).relu()
        return self.last((self.plain(z) - self.shift).relu()) + 1.5


@pytest.mark.parametrize("settings", [SPREAD, {"method": "isometric"}, {}])
def test_numbers_in_the_code_and_factors_of_biases_are_accounted_for(settings):
    model, plain = Shifted(), Unread()
    apply_(model, X, **settings, calibrate=False, generator=generator())
    layers = (plain.free, plain.first, plain.second, plain.last)
    due = [layer.recipe.bias.mean for layer in plan(nn.Sequential(layers[0], *chain(*layers[1:])), **settings).layers]
    if settings:
        assert model.free.bias.detach().numpy() == pytest.approx(-5.0)
        assert model.first.bias.detach().numpy() == pytest.approx(due[1] + 0.7)
        assert model.shift.detach().numpy() == pytest.approx(-due[2])
        assert model.last.bias.detach().numpy() == pytest.approx(due[3] - 1.5)
    else:  # the budget of a model that is run holds the mean back, so its shifts are others
        assert model.free.bias.detach().numpy() == pytest.approx(-5.0)
        first, shift = model.first.bias[0].item() - 0.7, model.shift[0].item()
        assert first < 0.0 < shift


class Doubly(Shifted):
    """The same bias, added twice."""

    def forward(self, x):
        z = self.first(self.free(x).relu()).relu()
        return self.last((self.plain(z) + self.shift + self.shift).relu())


def test_a_bias_that_is_added_twice_holds_half():
    model = Doubly()
    apply_(model, X, **SPREAD, generator=generator())
    assert model.shift.detach().numpy() == pytest.approx(-0.5 * Bends(0.5, 2).shift)


def test_the_report_knows_of_numbers_in_the_code():
    model = Shifted()
    apply_(model, X, calibrate=False, generator=generator())
    free = signal_report(model, X).layers[0]
    assert free.predicted.mean == pytest.approx(0.0, abs=0.3)  # 5 from the code, -5 from the bias
    assert free.mean == pytest.approx(free.predicted.mean, abs=0.6)
