"""What torch has beside the contract in ``tests/contract``: dtypes, parametrizations, layers of our own, generators."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch import (
    ConvexConv1d,
    ConvexConv2d,
    ConvexConv3d,
    ConvexLinear,
    Positive,
    apply_,
    icnn_,
    mark_projected,
    plan,
    project_,
    projected_parameters,
)
from convex_init_core import as_positivity
from tests.contract.convexity import convexity_violation
from tests.contract.law_bounds import assert_follows
from tests.torch.networks import MAPS, PAPER, as_numpy, generator, icnn, positive_linear, train

DTYPES = [torch.float64, torch.float32, torch.bfloat16]


def weights_of(model: nn.Sequential) -> np.ndarray:
    return model[1].weight.detach().double().numpy()


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
@pytest.mark.parametrize("positivity", ["projection", *MAPS])
def test_weights_follow_the_law_through_every_map(positivity, distribution, dtype):
    fan_in = 4 if dtype is torch.float16 else 120  # the tails of a wide layer leave the range of float16
    model = positive_linear(fan_in, 180_000 // fan_in, positivity, dtype)
    apply_(model, distribution=distribution, generator=generator(1))
    recipe = plan(model, distribution=distribution).layers[0].recipe
    info = torch.finfo(dtype)
    assert_follows(weights_of(model), recipe.weight, positivity, float(info.eps), smallest=2.0 * float(info.tiny))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.01, 30.0])
def test_weights_follow_the_law_through_a_scaled_map(scale, dtype):
    layer = nn.Linear(50, 4000, dtype=dtype)
    through = as_positivity("softplus").scaled(scale)
    parametrize.register_parametrization(layer, "weight", Positive(through))
    model = nn.Sequential(nn.ReLU(), layer)
    apply_(model, generator=generator())
    assert_follows(weights_of(model), plan(model).layers[0].recipe.weight, through, float(torch.finfo(dtype).eps))


def test_half_precision_is_drawn_wide_and_cast_last():
    narrow, wide = positive_linear(30, 40, "exp", torch.bfloat16), positive_linear(30, 40, "exp", torch.float32)
    for model in (narrow, wide):
        apply_(model, generator=generator())
    raw, cast = (m[1].parametrizations.weight.original for m in (wide, narrow))
    assert torch.equal(raw.to(torch.bfloat16), cast)


def test_the_raw_parameter_holds_the_inverse_image():
    """The published implementation wrote effective weights into the raw parameter of its exp network."""
    model = positive_linear(784, 784, "exp")
    apply_(model, generator=generator())
    recipe = plan(model).layers[0].recipe
    assert_follows(model[1].parametrizations.weight.original.detach().exp().numpy(), recipe.weight, "exp", 2.0**-23)
    # Row sums: N μ_w = 1.86 with a standard deviation of √(N σ_w²) = 0.71 a row, 784 rows.
    assert model[1].weight.sum(1).mean().item() == pytest.approx(1.86, abs=0.2)


def test_the_global_seed_reproduces_without_a_generator():
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        model = positive_linear(20, 30)
        apply_(model)
        draws.append(model[1].weight.detach().clone())
    apply_(model)
    assert torch.equal(draws[0], draws[1])
    assert not torch.isclose(draws[0], model[1].weight).any()


@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_the_global_generator_is_untouched_when_icnn_gets_one(distribution):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    given = generator()
    state = given.get_state()
    icnn_(torch.empty(5, 6), torch.empty(5), distribution=distribution, bias_noise=0.2, generator=given)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert not torch.equal(given.get_state(), state)


def test_a_generator_goes_on_from_call_to_call():
    given = generator()
    first, second = icnn_(torch.empty(8, 8), generator=given), icnn_(torch.empty(8, 8), generator=given)
    assert not torch.isclose(first, second).any()


def test_planning_draws_nothing():
    before = torch.get_rng_state()
    model = nn.Sequential(nn.Linear(3, 4, device="meta"), nn.ReLU(), nn.Linear(4, 1, device="meta"))
    plan(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_parts_of_a_large_weight_differ():
    """Blocks are drawn from seeds of their own, which must not repeat."""
    weight = icnn_(torch.empty(1 << 11, 1 << 10), generator=generator())
    assert torch.unique(weight.view(-1)[:: 1 << 6]).numel() > 0.99 * (weight.numel() >> 6)


@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_the_number_of_threads_does_not_matter(distribution):
    def drawn(threads: int) -> dict[str, torch.Tensor]:
        kept = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            model = nn.Sequential(nn.Linear(300, 1000), nn.ReLU(), nn.Linear(1000, 700), nn.ReLU(), nn.Linear(700, 1))
            return apply_(model, distribution=distribution, bias_noise=0.1, generator=generator()).state_dict()
        finally:
            torch.set_num_threads(kept)

    one, two = drawn(1), drawn(2)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
def test_projection_of_single_values(dtype):
    layer = nn.Linear(4, 2, dtype=dtype)
    values = torch.tensor([[-1.0, 0.0, 2.5, -torch.inf], [torch.inf, torch.nan, 6e-5, -6e-5]], dtype=dtype)
    layer.weight.data.copy_(values)
    mark_projected(layer)
    expected = torch.tensor([[0.0, 0.0, 2.5, 0.0], [torch.inf, torch.nan, 6e-5, 0.0]], dtype=dtype)
    for _ in range(2):  # idempotent
        assert project_(layer) is layer
        torch.testing.assert_close(layer.weight.data, expected, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", PAPER)
def test_weights_stay_non_negative_in_training(kind, dtype):
    model = icnn(kind, dtype=dtype)
    keys = list(model.state_dict())
    train(model, 8, project="exp" not in kind and "softplus" not in kind)
    assert list(model.state_dict()) == keys
    for layer in model.layers[1:]:
        assert torch.isfinite(layer.weight).all()
        assert layer.weight.min() >= 0.0


LAYERS = {
    "linear": lambda p: ConvexLinear(5, 4, positivity=p, fed_by="softplus"),
    "linear without bias": lambda p: ConvexLinear(5, 4, False, positivity=p),
    "conv1d": lambda p: ConvexConv1d(4, 6, 3, groups=2, positivity=p),
    "conv2d": lambda p: ConvexConv2d(4, 6, 3, padding="same", positivity=p),
    "conv3d": lambda p: ConvexConv3d(2, 3, 2, dilation=2, positivity=p),
}


def through_pickle(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def through_save(module: nn.Module) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("through", [copy.deepcopy, through_pickle, through_save])
@pytest.mark.parametrize("positivity", ["projection", *MAPS])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_survive_copies(layer, positivity, through):
    original = LAYERS[layer](positivity)
    copied = through(original)
    assert type(copied).__name__ == type(original).__name__
    assert repr(copied) == repr(original)
    assert copied.feeding_activation == original.feeding_activation
    assert all(torch.equal(a, b) for a, b in zip(original.parameters(), copied.parameters(), strict=True))
    assert list(copied.state_dict()) == list(original.state_dict())
    assert torch.equal(copied.weight, original.weight)
    assert list(projected_parameters(copied)) == list(projected_parameters(original))
    kept = original.weight.detach().clone()
    copied.reset_parameters(generator())  # the copy still writes through its map, and only to itself
    assert torch.equal(original.weight, kept)
    assert not torch.isclose(copied.weight, kept).any()
    assert copied.weight.min() >= 0.0
    assert torch.equal(through(copied).weight, copied.weight)  # and can be copied again


@pytest.mark.parametrize("through", [copy.deepcopy, through_pickle, through_save])
@pytest.mark.parametrize("kind", PAPER)
def test_networks_survive_copies(kind, through):
    model = train(icnn(kind), 3, project="exp" not in kind and "softplus" not in kind)
    copied = through(model)
    x = torch.randn(7, 3, generator=generator())
    assert torch.equal(copied(x), model(x))
    assert str(plan(copied)) == str(plan(model))
    train(copied, 3, project="exp" not in kind and "softplus" not in kind)
    assert all(layer.weight.min() >= 0.0 for layer in copied.layers[1:])
    assert not torch.equal(copied(x), model(x))


@pytest.mark.parametrize("kind", PAPER)
def test_a_state_dict_loads_into_a_new_network(kind):
    model, other = train(icnn(kind), 3), icnn(kind)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    x = torch.randn(7, 3, generator=generator())
    assert torch.equal(other(x), model(x))


def test_an_initialised_plain_model_keeps_its_marks_in_copies():
    model = apply_(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)))
    for through in (copy.deepcopy, through_pickle, through_save):
        assert list(projected_parameters(through(model))) == ["2.weight"]


def plain(*parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(*parts).double()


TRAINED = {
    **{kind: (lambda kind=kind: icnn(kind, dtype=torch.float64)) for kind in PAPER},
    "Sequential": lambda: apply_(plain(nn.Linear(3, 20), nn.Softplus(), nn.Linear(20, 20), nn.ELU(), nn.Linear(20, 1))),
    "convolutional": lambda: apply_(
        plain(
            nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 6, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv1d(6, 6, 2), nn.ReLU(),
            nn.AvgPool1d(2), nn.Flatten(), nn.Linear(6, 1),
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TRAINED)
def test_the_trained_network_is_convex(kind):
    model = TRAINED[kind]()
    train(model, 150, project=bool(projected_parameters(model)))
    assert convexity_violation(as_numpy(model), 3) <= 1e-12


BAD = [
    ({"correlation": 0.0}, ValueError, "correlation"),
    ({"correlation": 1.0}, ValueError, "correlation"),
    ({"correlation": "half"}, TypeError, "correlation"),
    ({"variance": 0.0}, ValueError, "variance"),
    ({"variance": float("nan")}, ValueError, "variance"),
    ({"bias_noise": 1.0}, ValueError, "bias_noise"),
    ({"bias_noise": -0.1}, ValueError, "bias_noise"),
    ({"distribution": "cauchy"}, ValueError, "distribution 'cauchy'"),
    ({"positivity": "sigmoid"}, ValueError, "positivity 'sigmoid'"),
    ({"positivity": 3}, TypeError, "positivity"),
    ({"fed_by": "tanh"}, ValueError, "activation 'tanh'"),
    ({"fed_by": "nonsense"}, ValueError, "activation 'nonsense'"),
    ({"fed_by": nn.GELU()}, ValueError, "GELU"),
    ({"fed_by": 3}, TypeError, "fed_by"),
    ({"distribution": "two_point", "positivity": "exp"}, ValueError, "distribution 'two_point'"),
]


@pytest.mark.parametrize(("arguments", "error", "named"), BAD)
def test_bad_arguments_are_named_and_nothing_is_written(arguments, error, named):
    weight, bias = torch.zeros(4, 5), torch.zeros(4)
    with pytest.raises(error, match=named):
        icnn_(weight, bias, **arguments)
    assert not weight.any()
    assert not bias.any()


@pytest.mark.parametrize("fan_in", [0, 0.5, -3, float("inf"), "many"])
def test_a_bad_fan_is_named(fan_in):
    with pytest.raises((ValueError, TypeError), match="fan_in"):
        icnn_(torch.zeros(4, 5), fan_in=fan_in)


@pytest.mark.parametrize("layer", [ConvexLinear, ConvexConv1d])
def test_layers_name_bad_arguments(layer):
    sizes = (4, 5) if layer is ConvexLinear else (4, 5, 3)
    with pytest.raises(ValueError, match="positivity 'sigmoid'"):
        layer(*sizes, positivity="sigmoid")
    with pytest.raises(ValueError, match="activation 'tanh'"):
        layer(*sizes, fed_by="tanh")
    with pytest.raises(TypeError, match="activation= is called fed_by="):
        layer(*sizes, activation="relu")
    with pytest.raises(ValueError, match="correlation"):
        layer(*sizes).reset_parameters(correlation=2.0)
