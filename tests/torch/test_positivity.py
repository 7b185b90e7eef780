"""Which map stands behind a weight: ours, a user's that does the same, or one that is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convex_init.torch import Positive, mark_projected
from convex_init.torch.write.positivity import projected_names, raw_parameter, read_positivity
from convex_init_core import as_positivity
from convex_init_core.weights.positivity import Softplus


class Foreign(nn.Module):
    """A parametrization as users write it."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, raw: Tensor) -> Tensor:
        return self.function(raw)


def behind(*functions, shape=(3, 4)) -> nn.Module:
    layer = nn.Linear(shape[1], shape[0])
    for function in functions:
        part = function if isinstance(function, nn.Module) else Foreign(function)
        parametrize.register_parametrization(layer, "weight", part, unsafe=True)
    return layer


KNOWN = {
    "exp": ((torch.exp,), as_positivity("exp")),
    "relu": ((torch.relu,), as_positivity("relu")),
    "softplus": ((nn.functional.softplus,), as_positivity("softplus")),
    "softplus with beta": ((lambda raw: nn.functional.softplus(raw, 4.0),), Softplus(beta=4.0)),
    "square": ((torch.square,), as_positivity("square")),
    "abs": ((torch.abs,), as_positivity("abs")),
    "scaled": ((lambda raw: 0.25 * torch.exp(raw),), as_positivity("exp").scaled(0.25)),
    "a module": ((nn.Softplus(),), as_positivity("softplus")),
    "two in a row": ((torch.square, lambda square: 3.0 * square), as_positivity("square").scaled(3.0)),
    "ours, then a factor": ((Positive("softplus"), lambda weight: 0.1 * weight), as_positivity("softplus").scaled(0.1)),
    "ours with beta": ((Positive(Softplus(beta=2.0)), torch.abs), Softplus(beta=2.0)),
    "ours alone": ((Positive(Softplus(0.5, beta=3.0)),), Softplus(0.5, beta=3.0)),
}


@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (1, 2), (40, 30)])
@pytest.mark.parametrize("name", KNOWN)
def test_a_map_is_known_by_what_it_does(name, shape):
    functions, expected = KNOWN[name]
    found = read_positivity(behind(*functions, shape=shape))
    assert type(found) is type(expected)
    x = torch.linspace(-3.0, 3.0, 50, dtype=torch.float64)
    torch.testing.assert_close(found.value(x, torch), expected.value(x, torch), rtol=1e-5, atol=1e-9)


UNKNOWN = {
    "signed": lambda raw: raw,
    "negative": lambda raw: -torch.exp(raw),
    "bounded": torch.sigmoid,
    "shifted": lambda raw: torch.exp(raw) + 0.1,
    "not finite": torch.log,
    "all 0": torch.zeros_like,
    "rows that sum to 1": lambda raw: torch.softmax(raw, -1),
    "another shape": lambda raw: torch.exp(raw)[:1],
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_another_map_is_refused_with_a_remedy(name):
    with pytest.raises(ValueError, match=r"parametrization Foreign is none of the known.*convex_init\.torch\.Positive"):
        read_positivity(behind(UNKNOWN[name]))


def test_a_map_that_raises_is_refused_with_its_own_words():
    def picky(raw):
        if raw.dtype == torch.float64:
            raise RuntimeError("only float32 here")
        return torch.exp(raw)

    with pytest.raises(ValueError, match=r"Foreign could not be evaluated \(only float32 here\).*Positive"):
        read_positivity(behind(picky))


def test_a_plain_weight_has_a_map_only_if_it_is_marked():
    layer = nn.Linear(2, 3)
    assert read_positivity(layer) is None
    assert raw_parameter(layer) is layer.weight
    mark_projected(layer, "bias")
    assert read_positivity(layer) is None
    mark_projected(layer)
    mark_projected(layer)
    assert list(projected_names(layer)) == ["bias", "weight"]
    assert str(read_positivity(layer)) == str(read_positivity(layer, "bias")) == "projection"


def test_what_cannot_be_marked_is_named():
    layer = behind(torch.exp)
    with pytest.raises(ValueError, match=r"weight is parametrized, so there is nothing to project"):
        mark_projected(layer)
    with pytest.raises(ValueError, match=r"no parameter 'gain'; it has \['weight', 'bias'\]"):
        mark_projected(nn.Linear(2, 2), "gain")
    with pytest.raises(ValueError, match=r"no parameter 'bias'"):
        mark_projected(nn.Linear(2, 2, bias=False), "bias")
    assert not projected_names(layer)


@pytest.mark.parametrize("name", ["exp", "softplus", "square", "abs", "relu"])
def test_registering_takes_absolute_values(name):
    layer = nn.Linear(5, 4)
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Positive(name))
    torch.testing.assert_close(layer.weight, before.abs())
    assert raw_parameter(layer) is layer.parametrizations.weight.original


@pytest.mark.parametrize("name", ["exp", "softplus"])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_a_weight_of_0_is_taken_to_where_it_trains(name, scale):
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(3, 4))
    parametrize.register_parametrization(layer, "weight", Positive(as_positivity(name).scaled(scale)))
    assert torch.allclose(layer.weight.diagonal(), torch.ones(3))
    off = layer.weight[~torch.eye(3, 4, dtype=torch.bool)]
    assert ((off > 0.0) & (off < 0.01)).all()
    layer(torch.randn(5, 4)).sum().backward()
    gradient = layer.parametrizations.weight.original.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient.any()


def test_weights_that_are_all_0_are_taken_there_too():
    layer = nn.Linear(4, 3)
    nn.init.zeros_(layer.weight)
    parametrize.register_parametrization(layer, "weight", Positive("softplus"))
    assert ((layer.weight > 0.0) & (layer.weight < 0.01)).all()
