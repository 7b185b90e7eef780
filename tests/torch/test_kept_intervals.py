"""Everything that convexity depends on stays where it must: gates, scales, slopes and factors as well as weights."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convex_init.torch import apply_, certify, mark_projected, plan, project_, project_after_step
from tests.torch.kept_models import MODELS, Network, X, kept, step, value
from tests.torch.zoo.refused import Residual


@pytest.mark.parametrize("case", MODELS)
def test_a_model_stays_convex_whatever_its_steps_are(case):
    make, expected = MODELS[case]
    torch.manual_seed(0)
    model = make()
    made = plan(model, X)
    assert (kept(made), made.rests_on) == (expected, "")
    apply_(model, X, generator=torch.Generator().manual_seed(0))
    alone = copy.deepcopy(model)
    step(alone, torch.optim.SGD(alone.parameters(), 1.0), -1.0)
    assert not certify(alone.eval(), X, search=False)
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    project_after_step(optimizer, model)
    for direction in (1.0, -10.0):
        step(model, optimizer, direction)
        certificate = certify(model.eval(), X, search=False)
        assert certificate, str(certificate)
        for name, ends in expected.items():
            end = ends[direction > 0]
            assert math.isinf(end) or bool((model.get_parameter(name) == end).all())


def test_what_is_outside_is_clamped_by_apply_and_comes_back_if_it_fails(monkeypatch):
    model = Network(MODELS["a gate"][0]().make)
    with torch.no_grad():
        model.g[0] = -1.0
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def fail(*_):
        raise RuntimeError("no more memory")

    with monkeypatch.context() as patched:
        patched.setattr("convex_init_core.planning.build.calibrate", fail)
        with pytest.raises(RuntimeError, match="no more memory"):
            apply_(model, X)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    apply_(model, X)
    assert model.g.tolist() == [0.0] + [0.5] * 7
    assert certify(model, X)


def test_lbfgs_keeps_both_ends():
    model = apply_(MODELS["slopes"][0](), X)
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe", max_iter=5)
    project_after_step(optimizer, model)
    target = -X.square().sum(-1, keepdim=True)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(X), target)
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(8)]
    assert losses[-1] <= losses[0]
    assert certify(model, X)


NOTED = {
    "a temperature": (
        lambda: Network(lambda m, g, x, z: m.c(F.softplus(g * m.b(z)) / g), (), 1.0),
        "divides by 'g', which a projection may set to 0; put a map such as exp on it",
    ),
}


@pytest.mark.parametrize("case", NOTED)
def test_what_rests_on_numbers_is_said(case):
    make, why = NOTED[case]
    model = make()
    with pytest.warns(UserWarning, match="convex now, and may cease to be in training") as caught:
        made = plan(model, X)
    assert why in str(caught[0].message)
    assert why in made.rests_on
    assert why in str(made)


def test_a_matrix_of_a_quadratic_form_is_not_drawn_over():
    model = Network(lambda m, g, x, z: value(m, z) + ((x @ g) * x).sum(-1, keepdim=True), (4, 4), 1.0)
    model.g.data = torch.eye(4)
    with pytest.raises(ValueError, match="the numbers of its matrix are not known"):
        plan(model, X)
    assert certify(apply_(model, X, exclude="g"), X)


def test_a_bias_that_takes_the_shift_cannot_be_kept_non_negative():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.LeakyReLU(-0.1), nn.Linear(8, 1))
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.bias)  # with these the model could be convex; with the shift it is not
    with pytest.raises(ValueError, match="not non-decreasing"):
        plan(model, X)


def test_a_residual_network_with_batch_normalisation_becomes_convex_and_stays_so():
    torch.manual_seed(0)
    model, images = Residual(), torch.randn(16, 2, 8, 8)
    assert set(kept(plan(model, images))) == {"na.weight", "nb.weight"}
    apply_(model, images, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    project_after_step(optimizer, model)
    step(model, optimizer, -1.0)
    assert certify(model.eval(), images)


def test_the_remedy_for_a_temperature_works():
    model = Network(lambda m, g, x, z: m.c(F.softplus(g.exp() * m.b(z)) / g.exp()), (), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plan(model, X).rests_on == ""


def test_what_is_frozen_or_left_to_the_user_is_not_kept():
    model = MODELS["a gate"][0]()
    assert kept(plan(model, X, exclude="g")) == {}
    model.g.requires_grad_(False)
    assert kept(plan(model, X)) == {}


def test_marks_with_both_ends():
    layer = nn.PReLU()
    mark_projected(layer, high=1.0)
    assert project_(layer).weight.item() == 0.25
    with pytest.raises(ValueError, match="low must be below high"):
        mark_projected(layer, low=1.0, high=0.0)
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", nn.Softplus(), unsafe=True)
    with pytest.raises(ValueError, match=r"weight is marked to be kept in \[0, 1\].*is computed by Softplus"):
        project_(layer)


@pytest.mark.parametrize("make", [lambda m, g, x, z: -g * value(m, z), lambda m, g, x, z: m.c(z * -g)])
def test_a_model_that_is_convex_by_its_present_signs_is_not_made_concave(make):
    model = Network(make, (), -0.5)
    assert kept(plan(model, X)) == {"g": (-math.inf, 0.0)}
    optimizer = torch.optim.SGD(apply_(model, X).parameters(), 1.0)
    project_after_step(optimizer, model)
    for direction in (1.0, -10.0):
        step(model, optimizer, direction)
        assert certify(model, X, search=False)
