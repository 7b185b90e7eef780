"""``icnn_`` and ``lecun_``, in the manner of torch.nn.init."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import Positive, apply_, icnn_, lecun_
from convex_init_core import as_positivity, non_negative_law, solve
from tests.contract.law_bounds import assert_follows
from tests.torch.networks import generator


def law(fan_in: float, distribution: str = "log_normal", **settings: float):
    moments = solve(fan_in, **settings)
    return non_negative_law(distribution, moments.weight_mean, moments.weight_variance)


def test_icnn_fills_in_place_and_returns_its_tensors():
    weight, bias = torch.empty(300, 40), torch.full((300,), 7.0)
    assert icnn_(weight, generator=generator()) is weight
    found = icnn_(weight, bias, generator=generator())
    assert found[0] is weight
    assert found[1] is bias
    assert_follows(weight.double().numpy(), law(40), epsilon=2.0**-23)
    assert bias.numpy() == pytest.approx(solve(40).bias_mean, rel=1e-6)


@pytest.mark.parametrize("distribution", ["log_normal", "gamma", "spike_and_slab", "two_point"])
def test_settings_reach_the_law(distribution):
    settings = {"correlation": 0.3, "variance": 2.0, "bias_noise": 0.4}
    weight, bias = torch.empty(2000, 40), torch.empty(2000)
    icnn_(weight, bias, distribution=distribution, generator=generator(), **settings)
    assert_follows(weight.double().numpy(), law(40, distribution, **settings), epsilon=2.0**-23)
    moments = solve(40, **settings)
    # 2,000 normal biases: five standard errors of mean and of variance.
    assert bias.mean().item() == pytest.approx(moments.bias_mean, abs=5.0 * moments.bias_std / 2000**0.5)
    assert bias.var().item() == pytest.approx(moments.bias_variance, rel=5.0 * (2.0 / 2000) ** 0.5)


def test_a_convolution_needs_its_fan_in():
    weight = torch.empty(60, 8, 3, 3)
    with pytest.raises(ValueError, match=r"fan_in.*\(60, 8, 3, 3\).*pass fan_in="):
        icnn_(weight)
    with pytest.raises(ValueError, match="fan_in"):
        lecun_(weight)
    icnn_(weight, fan_in=72, generator=generator())
    assert_follows(weight.double().numpy(), law(72), epsilon=2.0**-23)
    with pytest.raises(ValueError, match="fan_in"):
        icnn_(torch.empty(5))


@pytest.mark.parametrize("activation", ["softplus", nn.Softplus(), torch.nn.functional.softplus])
def test_the_activation_in_every_form(activation):
    bias = icnn_(torch.empty(3, 4), torch.empty(3), fed_by=activation)[1]
    assert bias.numpy() == pytest.approx(solve(4, "softplus").bias_mean, rel=1e-6)


@pytest.mark.parametrize("positivity", ["exp", as_positivity("softplus").scaled(0.1)])
def test_a_raw_tensor_gets_the_inverse_image(positivity):
    raw = icnn_(torch.empty(300, 40, dtype=torch.float64), positivity=positivity, generator=generator())
    through = as_positivity(positivity)
    assert_follows(through.value(raw.numpy()), law(40), through)


def test_a_computed_tensor_is_refused():
    layer = nn.Linear(4, 4)
    nn.utils.parametrize.register_parametrization(layer, "weight", Positive("exp"))
    for call in (icnn_, lecun_):
        with pytest.raises(ValueError, match=r"computed tensor.*parametrizations\.weight\.original"):
            call(layer.weight)
    with pytest.raises(ValueError, match="bias is a computed tensor"):
        icnn_(torch.ones(2, 2), (layer.weight * 2).sum(0), fan_in=2)


@pytest.mark.parametrize("wrong", [[[1.0]], nn.Linear(2, 2), None])
def test_what_is_no_tensor_is_refused(wrong):
    with pytest.raises(TypeError, match="weight must be a tensor"):
        icnn_(wrong)
    weight = torch.zeros(2, 2)
    with pytest.raises(TypeError, match="bias must be a tensor"):
        icnn_(weight, bias=True)
    assert not weight.any()


def test_integers_are_refused():
    with pytest.raises(ValueError, match=r"floating point.*int64"):
        icnn_(torch.zeros(3, 3, dtype=torch.int64))


def test_a_parameter_stays_a_leaf():
    weight = nn.Parameter(torch.zeros(4, 4))
    icnn_(weight)
    assert weight.is_leaf
    assert weight.requires_grad
    assert weight.grad_fn is None
    (weight**2).sum().backward()
    assert weight.grad is not None


def test_memory_of_any_layout():
    contiguous = icnn_(torch.empty(30, 20), generator=generator())
    transposed = icnn_(torch.empty(20, 30).t(), generator=generator())
    storage = torch.full((60, 40), -1.0)
    strided = icnn_(storage[::2, ::2], generator=generator())
    assert torch.equal(contiguous, transposed)
    assert torch.equal(contiguous, strided)
    assert (storage[1::2] == -1.0).all()
    assert (storage[:, 1::2] == -1.0).all()
    last = torch.empty(6, 5, 3, 3).to(memory_format=torch.channels_last)
    icnn_(last, fan_in=45, generator=generator())
    assert torch.equal(last, icnn_(torch.empty(6, 5, 3, 3), fan_in=45, generator=generator()))
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_no_values_at_all():
    assert icnn_(torch.empty(0, 5)).shape == (0, 5)


def test_lecun():
    weight, bias = torch.empty(900, 40), torch.ones(900)
    found = lecun_(weight, bias, variance=3.0, generator=generator())
    assert found[0] is weight
    assert not bias.any()
    assert weight.mean().item() == pytest.approx(0.0, abs=5.0 * (3.0 / 40 / 36_000) ** 0.5)
    assert weight.var().item() == pytest.approx(3.0 / 40, rel=5.0 * (2.0 / 36_000) ** 0.5)
    assert lecun_(weight) is weight
    with pytest.raises(ValueError, match="variance"):
        lecun_(weight, variance=-1.0)


def test_the_tensor_level_and_the_model_level_agree():
    model = apply_(nn.Sequential(nn.ReLU(), nn.Linear(20, 30)), generator=generator())
    weight, bias = icnn_(torch.empty(30, 20), torch.empty(30), generator=generator())
    assert torch.equal(model[1].weight, weight)
    assert torch.equal(model[1].bias, bias)


def test_the_old_word_for_what_feeds_a_weight_is_refused_with_the_new_one():
    with pytest.raises(TypeError, match="activation= is called fed_by="):
        icnn_(torch.empty(4, 5), activation="elu")
