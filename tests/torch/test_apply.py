"""What ``apply_`` writes: exactly the plan, with missing biases, tied weights, meta, compiled and lazy models."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, apply_, plan, project_after_step, projected_parameters
from tests.contract.law_bounds import assert_follows
from tests.torch.networks import generator


def mlp(*, bias: bool = True, device: str = "cpu") -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 40, device=device),
        nn.ReLU(),
        nn.Linear(40, 30, bias, device=device),
        nn.ReLU(),
        nn.Linear(30, 20, bias, device=device),
    )


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_the_model_itself_comes_back():
    model = mlp()
    assert apply_(model) is model


def test_apply_executes_the_plan():
    model = nn.Sequential(nn.Linear(5, 200), nn.ReLU(), nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 20))
    settings = {"correlation": 0.3, "distribution": "gamma", "bias_noise": 0.4}
    due = plan(model, **settings)
    apply_(model, **settings, generator=generator())
    for layer in due.layers:
        written = model.get_submodule(layer.path)
        assert_follows(written.weight.detach().double().numpy(), layer.recipe.weight, epsilon=2.0**-23)
        if layer.role == "positive":
            assert_follows(written.bias.detach().double().numpy(), due.biases[layer.bias], epsilon=2.0**-23)
    assert_follows(model[0].bias.detach().double().numpy(), due.biases["0.bias"], epsilon=2.0**-23)
    assert [type(layer.recipe.weight).__name__ for layer in due.layers] == ["Normal", "Gamma", "Gamma"]
    assert list(projected_parameters(model)) == list(due.project) == ["2.weight", "4.weight"]


def test_applying_again_draws_anew_from_the_same_law():
    model = apply_(mlp(), generator=generator())
    before = copy.deepcopy(model)
    apply_(model, generator=generator())
    assert same(model, before)
    apply_(model, generator=generator(1))
    assert not same(model, before)
    assert list(projected_parameters(model)) == ["2.weight", "4.weight"]


def test_a_missing_bias_is_registered():
    model = mlp(bias=False).double()
    apply_(model, register_missing_bias=True, bias_noise=0.2, generator=generator())
    for index in (2, 4):
        bias = model[index].bias
        assert isinstance(bias, nn.Parameter)
        assert bias.requires_grad
        assert bias.dtype is torch.float64
        assert bias.shape == (model[index].out_features,)
        due = plan(model, bias_noise=0.2).layers[index // 2].recipe.statistics.bias_mean
        assert bias.mean().item() == pytest.approx(due, abs=5.0 * (0.1 / len(bias)) ** 0.5)
    assert set(model.state_dict()) == {f"{i}.{name}" for i in (0, 2, 4) for name in ("weight", "bias")}
    assert "a bias is added" in str(plan(mlp(bias=False), register_missing_bias=True))


def test_a_bias_is_registered_for_a_convolution():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False))
    apply_(model, register_missing_bias=True)
    assert model[2].bias.shape == (6,)
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 6, 8, 8)


def test_no_bias_is_registered_where_none_is_needed():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))
    apply_(model, register_missing_bias=True)
    assert model[0].bias is None


def test_a_free_skip_carries_the_shift():
    model = ICNN(5, (30,), 3000, skip=True, bias=False)
    apply_(model, bias_noise=0.5, skip_share=0.5, generator=generator())
    layers = {layer.path: layer for layer in plan(model, bias_noise=0.5, skip_share=0.5).layers}
    assert layers["layers.1"].shift_into == "skips.0"
    assert_follows(model.skips[0].bias.detach().double().numpy(), layers["layers.1"].recipe.bias, epsilon=2.0**-23)
    assert layers["skips.0"].recipe.statistics.weight_variance == pytest.approx(0.5 * 0.5 * 0.5 / 5)
    assert_follows(model.skips[0].weight.detach().double().numpy(), layers["skips.0"].recipe.weight, epsilon=2.0**-23)


def test_skips_are_added_and_not_subtracted():
    model = ICNN(5, (6, 7), 3, skip=True, bias=False)
    x = torch.randn(4, 5, generator=generator())
    s = model.layers[0](x)
    for layer, skip in zip(model.layers[1:], model.skips, strict=True):
        s = layer(torch.relu(s)) + skip(x)
    assert torch.equal(model(x), s)


def test_beside_a_bias_of_its_own_the_skip_has_none():
    model = ICNN(5, (30,), 3, skip=True)
    assert model.skips[0].bias is None
    assert {layer.path: layer.shift_into for layer in plan(model).layers}["layers.1"] == "layers.1"


def test_tied_weights_of_one_law_are_drawn_once():
    model = nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 40))
    model[4].weight = model[2].weight
    made = plan(model)
    assert [layer.path for layer in made.layers] == ["0", "2"]
    first = made.layers[1]
    assert first.note.endswith("tied to '4'")
    apply_(model, generator=generator())
    assert model[4].weight is model[2].weight
    assert_follows(model[2].weight.detach().double().numpy(), first.recipe.weight, epsilon=2.0**-23)
    for index in (2, 4):
        due = made.biases[f"{index}.bias"].mean
        assert due < -0.1
        assert model[index].bias.tolist() == pytest.approx([due] * 40)
    assert list(projected_parameters(model)) == ["2.weight"]


def test_a_tied_weight_is_meant_by_the_name_of_each_of_its_layers():
    model = nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 40, False), nn.ReLU(), nn.Linear(40, 40, False))
    model[4].weight = model[2].weight
    for name in ("2", "4", "4.weight"):
        assert [layer.path for layer in plan(model, exclude=name).layers] == ["0"]
        assert [layer.role for layer in plan(model, free=name).layers] == ["free", "free"]


def test_a_module_used_twice_is_drawn_once():
    shared = nn.Linear(40, 40)
    model = apply_(nn.Sequential(nn.Linear(5, 40), nn.ReLU(), shared, nn.ReLU(), shared), generator=generator())
    layers = plan(model).layers
    assert [(layer.path, layer.written) for layer in layers] == [("0", True), ("2", True)]
    assert "tied to '4'" in layers[1].note
    assert shared.weight.min() > 0.0


def test_how_often_a_weight_is_used_is_told():
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inward, self.onward = nn.Linear(5, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.inward(x)
            for _ in range(3):
                z = self.onward(torch.relu(z))
            return z

    inward, onward = plan(Steps()).layers
    assert "times" not in inward.note
    assert "used 3 times" in onward.note


def test_meta_tensors_are_reported_and_drawn_later():
    model = mlp(device="meta")
    with pytest.warns(UserWarning, match=r"meta.*0, 2, 4.*to_empty") as caught:
        apply_(model, generator=generator())
    assert caught[0].filename == __file__
    assert all(parameter.is_meta for parameter in model.parameters())
    model.to_empty(device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply_(model, generator=generator())
    assert same(model, apply_(mlp(), generator=generator()))


@pytest.mark.parametrize("positivity", ["projection", "exp"])
def test_a_network_of_ours_on_meta(positivity):
    model = ICNN(5, (40,), 3, device="meta", positivity=positivity).to_empty(device="cpu")
    with torch.no_grad():  # what such memory may hold
        for parameter, garbage in zip(model.parameters(), (math.nan, math.inf, 3e30, 200.0), strict=True):
            parameter.fill_(garbage)
    apply_(model, generator=generator())
    other = ICNN(5, (40,), 3, positivity=positivity)
    other.reset_parameters(generator())
    assert same(model, other)


def test_a_compiled_model_is_initialised_through_its_original():
    model = mlp()
    compiled = torch.compile(model, backend="eager")
    x = torch.randn(6, 5, generator=generator())
    compiled(x)
    assert apply_(compiled, generator=generator()) is compiled
    reference = apply_(mlp(), generator=generator())
    assert same(model, reference)
    torch.testing.assert_close(compiled(x), reference(x))
    assert list(model.state_dict()) == list(reference.state_dict())
    optimizer = torch.optim.SGD(compiled.parameters(), 1.0)
    project_after_step(optimizer, compiled)
    compiled(x).square().sum().backward()
    optimizer.step()
    assert model[2].weight.min() == 0.0
    torch.testing.assert_close(compiled(x), model(x))


def test_lazy_layers_get_their_shapes_from_example_inputs():
    model = nn.Sequential(nn.LazyConv1d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(7))
    apply_(model, torch.zeros(2, 1, 10), generator=generator())
    assert model[3].in_features == 32
    assert model[3].weight.min() > 0.0
    assert list(projected_parameters(model)) == ["3.weight"]


def test_example_inputs_may_be_a_tuple():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.LazyLinear(4), nn.LazyLinear(4), nn.LazyLinear(2)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.c(torch.relu(self.a(x) + self.b(y)))

    model = Two()
    apply_(model, (torch.zeros(2, 3), torch.zeros(2, 5)), positive="c", fed_by="relu")
    assert (model.a.in_features, model.b.in_features, model.c.in_features) == (3, 5, 4)
    assert model.c.weight.min() > 0.0


@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_weights_that_are_not_contiguous(distribution):
    """Values by position do not depend on the memory's order, and strides stay."""
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3))
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    transposed = copy.deepcopy(plain)
    transposed[2].weight = nn.Parameter(torch.empty(3, 3, 8, 6).permute(3, 2, 0, 1))
    strides = last[2].weight.stride(), transposed[2].weight.stride()
    for model in (plain, last, transposed):
        apply_(model, distribution=distribution, generator=generator())
    assert same(plain, last)
    assert same(plain, transposed)
    assert (last[2].weight.stride(), transposed[2].weight.stride()) == strides


def test_gradients_and_requires_grad_are_left_alone():
    model = mlp()
    model(torch.randn(4, 5)).sum().backward()
    grad = model[2].weight.grad.clone()
    apply_(model)
    assert torch.equal(model[2].weight.grad, grad)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


def test_an_optimizer_made_before_still_holds_the_parameters():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    ids = [id(parameter) for parameter in optimizer.param_groups[0]["params"]]
    assert [id(parameter) for parameter in apply_(model).parameters()] == ids


def test_inside_no_grad_and_inference_mode():
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            model = apply_(mlp(), generator=generator())
        assert model[2].weight.min() >= 0.0 < model[2].weight.max()


def test_a_model_made_in_inference_mode_is_refused_outside_of_it():
    with torch.inference_mode():
        model = mlp()
    with pytest.raises(ValueError, match="'2': its weight was made in inference mode"):
        apply_(model)


def test_apply_works_through_torchs_own_apply():
    """A single layer is a model, so ``torch.nn.Module.apply`` can call it; such a layer sees the input."""
    model = mlp()
    model.apply(lambda module: apply_(module, generator=generator()) if isinstance(module, nn.Linear) else None)
    assert (model[2].weight < 0.0).any()
