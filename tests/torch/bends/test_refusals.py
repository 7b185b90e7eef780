"""What a threshold does not fit is refused before anything is written."""

from __future__ import annotations

import pytest
from torch import nn

from convex_init.torch import apply_, plan
from tests.torch.bends.models import (
    SPREAD,
    Bare,
    Between,
    Branching,
    Doubled,
    Joined,
    Normalised,
    Residual,
    Shared,
    Twice,
    Unread,
    X,
    chain,
    linear,
    three,
)
from tests.torch.networks import assert_untouched, parameters_of


def test_ties_leave_no_run():
    tied = linear(40, 40)
    for model in (
        chain(tied, tied, linear(40, 10)),
        chain(tied, linear(40, 20), linear(20, 40), tied, linear(40, 10)),
    ):
        before = parameters_of(model)
        with pytest.raises(ValueError, match=r"'1': threshold= .* its weight is used more than once"):
            apply_(model, **SPREAD)
        assert_untouched(model, before)


@pytest.mark.parametrize(
    ("model", "arguments", "settings", "message"),
    [
        (three, (), {"threshold": -1}, "threshold must be at least 0"),
        (three, (), {"threshold": float("nan")}, "threshold must be finite"),
        (three, (), {"method": "log_normal"}, "threshold=0.5.*use method 'isometric'"),
        (lambda: three(nn.LeakyReLU), (), {}, r"'1': threshold=.*leaky_relu.*leave threshold out"),
        (three, (), {"fed_by": {"3": "softplus"}}, r"'3': threshold=.*softplus.*leave threshold out"),
        (three, (), {"positive": ["5"]}, "threshold= needs every layer of a chain as it is, so positive= may not"),
        (three, (), {"free": ["1"]}, "so free= may not"),
        (three, (), {"exclude": "5"}, "so exclude= may not.*pass the part of the chain"),
        (three, (X,), {"calibrate": True}, "calibrate=True would centre it"),
        (Unread, (X,), {"calibrate": True}, "calibrate=True would centre it"),
        (lambda: three(bias=False), (X,), {}, r"'1': threshold= .* it has no bias \(register_missing_bias=True"),
        (lambda: three(bias=False), (), {}, r"'1': threshold= .* it has no bias \(register_missing_bias=True"),
        (lambda: Unread(bias=False), (X,), {}, r"'first': threshold= .* it has no bias \(register_missing_bias=True"),
        (lambda: Between(lambda z: z.view(-1, 2)), (), {}, "example_inputs are needed to read Between"),
        (Unread, (X,), {"fed_by": {"second": "softplus"}}, "'second': threshold=.*softplus.*leave threshold out"),
        (Residual, (X,), {}, "'second': threshold= .* a residual or another value is added"),
        (Doubled, (X,), {}, "'second': threshold= .* it is scaled"),
        (Twice, (X,), {}, "'second': threshold= .* its weight is used more than once"),
        (Branching, (X,), {}, "'last': threshold= .* a residual or another value is added"),
        (lambda: Between(lambda z: z.relu() + 2.0), (X,), {}, "'first': threshold= .* fed by add∘relu"),
        (lambda: Between(lambda z: z.relu() + z), (X,), {}, "'first': threshold= .* follow the free layers through"),
        (lambda: Between(lambda z: 3.0 * z.relu()), (X,), {}, "'first': threshold= .* follow the free layers through"),
        (lambda: Between(lambda z: nn.functional.softplus(z).relu()), (X,), {}, "'first': threshold=.*softplus"),
        (lambda: Between(lambda z: nn.functional.max_pool1d(z.relu(), 1).relu() + z), (X,), {}, "'first': .* free lay"),
        (lambda: Between(nn.BatchNorm1d(6, affine=False)), (X,), {}, "'first': threshold= .* free layers"),
        (lambda: Between(lambda z: z.relu().cumsum(-1)), (X,), {}, "'first': threshold= .* free layers"),
        (Shared, (X,), {}, "'second': threshold= .* its bias belongs to other sums as well"),
        (Bare, (X,), {"register_missing_bias": True}, "'weight': threshold= .* it has no bias"),
        (Joined, (X,), {}, "'last': threshold= .* does not follow 'second' through a ReLU alone"),
        (Normalised, (X,), {}, "'second': threshold= .* it is normalised"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(model, arguments, settings, message):
    made = model()
    before = parameters_of(made)
    for call in (plan, apply_):
        with pytest.raises(ValueError, match=message):
            call(made, *arguments, **{**SPREAD, **settings})
    assert_untouched(made, before)


def test_a_layer_that_cannot_be_written_to_is_reported_first():
    model = three(nn.LeakyReLU)
    model[5].weight.requires_grad_(False)
    with pytest.raises(ValueError, match="'5': its weight is frozen"):
        plan(model, **SPREAD)
