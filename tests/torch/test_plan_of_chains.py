"""Models in which one layer follows another: roles, feeding activations and fan-ins, nested and convolutional."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, ConvexLinear, apply_, icnn_, plan, projected_parameters
from convex_init_core import custom
from convex_init_core.methods.recipe import Recipe
from tests.torch.networks import generator


def roles(model: nn.Module, **arguments: object) -> list[tuple[str, str, str]]:
    """Path, role and, for positive layers, what feeds them."""
    return [
        (layer.path, layer.role, str(layer.recipe.activation) if layer.role == "positive" else "")
        for layer in plan(model, **arguments).layers
    ]


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 8), nn.Softplus(beta=2.0), nn.Linear(8, 1))


def test_a_sequential_mlp():
    assert roles(mlp()) == [("0", "free", ""), ("2", "positive", "relu"), ("4", "positive", "softplus(2, 20)")]


def test_every_usable_activation_is_read():
    activations = {
        "relu": nn.ReLU(inplace=True),
        "leaky_relu(0.2)": nn.LeakyReLU(0.2),
        "prelu(0.3)": nn.PReLU(init=0.3),
        "elu(0.5)": nn.ELU(0.5),
        "celu(2)": nn.CELU(2.0),
        "softplus(1, 20)": nn.Softplus(),
    }
    for name, module in activations.items():
        assert roles(nn.Sequential(module, nn.Linear(3, 2))) == [("1", "positive", name)]


def test_an_affine_chain_is_free_up_to_its_first_nonlinearity():
    model = nn.Sequential(nn.Linear(5, 4), nn.Identity(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 1))
    found = [("0", "free", ""), ("2", "free", ""), ("4", "positive", "relu"), ("5", "positive", "identity")]
    assert roles(model) == found


def test_nested_chains():
    model = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(12, 6), nn.ReLU()),
        nn.Sequential(nn.Sequential(nn.Linear(6, 6)), nn.ELU()),
        nn.Linear(6, 1),
    )
    assert roles(model) == [("1.0", "free", ""), ("2.0.0", "positive", "relu"), ("3", "positive", "elu(1)")]


def test_a_convolutional_network():
    model = nn.Sequential(
        nn.ZeroPad2d(1),
        nn.Conv2d(1, 6, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout2d(0.1),
        nn.Conv2d(6, 8, (3, 2), groups=2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.PixelShuffle(2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(32, 10),
    )
    layers = plan(model).layers
    assert roles(model) == [("1", "free", ""), ("5", "positive", "relu"), ("11", "positive", "relu")]
    assert [layer.recipe.statistics.fan_in for layer in layers] == [9, 3 * 6, 32]
    assert "zero padding" in layers[1].note
    # Made-up inputs show the structure, but nothing is measured on them.
    assert layers[2].note.endswith("not measured: no theory for avg_pool2d in '7'")
    assert "; measured on example_inputs" in plan(model, torch.randn(9, 1, 8, 8)).layers[2].note


def test_a_maximum_is_convex_but_an_average_is_affine():
    def after(pool: nn.Module) -> list[tuple[str, str, str]]:
        return roles(nn.Sequential(nn.Conv1d(1, 2, 3), pool, nn.Conv1d(2, 2, 3)))

    assert after(nn.AvgPool1d(2))[1] == ("2", "free", "")
    assert after(nn.MaxPool1d(2))[1] == ("2", "positive", "unnamed")
    assert after(nn.AdaptiveMaxPool1d(4))[1] == ("2", "positive", "unnamed")


def test_batch_norm_before_any_nonlinearity_is_affine():
    model = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    assert roles(model) == [("1", "free", ""), ("4", "positive", "relu")]


def test_what_follows_the_last_layer_does_not_matter():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid(), nn.Softmax(1))
    assert roles(model) == [("0", "free", ""), ("2", "positive", "relu")]


def test_single_layers():
    assert roles(nn.Linear(5, 4)) == [("", "free", "")]
    assert roles(nn.Conv2d(5, 4, 3)) == [("", "free", "")]
    assert "(model)" in str(plan(nn.Linear(5, 4)))


def test_the_papers_networks():
    assert roles(ICNN(3, (4, 5), 2)) == [
        ("layers.0", "free", ""),
        *((f"layers.{i}", "positive", "relu") for i in (1, 2)),
    ]
    with_skips = plan(ICNN(3, (4, 5), 2, skip=True)).layers
    assert [(layer.path, layer.role) for layer in with_skips] == [
        ("layers.0", "free"),
        ("layers.1", "positive"),
        ("skips.0", "skip"),
        ("layers.2", "positive"),
        ("skips.1", "skip"),
    ]
    assert roles(nn.Sequential(nn.Flatten(), ICNN(3, (4,), activation=nn.ELU())))[1] == (
        "1.layers.1",
        "positive",
        "elu(1)",
    )


class Across(nn.Module):
    """A forward that is no chain."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.across = nn.Linear(3, 4), nn.Linear(4, 2, bias=False), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(x))) + self.across(x)


def test_a_users_module_among_others():
    model = nn.Sequential(nn.Identity(), Across())
    assert roles(model) == [("1.a", "free", ""), ("1.b", "positive", "relu"), ("1.across", "skip", "")]
    apply_(model, generator=generator())
    layers = {layer.path: layer for layer in plan(model).layers}
    # The positive layer has no bias: the free skip beside it carries the shift.
    assert layers["1.b"].shift_into == "1.across"
    shift = layers["1.b"].recipe.statistics.bias_mean
    assert shift < -0.1
    assert model[1].across.bias.tolist() == pytest.approx([shift, shift])
    assert list(projected_parameters(model)) == ["1.b.weight"]


def test_our_layers_in_a_forward_of_ones_own():
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 6)
            self.rest = nn.ModuleList([ConvexLinear(6, 6, fed_by="elu"), ConvexLinear(6, 1, positivity="exp")])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rest[1](torch.relu(self.rest[0](nn.functional.elu(self.first(x)))))

    assert roles(Network()) == [("first", "free", ""), ("rest.0", "positive", "elu(1)"), ("rest.1", "positive", "relu")]
    assert [str(layer.recipe.positivity) for layer in plan(Network()).layers[1:]] == ["projection", "exp"]


@pytest.mark.parametrize("method", ["bounded_gain", "log_normal", "isometric"])
def test_an_activation_behind_an_activation_is_one_of_both(method):
    """Only the sum before both is Gaussian; what reaches the second one of them is not."""

    def chain(*activations: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Linear(40, 40), *activations, nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))

    def recipe(*activations: nn.Module) -> Recipe:
        layers = plan(chain(*activations), method=method).layers
        return next(layer for layer in layers if layer.role == "positive").recipe

    assert recipe(nn.ELU(), nn.ReLU()) == recipe(nn.ReLU(), nn.ReLU()) == recipe(nn.ReLU())
    both = recipe(nn.ReLU(), nn.Softplus())
    assert str(both.activation) == "softplus∘relu"
    as_one = custom(lambda s: np.logaddexp(0.0, np.maximum(s, 0.0)), bends=(0.0,))
    expected = plan(chain(nn.ReLU()), method=method, fed_by={"2": as_one}).layers[1].recipe
    assert both.weight.mean == pytest.approx(expected.weight.mean, rel=1e-6)
    assert both.bias.mean == pytest.approx(expected.bias.mean, rel=1e-6)
    if method != "isometric":  # which centres by the value at 0
        assert both.bias.mean < recipe(nn.Softplus()).bias.mean - 0.01  # ReLU raises what softplus takes


def test_the_plan_prints_as_a_table():
    model = ICNN(3, (40,), 2, skip=True, bias=False)
    text = str(plan(model, method="bounded_gain", distribution="gamma", bias_noise=0.1))
    lines = text.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:4] == ["layer", "role", "fan_in", "fed"]
    for word in ("layers.1", "positive", "relu", "Gamma", "projection", "centring shift in the bias of 'skips.0'", "±"):
        assert word in text


def test_planning_changes_nothing():
    model = mlp()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plan(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not projected_parameters(model)


def test_a_sequential_mlp_of_the_papers_size_gets_the_papers_numbers():
    n = 784
    model = nn.Sequential(*(part for _ in range(5) for part in (nn.Linear(n, n), nn.ReLU())), nn.Linear(n, 10))
    layers = plan(model, method="log_normal").layers
    spread = 6.0 * (math.pi - 1.0) + (n - 1) * (3.0 * math.sqrt(3.0) + 2.0 * math.pi - 6.0)
    for layer in layers[1:]:
        assert layer.recipe.statistics.weight_mean == pytest.approx(math.sqrt(6.0 * math.pi / (n * spread)), rel=1e-12)
        assert layer.recipe.statistics.weight_variance == pytest.approx(1.0 / n, rel=1e-12)
        assert layer.recipe.statistics.bias_mean == pytest.approx(-math.sqrt(3.0 * n / spread), rel=1e-12)
        assert layer.recipe.statistics.bias_variance == 0.0
    assert (layers[0].recipe.statistics.weight_mean, layers[0].recipe.statistics.bias_mean) == (0.0, 0.0)
    assert layers[0].recipe.statistics.weight_variance == pytest.approx(1.0 / n, rel=1e-12)
    apply_(model, method="log_normal", generator=generator())
    for index in range(2, 11, 2):
        assert model[index].bias.detach().numpy() == pytest.approx(-math.sqrt(3.0 * n / spread), rel=1e-6)
    # The same as the tensor level gives, number for number of the law.
    weight, bias = icnn_(torch.empty(n, n), torch.empty(n), generator=generator())
    assert torch.equal(bias, model[2].bias)
    assert weight.log().mean().item() == pytest.approx(model[2].weight.log().mean().item(), abs=0.03)
