"""The setting ``threshold`` through torch's own layers: where the bends arrive."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch import ICNN, Positive, apply_, plan
from convex_init_core.methods.bends.bend_spread import Bends
from tests.torch.bends.models import SPREAD, X, chain, linear, three
from tests.torch.networks import generator

ABOVE = 0.30854  # P(z > 0.5)


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
    """With independent Gaussian inputs; five standard errors. Outputs have variance 1, whatever that of the layers.

    Of 2000 · 400 units a share of 0.309 is on: 5 √(0.21/8e5) = 0.0026. The 2000 · 10 outputs are sums of 40 features,
    of an excess kurtosis below 1: 5/√20000 = 0.035 for the mean, 5 √(3/20000) = 0.061 for the variance. Behind exp,
    each unit also gets 1e-3 of the mean of 400 features, which varies by 1/√800, in each of 20 layers: less than 1e-3.
    """
    model = chain(*(linear(400, 400, positivity) for _ in range(depth)), linear(400, 10, positivity))
    assert apply_(model, **SPREAD, variance=variance, generator=generator()) is model
    x = math.sqrt(variance) * torch.randn(2000, 400, generator=generator(1))
    *_, hidden, outputs = outputs_of(model, x)
    assert (hidden > 0).double().mean().item() == pytest.approx(ABOVE, abs=0.0026 + 1e-3)
    assert outputs.mean().item() == pytest.approx(0.0, abs=0.036)
    assert outputs.var().item() == pytest.approx(1.0, rel=0.061 + 1e-3)
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


def test_a_missing_bias_can_be_added():
    model = three(bias=False)
    apply_(model, X, **SPREAD, register_missing_bias=True)
    assert model[1].bias.detach().numpy() == pytest.approx(-Bends(0.5, 2).shift)
