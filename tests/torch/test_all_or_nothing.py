"""Whatever ends ``apply_`` half-way, the model is what it was: numbers, biases, marks and attributes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import apply_, certify, constrain_, plan, project_, projected_parameters

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def mlp(bias=True):
    return nn.Sequential(nn.Linear(4, 8), nn.PReLU(), nn.Linear(8, 8, bias=bias), nn.ReLU(), nn.Linear(8, 1, bias=bias))


def expanded():
    model = mlp()
    model[4].weight = nn.Parameter(torch.randn(1, 1).expand(1, 8))
    return model


def expanded_slope():
    model = nn.Sequential(nn.Linear(4, 8), nn.PReLU(8), nn.Linear(8, 1))
    model[1].weight = nn.Parameter(torch.full((1,), 0.3).expand(8))
    return model


def overlapping():
    model = mlp()
    model[2].weight = nn.Parameter(torch.rand(15).as_strided((8, 8), (1, 1)))
    return model


def sharing(view):
    """Two parameters that are not the same one, on one memory."""

    def made():
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
        view(model)
        return model

    return made


def same(model):
    model[2].weight = nn.Parameter(model[0].weight.data)


def transposed(model):
    model[2].weight = nn.Parameter(model[0].weight.data.T)


def row_as_bias(model):
    model[2].bias = nn.Parameter(model[2].weight.data[0])


def parts_that_meet(model):
    memory = torch.rand(24)
    model[0].weight, model[2].weight = (nn.Parameter(memory[i : i + 16].view(4, 4)) for i in (0, 8))


def strided(model):
    memory = torch.rand(4, 8)
    model[0].weight, model[2].weight = nn.Parameter(memory[:, ::2]), nn.Parameter(memory[:, :4])


def made_in_inference_mode(name):
    def made():
        model = mlp()
        with torch.inference_mode():
            setattr(model[4], name, nn.Parameter(torch.randn(getattr(model[4], name).shape)))
        return model

    return made


class NoBias(nn.Linear):
    def __setattr__(self, name, value):
        if name == "bias" and value is not None and hasattr(self, "ready"):
            raise RuntimeError("no bias here")
        super().__setattr__(name, value)


def second_bias():
    model = mlp(bias=False)
    model[4] = NoBias(8, 1, bias=False)
    model[4].ready = True
    return model


def interrupted(monkeypatch, place, after=1):
    """Let a function end with the user's Ctrl-C when it has been called some times."""
    module, _, name = place.rpartition(".")
    before = getattr(__import__(module, fromlist=[name]), name)
    calls = []

    def function(*args, **kwargs):
        result = before(*args, **kwargs)
        calls.append(name)
        if len(calls) == after:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(place, function)


BUILD, WRITER = "convex_init_core.planning.build", "convex_init.torch.write.writer"
CASES = {
    "an expanded weight": (expanded, {}, "", "share memory"),
    "a weight that overlaps itself": (overlapping, {}, "", "share memory"),
    "one memory": (sharing(same), {}, "", r"'2': its weight shares memory with '0\.weight'.*clone\(\)"),
    "one memory, transposed": (sharing(transposed), {}, "", r"shares memory with '0\.weight'"),
    "a bias that is a row": (sharing(row_as_bias), {}, "", r"its bias shares memory with '2\.weight'"),
    "parts of one memory that meet": (sharing(parts_that_meet), {}, "", "shares memory with"),
    "columns that meet": (sharing(strided), {}, "", "shares memory with"),
    "an expanded slope": (expanded_slope, {}, "", "share memory"),
    "a weight made in inference mode": (made_in_inference_mode("weight"), {}, "", "inference mode"),
    "a bias made in inference mode": (made_in_inference_mode("bias"), {}, "", "inference mode"),
    "the second bias": (second_bias, {"register_missing_bias": True}, "", "no bias here"),
    "no generator": (mlp, {"generator": 5}, "", "generator must be"),
    "Ctrl-C behind the calibration": (lambda: mlp(False), {"register_missing_bias": True}, f"{BUILD}.calibrate", ""),
    "Ctrl-C in drawing": (mlp, {}, f"{WRITER}.fill_", ""),
    "Ctrl-C between marks": (mlp, {}, f"{WRITER}.mark_projected", ""),
    "Ctrl-C behind the marks": (mlp, {}, f"{WRITER}.remember_places", ""),
}


def state(model):
    attributes = [sorted(vars(module)) for module in model.modules()]
    marks = [sorted(vars(parameter)) for parameter in model.parameters()]
    return attributes, marks, [list(module._parameters) for module in model.modules()]


@pytest.mark.parametrize("marked", [False, True], ids=["new", "marked before"])
@pytest.mark.parametrize("case", CASES)
def test_a_model_is_what_it_was(case, marked, monkeypatch):
    make, options, place, message = CASES[case]
    model = make()
    if marked and place:
        apply_(model, X, **options)
    numbers, before = {name: tensor.clone() for name, tensor in model.state_dict().items()}, state(model)
    if place:
        interrupted(monkeypatch, place)
    with pytest.raises((ValueError, TypeError, RuntimeError, KeyboardInterrupt), match=message or None):
        apply_(model, X, **options)
    assert model.state_dict().keys() == numbers.keys()
    assert all(torch.equal(tensor, numbers[name]) for name, tensor in model.state_dict().items())
    assert state(model) == before
    if marked and place:
        assert set(projected_parameters(project_(model))) == {"1.weight", "2.weight", "4.weight"}


def one_after_the_other(model):
    memory = torch.rand(32)
    model[0].weight, model[2].weight = (nn.Parameter(memory[i : i + 16].view(4, 4)) for i in (0, 16))


def in_turn(model):
    memory = torch.rand(4, 8)
    model[0].weight, model[2].weight = nn.Parameter(memory[:, ::2]), nn.Parameter(memory[:, 1::2].T)


@pytest.mark.parametrize("view", [one_after_the_other, in_turn])
def test_parts_of_one_memory_that_do_not_meet_are_written(view):
    assert certify(apply_(sharing(view)(), X), X)


@pytest.mark.parametrize("keep", [list, tuple, lambda pair: dict(zip("ab", pair, strict=True))])
@pytest.mark.parametrize("call", [apply_, plan, constrain_])
def test_parameters_that_torch_does_not_know_of_are_refused(call, keep):
    model = mlp()
    model.bare = keep([nn.Parameter(torch.rand(8, 8)), model[2].weight])
    with pytest.raises(ValueError, match=r"^'bare\.[0a]': a parameter in a plain list.*nn\.ParameterList"):
        call(model, X)
    model.bare = [model[2].weight, nn.Parameter(torch.rand(2), requires_grad=False)]
    call(apply_(model, X), X)
