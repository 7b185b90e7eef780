"""What cannot be decided is refused: the message names the layer and the remedy, and nothing has been written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch import ConvexLinear, Positive, apply_, plan
from tests.torch.networks import assert_untouched, parameters_of


def behind(*parts: nn.Module) -> Callable[[], nn.Module]:
    """A chain in which ``parts`` stand between a ReLU layer and the last layer."""
    return lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), *parts, nn.Linear(4, 1))


def frozen(name: str) -> nn.Module:
    model = behind(nn.ReLU())()
    model[4].get_parameter(name).requires_grad_(False)
    return model


def tied_with_different_laws() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ELU(), nn.Linear(4, 4))
    model[4].weight = model[2].weight
    return model


def tied_free_and_positive() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


def integer() -> nn.Module:
    model = behind(nn.ReLU())()
    model[2].weight = nn.Parameter(torch.zeros(4, 4, dtype=torch.int8), requires_grad=False)
    return model


def weight_norm_hook() -> nn.Module:
    model = behind(nn.ReLU())()
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(model[2])
    return model


def parametrized(parametrization: nn.Module, at: int) -> nn.Module:
    model = behind(nn.ReLU())()
    parametrize.register_parametrization(model[at], "weight", parametrization)
    return model


class Negative(nn.Module):
    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return -raw.exp()


class Breaks(nn.Module):
    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return raw.abs() if raw.dtype is torch.float32 else raw.no_such_method()


class Unreadable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class OwnWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.kernel


class Residual(nn.Sequential):
    """A Sequential whose forward is not a chain."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -super().forward(x)


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.across = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(x))) + self.across(x)


class OneForTwoRoles(nn.Module):
    """One matrix over what is concatenated: the features, and the input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(7, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.cat((torch.relu(self.a(x)), x), -1))


class WithParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.layer = nn.Parameter(torch.randn(4, 1)), nn.Linear(4, 4)


class TwoInputs(Skip):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return super().forward(x + y)


def expanded() -> nn.Module:
    model = behind(nn.ReLU())()
    model[2].weight = nn.Parameter(torch.ones(4, 1).expand(4, 4))
    return model


def of_inference_mode() -> nn.Module:
    with torch.inference_mode():
        return behind(nn.ReLU())()


# Each: a model, arguments, and what the message must say (the layer's path and the remedy).
NORM = ["in '3'", "remove what else stands in the way"]
ACTIVATION = ["in '3'", "use relu, leaky_relu, elu, celu or softplus"]
REFUSED: dict[str, tuple[Callable[[], nn.Module], dict[str, object], list[str]]] = {
    "LayerNorm": (behind(nn.LayerNorm(4)), {}, ["native_layer_norm", *NORM]),
    "GroupNorm": (behind(nn.GroupNorm(2, 4)), {}, ["native_group_norm", *NORM]),
    "RMSNorm": (behind(nn.RMSNorm(4)), {}, NORM),
    "tanh": (behind(nn.Tanh()), {}, ["tanh", "concave", *ACTIVATION]),
    "sigmoid": (behind(nn.Sigmoid()), {}, ["sigmoid", *ACTIVATION]),
    "GELU": (behind(nn.GELU()), {}, ["gelu", *ACTIVATION]),
    "SiLU": (behind(nn.SiLU()), {}, ["silu", *ACTIVATION]),
    "SELU": (behind(nn.SELU()), {}, ["its slope drops at 0 from 1.76 to 1.05", *ACTIVATION]),
    "ReLU6": (behind(nn.ReLU6()), {}, ["hardtanh", *ACTIVATION]),
    "RReLU": (behind(nn.RReLU()), {}, ACTIVATION),
    "concave ELU": (behind(nn.ELU(2.0)), {}, ["its slope drops at 0 from 2 to 1", *ACTIVATION]),
    "decreasing leaky ReLU": (behind(nn.LeakyReLU(-0.1)), {}, ["leaky_relu", "not non-decreasing", *ACTIVATION]),
    "softmax": (behind(nn.Softmax(1)), {}, ["_softmax", *NORM]),
    "Bilinear": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Bilinear(4, 4, 1)), {}, ["example_inputs", "input2"]),
    "Sequential of another forward": (
        lambda: Residual(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)),
        {},
        ["'2'", "neg in the model's forward (", "subtracts it", "has to be added"],
    ),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        {},
        ["'self_attn'", "attention", "free="],
    ),
    "recurrent": (lambda: nn.LSTM(4, 4), {}, ["LSTM", "example_inputs"]),
    "empty": (lambda: nn.Sequential(), {}, ["Sequential has no weight"]),
    "no weights": (lambda: nn.Sequential(nn.ReLU(), nn.Flatten()), {}, ["Sequential has no weight"]),
    "no forward": (WithParameter, {"positive": "kernel"}, ["WithParameter", "example_inputs"]),
    "several inputs": (TwoInputs, {}, ["TwoInputs", "x, y", "example_inputs"]),
    "one matrix in two roles": (OneForTwoRoles, {}, ["'b'", "0 to 3 are positive", "4 to 6 free", "two layers"]),
    "frozen weight": (lambda: frozen("weight"), {}, ["'4'", "weight is frozen", "unfreeze", "exclude="]),
    "tied behind two activations": (tied_with_different_laws, {}, ["'2'", "by relu and by elu", "untie"]),
    "tied free and positive": (tied_free_and_positive, {}, ["'0'", "as free and as positive", "untie"]),
    "lazy": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.LazyLinear(1)),
        {},
        ["'2.weight'", "lazy", "example_inputs"],
    ),
    "integer weight": (integer, {}, ["'2'", "int8", "before quantising"]),
    "weight_norm hook": (weight_norm_hook, {}, ["'2.weight_v'", "weight norm", "initialise it before", "exclude="]),
    "map to negative numbers": (
        lambda: parametrized(Negative(), 2),
        {},
        ["'2'", "does not keep it non-negative"],
    ),
    "orthogonal": (
        lambda: nn.utils.parametrizations.orthogonal(behind()()[2]),
        {},
        ["the model itself", "no weight to initialise"],
    ),
    "expanded weight": (expanded, {}, ["'2'", "share memory", "clone()"]),
    "weight of inference mode": (of_inference_mode, {}, ["inference mode"]),
    "stride beyond the kernel": (
        lambda: nn.Sequential(nn.ReLU(), nn.ConvTranspose1d(4, 2, 2, stride=3)),
        {},
        ["'1'", "stride 3", "kernel_size >= stride"],
    ),
    "unknown setting": (behind(nn.ReLU()), {"corelation": 0.5}, ["corelation", "did you mean correlation="]),
    "an old word": (behind(nn.ReLU()), {"activation": "relu"}, ["activation=", "fed_by="]),
    "out-of-range setting": (behind(nn.ReLU()), {"bias_noise": 1.5}, ["bias_noise", "[0, 1)"]),
    "unknown map": (behind(nn.ReLU()), {"positivity": "cube"}, ["positivity 'cube'", "softplus"]),
    "pattern that matches nothing": (
        behind(nn.ReLU()),
        {"positive": ["7"]},
        ["positive=", "'7'", "there are: 0, 2, 4"],
    ),
    "no pattern": (behind(nn.ReLU()), {"positive": []}, ["positive= is empty"]),
    "exclude that matches nothing": (behind(nn.ReLU()), {"exclude": "7"}, ["exclude=", "'7'", "there are: 0, 2, 4"]),
    "predicate that accepts nothing": (
        behind(nn.ReLU()),
        {"positive": lambda path, m: False},
        ["positive=", "0, 2, 4"],
    ),
    "activation for no layer": (
        behind(nn.ReLU()),
        {"fed_by": {"layers.*": "elu"}},
        ["fed_by=", "'layers.*'", "there are: 0, 2, 4"],
    ),
    "skips of no size": (Skip, {"skip_share": 0.0}, ["'across'", "skip_share"]),
    "no such entry": (Skip, {"entry": "nope"}, ["'nope'", "Skip"]),
    "zeros under a map": (
        lambda: parametrized(Positive("exp"), 2),
        {"distribution": "two_point"},
        ["'2'", "'two_point'", "use positivity"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, arguments, words = REFUSED[case]
    model = make()
    lazy = any(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters())
    before = {} if lazy else parameters_of(model)
    for call in (plan, apply_):
        with pytest.raises((ValueError, TypeError)) as refusal:
            call(model, **arguments)
        for word in words:
            assert word in str(refusal.value)
    if lazy:
        assert not projected_types(model)
    else:
        assert_untouched(model, before)


def projected_types(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if "_convex_init_projected" in vars(module)]


@pytest.mark.parametrize("wrong", [3, [3]])
@pytest.mark.parametrize("argument", ["positive", "exclude"])
def test_a_selection_of_another_type(argument, wrong):
    with pytest.raises(TypeError, match=argument):
        plan(behind(nn.ReLU())(), **{argument: wrong})


@pytest.mark.parametrize("wrong", [5, "cpu"])
def test_a_generator_of_another_type(wrong):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1, bias=False))
    before = parameters_of(model)
    with pytest.raises(TypeError, match="generator"):
        apply_(model, generator=wrong, register_missing_bias=True)
    assert_untouched(model, before)


@pytest.mark.parametrize("wrong", [torch.zeros(3, 3), "model", [nn.Linear(2, 2)]])
def test_a_model_of_another_type(wrong):
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module.*icnn_"):
        apply_(wrong)


def test_all_problems_are_listed_at_once():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    for layer in (model[0], model[2]):
        layer.weight.requires_grad_(False)
    model[2].bias.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing was written") as refusal:
        apply_(model)
    for text in ("'0': its weight is frozen", "'2': its weight is frozen", "'2': its bias is frozen"):
        assert text in str(refusal.value)


def test_our_layer_on_the_input_itself_is_positive():
    """Its map says what its user wants: a function that rises with the input, too."""
    model = nn.Sequential(ConvexLinear(4, 4), nn.ReLU(), ConvexLinear(4, 1))
    assert [layer.role for layer in plan(model).layers] == ["positive", "positive"]
    assert "rise" in plan(model).layers[0].reason
    apply_(model)
    assert model[0].weight.min() >= 0.0


def test_remedies_that_name_exclude_work():
    """What a message offers must be possible."""
    for case in ("frozen weight", "weight_norm hook", "map to negative numbers"):
        model = REFUSED[case][0]()
        path = next(word for word in REFUSED[case][2] if word.startswith("'")).strip("'")
        assert path not in [layer.path for layer in plan(model, exclude=path).layers]
    behind_tanh = behind(nn.Tanh())()
    assert [layer.path for layer in plan(behind_tanh, exclude="4").layers] == ["0", "2"]


def test_an_excluded_layer_of_a_marked_model():
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = ConvexLinear(3, 4), nn.utils.parametrizations.spectral_norm(nn.Linear(4, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.relu(self.a(x)))

    with pytest.raises(ValueError, match=r"'b'.*exclude="):
        plan(Network())
    assert [layer.path for layer in plan(Network(), exclude="b").layers] == ["a"]
