"""The methods of initialisation through torch's own layers: isometric weights, and matched moments."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch import (
    ICNN,
    ConvexConv1d,
    ConvexConv2d,
    ConvexConv3d,
    ConvexLinear,
    Positive,
    apply_,
    icnn_,
    mark_projected,
    plan,
    project_after_step,
)
from convex_init.torch.model.fans import geometry
from convex_init_core import InitSettings, positive_recipe
from tests.contract.convexity import convexity_violation
from tests.contract.isometry import assert_isometric, assert_same_signal
from tests.torch.networks import MAPS, assert_untouched, generator, parameters_of, train


def values(tensor):
    return tensor.detach().double().numpy()


ISOMETRIC = {"method": "isometric"}
DTYPES = [torch.float64, torch.float32, torch.bfloat16]


def chain(*layers):
    return nn.Sequential(nn.ReLU(), *layers)


# Isometric weights: through every map and dtype, and every layer.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("positivity", ["projection", *MAPS])
@pytest.mark.parametrize(("outputs", "inputs"), [(60, 60), (20, 60), (13, 60), (90, 60), (1, 60)])
def test_linear_layers(outputs, inputs, positivity, dtype):
    layer = nn.Linear(inputs, outputs, dtype=dtype)
    if positivity != "projection":
        parametrize.register_parametrization(layer, "weight", Positive(positivity))
    model = chain(layer)
    apply_(model, **ISOMETRIC, generator=generator())
    assert_isometric(layer.weight.detach().double().numpy(), tolerance=20 * float(torch.finfo(dtype).eps))
    recipe = plan(model, **ISOMETRIC).layers[0].recipe
    assert layer.bias.detach().double().numpy() == pytest.approx(
        recipe.bias.mean, rel=float(torch.finfo(dtype).eps), abs=1e-9
    )


@pytest.mark.parametrize("make", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_padded_convolution_passes_every_pixel_on(make, groups):
    dims = int(make.__name__[-2])
    layer = make(6, 6, 3, padding=1, groups=groups)
    apply_(chain(layer), **ISOMETRIC, generator=generator())
    x = torch.rand((2, 6, *[5] * dims), generator=generator(1))
    out = layer(x).flatten(2).mT.reshape(-1, 6)
    assert_same_signal(values(out), values(x.flatten(2).mT.reshape(-1, 6)))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_strided_convolution_loses_no_pixel_if_it_has_the_channels(groups):
    layer = nn.Conv2d(4, 16, 3, stride=2, padding=1, groups=groups)
    apply_(chain(layer), **ISOMETRIC, generator=generator())
    x = torch.rand(3, 4, 8, 8, generator=generator(1))
    assert_same_signal(values(layer(x).flatten(1)), values(x.flatten(1)))


@pytest.mark.parametrize("make", [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_repeats_every_pixel(make, groups):
    dims = int(make.__name__[-2])
    layer = make(4, 4, 2, stride=2, groups=groups)
    apply_(chain(layer), **ISOMETRIC, generator=generator())
    x = torch.rand((2, 4, *[3] * dims), generator=generator(1))
    repeated = x
    for axis in range(2, 2 + dims):
        repeated = repeated.repeat_interleave(2, axis)
    assert_same_signal(values(layer(x).flatten(2).mT.flatten(0, 1)), values(repeated.flatten(2).mT.flatten(0, 1)))


@pytest.mark.parametrize("make", [ConvexLinear, ConvexConv1d, ConvexConv2d, ConvexConv3d])
@pytest.mark.parametrize("positivity", ["projection", "softplus"])
def test_our_layers_and_our_tensors_agree(make, positivity):
    layer = make(*((8, 8) if make is ConvexLinear else (8, 8, 3)), positivity=positivity)
    layer.reset_parameters(generator(), **ISOMETRIC)
    raw = torch.empty(layer.weight.shape)
    icnn_(raw, torch.empty(8), positivity=positivity, geometry=geometry(layer), **ISOMETRIC, generator=generator())
    held = layer.weight if positivity == "projection" else layer.parametrizations.weight.original
    assert torch.equal(raw, held)
    layer.reset_parameters(generator())
    again = torch.empty(layer.weight.shape)
    icnn_(again, torch.empty(8), fan_in=layer.weight[0].numel(), positivity=positivity, generator=generator())
    assert torch.equal(again, held), "the other method takes its fan-in from the layer, too"


# Depth.


@pytest.mark.parametrize("positivity", ["projection", "exp"])
@pytest.mark.parametrize("depth", [1, 60])
def test_signal_and_gradient_pass_any_depth(depth, positivity):
    """Dynamical isometry: half of the units pass a gradient of size 1 to the first layer, whatever the depth."""
    model = ICNN(300, [200] * depth, 1, positivity=positivity)
    model.reset_parameters(generator(), **ISOMETRIC)
    x = torch.randn(64, 300, generator=generator(1))
    first = model.layers[0](x)
    s = first
    for phi, layer in zip(model.activations, list(model.layers)[1:-1], strict=False):
        s = layer(phi(s))
    if depth > 1:
        # Behind exp, the weights in the place of zeros add (1.001^L − 1) of the mean, less what the bias removes.
        assert_same_signal(values(s), values(first.relu()), tolerance=1e-5 if positivity == "projection" else 0.02)
    gradients = torch.autograd.grad(model.layers[-1](model.activations[-1](s)).sum(), first)[0]
    passed = gradients != 0
    # 12,800 units, each on with probability 1/2: five standard errors are .022.
    assert passed.float().mean().item() == pytest.approx(0.5, abs=0.022)
    # One draw of a sum of 200 features, 64 inputs of about one length: between a half and twice the target.
    assert 0.5 < model(x).var().item() < 2.0


def test_a_deep_network_learns_and_stays_convex():
    model = ICNN(3, [32] * 30, 1)
    model.reset_parameters(generator(), **ISOMETRIC)
    x = torch.randn(256, 3, generator=generator(2))
    y = x.square().sum(1, keepdim=True) - 3.0
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    project_after_step(optimizer, model)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 * y.var().item()
    assert convexity_violation(lambda z: values(model(torch.as_tensor(z, dtype=torch.float32))), 3) < 1e-3


# Randomness, refusals, copies.


def test_a_seed_reproduces_layers_differ_and_the_global_generator_is_untouched():
    before = torch.get_rng_state()
    draws = []
    for seed in (0, 0, 1):
        model = ICNN(4, [50, 50, 50], 1)
        before = torch.get_rng_state()
        apply_(model, **ISOMETRIC, generator=generator(seed))
        assert torch.equal(torch.get_rng_state(), before)
        draws.append([layer.weight.detach().clone() for layer in list(model.layers)[1:-1]])
    assert torch.equal(draws[0][0], draws[1][0])
    assert not torch.equal(draws[0][0], draws[2][0])
    assert not torch.equal(draws[0][0], draws[0][1])


def test_non_contiguous_weights_and_copies():
    model = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)).to(memory_format=torch.channels_last)
    apply_(model, **ISOMETRIC, generator=generator())
    plain = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    apply_(plain, **ISOMETRIC, generator=generator())
    assert torch.equal(model[1].weight, plain[1].weight)
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(made[1].weight, model[1].weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"method": "orthogonal"},
            "method 'orthogonal' is unknown; known are auto, bounded_gain, log_normal, iso",
        ),
        ({"method": "isometric", "bias_noise": 0.5}, "bias_noise.*isometric"),
        ({"match_moments": True, "distribution": "two_point"}, "match_moments.*spike_and_slab"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(settings, message):
    model = ICNN(4, [5, 5], 1, skip=False)
    before = parameters_of(model)
    with pytest.raises(ValueError, match=message):
        apply_(model, **settings)
    for name, value in parameters_of(model).items():
        assert torch.equal(value, before[name])


def test_an_activation_without_a_bounded_slope_is_refused_with_its_layer():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    before = parameters_of(model)
    with pytest.raises(ValueError, match=r"'1'.*bounded, positive slope"):
        apply_(model, positive=["1"], fed_by=torch.exp, **ISOMETRIC)
    assert_untouched(model, before)
    mark_projected(model[1])


def test_a_matrix_says_its_axes_and_another_weight_of_unknown_axes_is_refused():
    assert_isometric(icnn_(torch.empty(20, 30), **ISOMETRIC).numpy())
    for shape in ((4,), (4, 4, 3)):
        with pytest.raises(ValueError, match=r"geometry cannot be told .*pass geometry="):
            icnn_(torch.empty(shape), **ISOMETRIC)
    with pytest.raises(ValueError, match="geometry is that of a weight of shape"):
        icnn_(torch.empty(4, 5), geometry=geometry(nn.Linear(4, 4)), **ISOMETRIC)


# Matched moments.


@pytest.mark.parametrize("positivity", ["projection", *MAPS])
@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
@pytest.mark.parametrize("shape", [(600, 784), (8, 30, 3, 3)])
def test_every_unit_has_exactly_the_moments(shape, distribution, positivity):
    """Also in a tensor of several blocks: 600 × 784 is more than one."""
    raw = torch.empty(shape)
    chosen = {"distribution": distribution, "match_moments": True}
    icnn_(raw, fan_in=raw[0].numel(), positivity=positivity, **chosen, generator=generator())
    recipe = positive_recipe(raw[0].numel(), "relu", InitSettings(**chosen), positivity)
    weights = values(recipe.positivity.value(raw.double(), torch)).reshape(shape[0], -1)
    # float32 sums of numbers that differ by many orders: 1e-4 is ten times what they lose.
    assert weights.mean(1) == pytest.approx(recipe.statistics.weight_mean, rel=1e-4)
    assert weights.var(1) == pytest.approx(recipe.statistics.weight_variance, rel=1e-3)


def test_matched_weights_train():
    model = ICNN(3, [40, 40], 1)
    model.reset_parameters(generator(), match_moments=True)
    trained = train(model, project=True)
    assert all(bool((layer.weight >= 0).all()) for layer in list(trained.layers)[1:])
    assert np.isfinite(trained(torch.zeros(1, 3)).item())


# Advice.


def deep(layers, **options):
    return ICNN(5, [8] * layers, 1, **options)


@pytest.mark.parametrize("with_inputs", [False, True])
@pytest.mark.parametrize(
    ("layers", "settings", "is_warned"),
    [
        (4, {}, False),
        (5, {}, True),
        (7, {"bias_noise": 0.5}, False),
        (8, {"bias_noise": 0.5}, True),
        (5, {"match_moments": True}, False),
        (6, {"match_moments": True}, True),
        (60, {"method": "isometric"}, False),
    ],
)
def test_the_plan_warns_of_a_depth_that_the_method_is_not_known_to_carry(layers, settings, is_warned, with_inputs):
    modules = [nn.Linear(5, 8)]
    for _ in range(layers):
        modules += [nn.ReLU(), nn.Linear(8, 8)]
    model = nn.Sequential(*modules)
    examples = (torch.zeros(1, 5),) if with_inputs else ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decided = plan(model, *examples, **{"method": "bounded_gain", **settings})
    assert bool(decided.advice) == is_warned
    assert str(decided).endswith(decided.advice)
    assert [str(warning.message) for warning in caught] == ([decided.advice] if is_warned else [])
    if is_warned:
        assert "isometric" in decided.advice
        assert caught[0].filename == __file__, "the warning points at the caller"


def test_free_skips_spare_the_advice_and_a_network_can_be_told_its_method():
    assert not plan(deep(10, skip=True)).advice
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = deep(20, method="isometric")
        assert_isometric(model.layers[1].weight.detach().numpy())
        assert_isometric(ConvexLinear(6, 6, method="isometric").weight.detach().numpy())
        deep(20)  # the method is chosen for the depth
    with pytest.warns(UserWarning, match="carry a signal through 4 positive layers, and there are 20 in a row"):
        deep(20, method="bounded_gain")


def test_many_free_skips_are_a_risk_of_the_paper_s_gain():
    model = deep(20, skip=True)
    with pytest.warns(UserWarning, match="free skips is known to carry 10 positive layers, and there are 20"):
        plan(model, method="log_normal")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not plan(model, method="isometric").advice


# Models that are read by running them.


class Summed(nn.Module):
    """Fifteen layers with free skips, or with residual identities."""

    def __init__(self, *, residual):
        super().__init__()
        self.first = nn.Linear(300, 64)
        self.hidden = nn.ModuleList(nn.Linear(64, 64) for _ in range(15))
        self.skips = None if residual else nn.ModuleList(nn.Linear(300, 64, bias=False) for _ in range(15))
        self.last = nn.Linear(64, 1)

    def forward(self, x):
        s = self.first(x)
        for place, layer in enumerate(self.hidden):
            new = layer(torch.relu(s))
            s = s + new if self.skips is None else new + self.skips[place](x)
        return self.last(torch.relu(s))


@pytest.mark.parametrize("residual", [False, True])
def test_sums_are_isometric_too_and_bounded(residual):
    model, x = Summed(residual=residual), torch.randn(200, 300, generator=generator(1))
    apply_(model, x, **ISOMETRIC, generator=generator())
    decided = plan(model, x, **ISOMETRIC)
    assert not decided.advice
    laws = {layer.path: type(layer.recipe.weight).__name__ for layer in decided.layers}
    assert laws["hidden.3"] == laws["last"] == "Isometric"
    for layer in (*model.hidden, model.last):
        assert_isometric(layer.weight.detach().numpy())
    seen = []
    for layer in model.hidden:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].square().mean().item()))
    model(x)
    # E[φ²] is 1/2 behind the first layer; a residual sum may let the deviation grow by e.
    assert all(0.2 < second < 0.5 * np.e**2 for second in seen)
