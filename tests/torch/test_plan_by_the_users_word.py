"""``positive=``, ``exclude=``, ``fed_by=``, ``positivity=``, and parametrizations of the user's own."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convex_init.torch import Positive, apply_, plan, project_after_step, projected_parameters
from convex_init_core import as_positivity
from tests.contract.convexity import convexity_violation
from tests.contract.law_bounds import assert_follows
from tests.torch.networks import as_numpy, generator, train


class Dense(nn.Module):
    """An input-convex network as people write it: plain layers, a forward of its own, and clamping elsewhere."""

    def __init__(self, width: int = 20) -> None:
        super().__init__()
        self.wx = nn.ModuleList([nn.Linear(3, width), nn.Linear(3, width), nn.Linear(3, 1)])
        self.wz = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, 1)])

    def forward(self, x: Tensor) -> Tensor:
        z = F.softplus(self.wx[0](x))
        z = F.softplus(self.wz[0](z) + self.wx[1](x))
        return self.wz[1](z) + self.wx[2](x)


WAYS = {
    "paths": ["wz.0", "wz.1"],
    "a pattern": "wz.*",
    "patterns of parameters": ["wz.*.weight"],
    "a predicate": lambda path, module: path.startswith("wz") and isinstance(module, nn.Linear),
    "an iterator": iter(["wz.0", "wz.1"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_user_names_the_positive_layers(way):
    torch.manual_seed(0)
    model = Dense()
    apply_(model, positive=WAYS[way], fed_by="softplus", kinks="origin", generator=generator())
    assert list(projected_parameters(model)) == ["wz.0.weight", "wz.1.weight"]
    assert all(layer.weight.min() > 0.0 for layer in model.wz)
    assert all((layer.weight < 0.0).any() and not layer.bias.any() for layer in model.wx)


def test_a_model_initialised_by_name_trains_and_stays_convex():
    model = apply_(Dense().double(), positive="wz.*", fed_by=F.softplus, generator=generator())
    train(model, 100, project=True)
    assert convexity_violation(as_numpy(model), 3) <= 1e-12


def test_one_activation_or_one_by_pattern():
    def fed_by(activation: object) -> list[str]:
        layers = plan(Dense(), positive="wz.*", fed_by=activation).layers
        return [str(layer.recipe.activation) for layer in layers if layer.role == "positive"]

    assert fed_by("relu") == ["relu", "relu"]
    assert fed_by(nn.ELU(0.5)) == ["elu(0.5)", "elu(0.5)"]
    assert fed_by(torch.relu) == ["relu", "relu"]
    assert fed_by({"wz.0": nn.Softplus(), "wz.*": "elu"}) == ["softplus(1, 20)", "elu(1)"]


def test_the_users_word_overrides_the_structure():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Softplus(), nn.Linear(4, 1))
    found = plan(model, free=["2"]).layers
    assert [layer.role for layer in found] == ["free", "free", "positive"]
    assert found[1].reason == "named in free="
    assert str(found[2].recipe.activation) == "softplus(1, 20)"  # still read
    assert str(plan(model, fed_by={"4": "elu"}).layers[2].recipe.activation) == "elu(1)"
    assert [layer.role for layer in plan(model, positive="0").layers] == ["positive"] * 3


@pytest.mark.parametrize("inputs", [(), (torch.randn(9, 4, generator=generator()),)], ids=["without inputs", "inputs"])
def test_positive_frees_no_other_layer(inputs):
    """What stands behind a non-linearity is positive anyway; otherwise the model would not be convex."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    apply_(model, *inputs, positive="2", generator=generator())
    assert model[4].weight.min() > 0.0
    assert list(projected_parameters(model)) == ["2.weight", "4.weight"]


@pytest.mark.parametrize("inputs", [(), (torch.randn(9, 4, generator=generator()),)], ids=["without inputs", "inputs"])
def test_predicates_see_path_and_module(inputs):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    seen = set()

    def narrow(path: str, module: nn.Module) -> bool:
        seen.add((path, module))
        return module.out_features == 1

    def roles(**arguments: object) -> dict[str, str]:
        return {layer.path: layer.role for layer in plan(model, *inputs, **arguments).layers}

    assert roles(free=narrow) == {"0": "free", "2": "positive", "4": "free"}
    assert seen == {("0", model[0]), ("2", model[2]), ("4", model[4])}
    assert roles(exclude=partial(lambda width, _, module: module.out_features == width, 1)) == roles(exclude=narrow)
    assert roles(exclude=narrow) == {"0": "free", "2": "positive"}
    assert roles(positive=lambda path, _: path == "0") == {"0": "positive", "2": "positive", "4": "positive"}
    with pytest.raises(ValueError, match=r"exclude= accepts none of 0, 2, 4"):
        plan(model, *inputs, exclude=lambda path, _: False)


def test_excluded_layers_are_left_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    kept = model[4].weight.detach().clone(), model[4].bias.detach().clone()
    apply_(model, exclude=lambda path, module: module.out_features == 1)
    assert torch.equal(model[4].weight, kept[0])
    assert torch.equal(model[4].bias, kept[1])
    assert list(projected_parameters(model)) == ["2.weight"]


@pytest.mark.parametrize("positivity", ["exp", "relu"])
def test_a_map_that_nothing_applies_is_refused(positivity):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 6), nn.ReLU()), nn.Linear(6, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"'2.0': positivity='{positivity}' was given, but its weight is used as"):
        apply_(model, positivity=positivity, method="isometric")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    apply_(model, positivity="projection")


def test_a_map_that_the_models_forward_applies():
    class ExpLinear(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight.exp(), self.bias)

    model = nn.Sequential(nn.Linear(4, 60), nn.ReLU(), ExpLinear(60, 3000))
    apply_(model, positivity="exp", generator=generator())
    assert_follows(model[2].weight.detach().exp().numpy(), plan(model).layers[1].recipe.weight, "exp", 2.0**-23)
    assert not projected_parameters(model)  # nothing to clamp


class Exp(nn.Module):
    def forward(self, raw: Tensor) -> Tensor:
        return raw.exp()


class Softplus3(nn.Softplus):
    def __init__(self) -> None:
        super().__init__(beta=3)


class PerFanIn(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / weight.shape[1]


class Square(nn.Module):
    def forward(self, raw: Tensor) -> Tensor:
        return raw**2


class Absolute(nn.Module):
    def forward(self, raw: Tensor) -> Tensor:
        return raw.abs()


class Clamp(nn.Module):
    def forward(self, raw: Tensor) -> Tensor:
        return raw.clamp(min=0.0)


FOREIGN = {
    "exp": ([Exp], lambda n: as_positivity("exp")),
    "softplus": ([nn.Softplus], lambda n: as_positivity("softplus")),
    "softplus(beta=3)": ([Softplus3], None),
    "relu": ([nn.ReLU], lambda n: as_positivity("relu")),
    "clamp": ([Clamp], lambda n: as_positivity("relu")),
    "square": ([Square], lambda n: as_positivity("square")),
    "abs": ([Absolute], lambda n: as_positivity("abs")),
    "exp over the fan-in": ([Exp, PerFanIn], lambda n: as_positivity("exp").scaled(1.0 / n)),
    "softplus over the fan-in": ([nn.Softplus, PerFanIn], lambda n: as_positivity("softplus").scaled(1.0 / n)),
    "ours over the fan-in": (
        [lambda: Positive("square"), PerFanIn],
        lambda n: as_positivity("square").scaled(1.0 / n),
    ),
}


@pytest.mark.parametrize(("fan_in", "fan_out"), [(50, 3000), (1, 1), (3, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_parametrizations_are_recognised_by_what_they_do(case, fan_in, fan_out):
    chain, expected = FOREIGN[case]
    layer = nn.Linear(fan_in, fan_out)
    for make in chain:
        parametrize.register_parametrization(layer, "weight", make(), unsafe=True)
    model = nn.Sequential(nn.ReLU(), layer)
    recipe = plan(model).layers[0].recipe
    if expected is not None:
        assert recipe.positivity.name == expected(fan_in).name
        assert recipe.positivity.scale == pytest.approx(expected(fan_in).scale)
    else:
        assert str(recipe.positivity) == "softplus(beta=3)"
    apply_(model, generator=generator())
    if layer.weight.numel() > 1000:
        assert_follows(layer.weight.detach().double().numpy(), recipe.weight, recipe.positivity, 2.0**-23)
    assert not projected_parameters(model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_foreign_parametrization_in_another_dtype(dtype):
    layer = nn.Linear(50, 200, dtype=dtype)
    parametrize.register_parametrization(layer, "weight", nn.Softplus())
    assert str(plan(nn.Sequential(nn.ReLU(), layer)).layers[0].recipe.positivity) == "softplus"
    assert layer.parametrizations.weight[0].training  # probing a copy leaves the module alone


def test_a_parametrization_with_state_is_probed_on_a_copy():
    class Counts(Exp):
        calls = 0

        def forward(self, raw: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(raw)

    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "weight", Counts())
    before = layer.parametrizations.weight[0].calls
    plan(nn.Sequential(nn.ReLU(), layer))
    assert layer.parametrizations.weight[0].calls == before


def test_a_parametrized_model_needs_no_projection():
    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "weight", Exp())
    model = apply_(nn.Sequential(nn.ReLU(), layer))
    with pytest.raises(ValueError, match="need no projection"):
        project_after_step(torch.optim.SGD(model.parameters(), 0.1), model)


def test_positive_refuses_the_projection_as_a_parametrization():
    with pytest.raises(ValueError, match="mark_projected"):
        Positive("projection")


@pytest.mark.parametrize("name", ["exp", "softplus", "square", "abs", "relu"])
def test_registering_positive_takes_absolute_values(name):
    layer = nn.Linear(5, 4, dtype=torch.float64)
    signed = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Positive(name))
    assert layer.weight.detach().numpy() == pytest.approx(signed.abs().numpy(), rel=1e-12)
    with torch.no_grad():
        layer.weight = 2.0 * signed
    assert layer.weight.detach().numpy() == pytest.approx(2.0 * signed.abs().numpy(), rel=1e-12)
    assert name in repr(layer)
