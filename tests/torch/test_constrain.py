"""Models that have their weights already are kept convex: marked or put behind a map, and nothing is drawn."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convex_init.torch import (
    ICNN,
    apply_,
    certify,
    constrain_,
    plan,
    project_,
    project_after_step,
    projected_parameters,
)
from tests.torch.kept_models import MODELS, X, step
from tests.torch.networks import generator


def dense():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Softplus(), nn.Linear(8, 1))


def convolutional():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.PReLU(4), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))


IMAGES = torch.randn(8, 1, 6, 6, generator=generator(3))
FRESH = {
    "dense": (dense, X),
    "convolutional": (convolutional, IMAGES),
    "ours": (lambda: ICNN(4, [8, 8], 1, skip=True), X),
    **{name: (MODELS[name][0], X) for name in ("a gate", "lerp", "scales", "a factor that is subtracted")},
}


@pytest.mark.parametrize("case", FRESH)
def test_resuming_leaves_loaded_weights_and_keeps_them_convex(case):
    make, x = FRESH[case]
    trained = apply_(make(), x, generator=generator(0))
    optimizer = torch.optim.SGD(trained.parameters(), 0.01)
    project_after_step(optimizer, trained)
    step(trained, optimizer, -1.0)
    saved = copy.deepcopy(trained.state_dict())

    model = make()
    model.load_state_dict(saved)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert constrain_(model, x) is model
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    project_after_step(optimizer, model)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())
    assert certify(model.eval(), x, search=False)
    assert projected_parameters(model).keys() == projected_parameters(trained).keys()
    for direction in (1.0, -10.0):
        step(model, optimizer, direction)
        assert certify(model.eval(), x, search=False)


def test_a_model_without_marks_is_sent_here():
    model = dense()
    with pytest.raises(ValueError, match=r"call constrain_\(model\), which keeps the weights that it has"):
        project_after_step(torch.optim.SGD(model.parameters(), 0.1), model)


def test_what_lies_outside_is_told_and_clamped_by_the_projection_alone():
    model = dense()
    before = copy.deepcopy(model.state_dict())
    with pytest.warns(UserWarning, match=r"will change what lies outside .*2\.weight \(between -0\..*kept in \[0, ∞\)"):
        constrain_(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert certify(project_(model), X)


@pytest.mark.parametrize("positivity", ["relu", "softplus", "exp", "square", "abs"])
@pytest.mark.parametrize("case", ["dense", "convolutional", "a gate", "scales"])
def test_a_map_holds_the_present_weights(case, positivity):
    make, x = FRESH[case]
    model = apply_(make(), x, generator=generator(0))
    effective = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    kept = {each.name for each in plan(model, x).kept}
    constrain_(model, x, positivity=positivity)
    assert not projected_parameters(model)
    for name, before in effective.items():
        owner, _, own = name.rpartition(".")
        now = getattr(model.get_submodule(owner), own)
        assert torch.allclose(now, before, rtol=1e-5, atol=0.0)
        assert nn.utils.parametrize.is_parametrized(model.get_submodule(owner), own) == (name in kept)
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    for direction in (1.0, -10.0):
        step(model, optimizer, direction)
        assert certify(model.eval(), x, search=False)
    constrain_(model, x)  # nothing is left to be kept
    assert not projected_parameters(model)


def zeros():
    model = apply_(dense(), generator=generator(0))
    model[2].weight.data[0, 0] = 0.0
    return model


def tied():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    model[4].weight = model[2].weight
    return apply_(model, generator=generator(0))


def steep():
    model = nn.Sequential(nn.Linear(4, 8), nn.PReLU(init=1.5), nn.Linear(8, 1))
    model[2].weight.data.abs_()
    return model


DOES_NOT_FIT = {
    "zeros": (zeros, "exp", r"'2.weight': its numbers go from 0 to .*, which exp cannot give; take positivity='relu'"),
    "negative": (dense, "softplus", r"'2.weight': its numbers go from -0.*clamp it first: constrain_\(model\), then"),
    "tied": (tied, "relu", r"'2.weight': it is tied to another parameter.*leave positivity out"),
    "beyond its end": (steep, "relu", r"'1.weight': it must stay in \[0, 1\], but its numbers go from 1.5 to 1.5"),
    "half precision": (lambda: apply_(dense()).to(torch.bfloat16), "exp", "cannot give its numbers in torch.bfloat16"),
}


@pytest.mark.parametrize("case", ["zeros", "negative", "tied", "beyond its end"])
def test_what_a_map_cannot_give_is_refused_with_a_remedy_that_works(case):
    make, positivity, message = DOES_NOT_FIT[case]
    model = make()
    before, kinds = copy.deepcopy(model.state_dict()), [type(module) for module in model.modules()]
    with pytest.raises(ValueError, match=message):
        constrain_(model, X, positivity=positivity)
    assert [type(module) for module in model.modules()] == kinds
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    if case == "zeros":
        constrain_(model, X, positivity="relu")
    elif case == "tied":
        constrain_(model, X)
    else:
        with pytest.warns(UserWarning, match="will change what lies outside"):
            constrain_(model, X)
        project_(model)
        constrain_(model, X, positivity="relu")
    assert certify(model, X)


def test_a_failure_half_way_leaves_no_parametrization(monkeypatch):
    model = apply_(dense(), generator=generator(0))
    before, register = copy.deepcopy(model.state_dict()), nn.utils.parametrize.register_parametrization
    calls = []

    def second_fails(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return register(*args, **kwargs)

    monkeypatch.setattr("torch.nn.utils.parametrize.register_parametrization", second_fails)
    with pytest.raises(KeyboardInterrupt):
        constrain_(model, positivity="softplus")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert set(projected_parameters(model)) == {"2.weight", "4.weight"}


class NotConvex(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.b(F.relu(self.a(x)).tanh())


def test_a_model_that_cannot_be_convex_is_refused():
    model = NotConvex()
    with pytest.raises(ValueError, match=r"nothing was changed: .*tanh is neither convex nor concave"):
        constrain_(model, X)
    assert not projected_names(model)


def projected_names(model):
    return [name for name, module in model.named_modules() if "_convex_init_projected" in vars(module)]


def test_arguments_that_draw_are_refused():
    with pytest.raises(TypeError, match=r"constrain_ takes convex_inputs, entry.*and no variance: it draws nothing"):
        constrain_(dense(), X, variance=2.0)
    with pytest.raises(ValueError, match="positivity"):
        constrain_(dense(), X, positivity="sigmoid")


def test_the_interval_of_a_slope_is_kept_without_a_projection():
    model = apply_(convolutional(), IMAGES)
    constrain_(model, IMAGES, positivity="softplus")
    step(model, torch.optim.SGD(model.parameters(), 1.0), 1.0)
    assert model[1].weight.max() <= 1.0 < model[1].parametrizations.weight.original.max()
    assert math.isfinite(float(model(IMAGES).sum().detach()))
