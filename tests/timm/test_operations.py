"""``convexify`` on small modules made for one rule each: which operations pass, and why others are refused."""

from __future__ import annotations

import pytest
import torch
from timm.models import named_apply
from torch import nn

import convex_init.timm as ct
import convex_init_core as core
from convex_init.torch import certify, projected_parameters
from tests.timm.models import CONVEX, NOT_CONVEX, Wrapped, assert_untouched, example, modules, state
from tests.timm.segments import assert_convex


@pytest.mark.parametrize("middle", CONVEX.values(), ids=CONVEX)
def test_convex_operations_are_passed_and_the_next_weight_is_positive(middle):
    torch.manual_seed(0)
    model = ct.convexify(Wrapped(middle, *modules()), example((3, 8, 8)))
    assert set(projected_parameters(model)) == {"last.weight"}
    assert (model.first.weight < 0).any()
    assert_convex(model, (3, 8, 8))


@pytest.mark.parametrize(("middle", "reason"), NOT_CONVEX.values(), ids=NOT_CONVEX)
def test_other_operations_are_refused(middle, reason):
    model = Wrapped(middle, *modules())
    before = state(model)
    with pytest.raises(ct.NotConvexifiable, match=reason):
        ct.convexify(model, example((3, 8, 8)))
    assert_untouched(model, before)


def test_learnt_factors_become_non_negative():
    class Scaled(Wrapped):
        def __init__(self):
            super().__init__(lambda m, s: torch.relu(s) * m.gamma.reshape(1, -1, 1, 1))
            self.gamma = nn.Parameter(torch.tensor([-1.0, 0.5, 2.0, 0.0]))

    model = ct.convexify(Scaled(), example((3, 8, 8)))
    assert set(projected_parameters(model)) == {"last.weight", "gamma"}
    assert model.gamma.tolist() == [0.0, 0.5, 2.0, 0.0]
    assert_convex(model, (3, 8, 8))


def test_a_blur_filter_is_checked_by_its_values():
    from timm.layers import BlurPool2d

    def blurred(m, s):
        return m.extra[0](torch.relu(s))

    assert_convex(ct.convexify(Wrapped(blurred, BlurPool2d(4)), example((3, 8, 8))), (3, 8, 8))
    assert ct.convexity_report(Wrapped(blurred, BlurPool2d()), example((3, 8, 8))).convexifiable
    sharpening = BlurPool2d(4)
    sharpening.filt[:, :, 0, 0] = -0.1
    with pytest.raises(ct.NotConvexifiable, match=r"goes down to -0\.1"):
        ct.convexify(Wrapped(blurred, sharpening), example((3, 8, 8)))


def test_a_computed_weight_of_the_input_may_be_of_either_sign_and_stays():
    from timm.layers import ScaledStdConv2d

    model = Wrapped(lambda m, s: torch.relu(s))
    model.first = ScaledStdConv2d(3, 4, 3, padding=1)
    before = model.first.weight.clone()
    ct.convexify(model, example((3, 8, 8)))
    assert torch.equal(model.first.weight, before)
    assert_convex(model, (3, 8, 8))
    model.last = ScaledStdConv2d(4, 4, 3, padding=1)
    with pytest.raises(ct.NotConvexifiable, match=r"'last' \(ScaledStdConv2d\): .* takes both signs$"):
        ct.convexify(model, example((3, 8, 8)))


def test_buffers_of_a_large_model_are_looked_at(monkeypatch):
    from timm.layers import BlurPool2d

    from convex_init.torch import framework

    monkeypatch.setattr(framework, "_LARGE", 10)
    model = Wrapped(lambda m, s: m.extra[0](torch.relu(s)), BlurPool2d(4))
    assert ct.convexity_report(model, example((3, 8, 8))).convexifiable


def test_tied_weights_of_two_roles_are_refused():
    model = Wrapped(lambda m, s: torch.relu(m.extra[0](torch.relu(m.extra[0](s)))), nn.Conv2d(4, 4, 1))
    with pytest.raises(ct.NotConvexifiable, match="two places"):
        ct.convexify(model, example((3, 8, 8)))


LEARNT = {
    "divisor": (lambda m, s: torch.relu(s) / m.own, "may be of either sign"),
    "slope": (lambda m, s: nn.functional.prelu(s, m.own), "prelu"),
    "sum of one and a factor": (lambda m, s: torch.relu(s) * (1.0 + m.own), "'own' takes both signs"),
    "exponent": (lambda m, s: torch.relu(s) ** m.own, "pow"),
}


@pytest.mark.parametrize(("middle", "reason"), LEARNT.values(), ids=LEARNT)
def test_numbers_that_training_will_change_prove_nothing(middle, reason):
    model = Wrapped(middle)
    model.own = nn.Parameter(torch.full((1,), 0.5))
    assert certify(model.eval(), example((3, 8, 8)), search=False).verdict == "cannot tell"  # for the last layer
    with pytest.raises(ct.NotConvexifiable, match=reason):
        ct.convexify(model, example((3, 8, 8)))


def test_all_offenders_are_listed_and_nothing_behind_them():
    def middle(m, s):
        s.sigmoid()  # of which nothing is made
        s = m.extra[0](torch.tanh(s))
        return m.extra[1](-torch.relu(s).sqrt())

    model = Wrapped(middle, nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    found = ct.convexity_report(model, example((3, 8, 8))).blockers
    assert [blocker.reason.split()[0].strip(":") for blocker in found] == ["tanh", "sqrt", "neg"]


@pytest.mark.parametrize("positivity", [torch.exp, lambda w: torch.nn.functional.softplus(w) / 36.0])
def test_a_map_in_the_forward_is_drawn_through_and_not_projected(positivity):
    class Mapped(nn.Conv2d):
        def forward(self, x):
            return self._conv_forward(x, positivity(self.weight), self.bias)

    model = Wrapped(lambda m, s: torch.relu(m.extra[0](torch.relu(s))), Mapped(4, 4, 3, padding=1))
    ct.convexify(model, example((3, 8, 8)))
    assert set(projected_parameters(model)) == {"last.weight"}
    with torch.no_grad():
        effective = positivity(model.extra[0].weight)
        named_apply(ct.init_weights, model)
        again = positivity(model.extra[0].weight)
    wanted = core.positive_recipe(36, "relu", core.InitSettings()).statistics.weight_mean
    for weight in (effective, again):
        # 144 log-normal weights: five standard errors of their mean
        bound = 5.0 * float(weight.std()) / 12.0
        assert float(weight.mean()) == pytest.approx(wanted, abs=bound)
    assert_convex(model, (3, 8, 8))
