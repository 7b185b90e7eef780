"""Networks and layers of ours keep the settings that they were made with; a contradiction is an error."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, ConvexLinear, apply_, plan
from tests.torch.networks import generator

KEPT = {
    "method": {"method": "isometric"},
    "threshold": {"method": "isometric", "threshold": 1.5},
    "bias noise": {"bias_noise": 0.3},
    "law": {"distribution": "gamma", "variance": 2.0},
    "moments": {"match_moments": True, "correlation": 0.3},
}
OTHER = {
    "method": "log_normal", "threshold": 0.5, "bias_noise": 0.1, "distribution": "two_point", "variance": 1.0,
    "match_moments": False, "correlation": 0.5,
}  # fmt: skip


def drawn(model, seed=0):
    return torch.cat([parameter.flatten() for parameter in apply_(model, generator=generator(seed)).parameters()])


@pytest.mark.parametrize("case", KEPT)
@pytest.mark.parametrize("wrapped", [False, True])
def test_apply_draws_a_network_as_it_was_made(case, wrapped):
    settings = KEPT[case]
    model = ICNN(4, [8, 8, 8], 1, **settings)
    model = nn.Sequential(nn.Flatten(), model) if wrapped else model
    asked = plan(model).settings
    assert {name: getattr(asked, name) for name in settings} == settings
    plain = ICNN(4, [8, 8, 8], 1)
    assert torch.equal(drawn(copy.deepcopy(model)), torch.cat([p.flatten() for p in apply_(
        plain, generator=generator(0), **settings).parameters()]))  # fmt: skip
    apply_(model, **settings)  # which is no contradiction
    for name, value in settings.items():
        with pytest.raises(ValueError, match=rf"was made with {name}={value!r}, and {name}=.* was given: leave {name}"):
            apply_(model, **{name: OTHER[name]})


def test_what_was_not_chosen_can_be_chosen_later():
    assert plan(ICNN(4, [8], 1), method="isometric").settings.method == "isometric"
    assert plan(ICNN(4, [8], 1)).settings.method == "bounded_gain"


def test_drawing_anew_with_other_settings_keeps_these():
    model = ICNN(4, [8, 8], 1, method="isometric")
    model.reset_parameters(method="log_normal", bias_noise=0.2)
    asked = plan(model).settings
    assert (asked.method, asked.bias_noise) == ("log_normal", 0.2)
    with pytest.raises(ValueError, match="variance"):
        model.reset_parameters(variance=-1.0)
    assert plan(model).settings == asked


def test_layers_of_ours_keep_their_method_and_must_agree():
    def of(*methods):
        layers = [ConvexLinear(8, 8, method=method) for method in methods]
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), layers[0], nn.ReLU(), *layers[1:])

    assert plan(of("isometric", None)).settings.method == "isometric"
    with pytest.raises(ValueError, match=r"'4' was made with method='log_normal', and '2' with method='isometric'"):
        plan(of("isometric", "log_normal"))


def test_the_baseline_and_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="the baseline has none"):
        ICNN(4, [8], 1, positivity=None, bias_noise=0.1)
    with pytest.raises(TypeError, match="bias_nois"):
        ICNN(4, [8], 1, bias_nois=0.1)


def test_a_name_in_positive_frees_nothing_and_one_in_free_says_so():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    assert [layer.role for layer in plan(model, positive="2").layers] == ["free", "positive", "positive"]
    freed = plan(model, free="4")
    assert "against the data flow: it multiplies a convex value, so nothing keeps the model convex" in str(freed)
    assert [each.name for each in freed.kept] == ["2.weight"]
    assert "against the data flow" not in str(plan(model, free="0"))
