"""Which method ``"auto"`` is, and what a user's word makes of it."""

import dataclasses

import pytest

from convex_init_core import InitSettings
from convex_init_core.methods.choice.auto import SKIP_SHARE, THRESHOLD, Shape, candidates
from convex_init_core.planning.plan import Plan
from tests.core.planning.models import chain, planned, recurrent, residual, skips
from tests.core.planning.numpy_framework import NumpyFramework

SHAPE = Shape(depth=3, in_a_row=3, with_skips=0, inputs=16.0, is_relu_chain=True)


def first(shape: Shape, **options: object) -> InitSettings:
    return next(candidates(shape, InitSettings(**{"method": "auto", **options})))[0]  # type: ignore[arg-type]


RULE = {
    "a chain of ReLUs": (SHAPE, {}, ("isometric", THRESHOLD, "spread")),
    "of many inputs": (dataclasses.replace(SHAPE, inputs=784.0), {}, ("isometric", THRESHOLD, "spread")),
    "whose first layer has no bias": (dataclasses.replace(SHAPE, inputs=0.0), {}, ("isometric", THRESHOLD, "origin")),
    "of one layer": (dataclasses.replace(SHAPE, depth=1, in_a_row=1), {}, ("bounded_gain", 0.0, "spread")),
    "another chain": (dataclasses.replace(SHAPE, is_relu_chain=False), {}, ("bounded_gain", 0.0, "spread")),
    "another long chain": (
        dataclasses.replace(SHAPE, is_relu_chain=False, depth=9, in_a_row=9),
        {},
        ("isometric", 0.0, "spread"),
    ),
    "free skips": (
        dataclasses.replace(SHAPE, in_a_row=0, with_skips=3, is_relu_chain=False),
        {},
        ("bounded_gain", 0.0, "spread"),
    ),
    "free skips, many inputs": (
        dataclasses.replace(SHAPE, in_a_row=0, with_skips=3, is_relu_chain=False, inputs=784.0),
        {},
        ("bounded_gain", 0.0, "origin"),
    ),
    "a chain behind exponentials": (dataclasses.replace(SHAPE, takes_zero=False), {}, ("bounded_gain", 0.0, "spread")),
    "a long one": (
        dataclasses.replace(SHAPE, takes_zero=False, depth=9, in_a_row=9),
        {},
        ("isometric", THRESHOLD, "spread"),
    ),
    "a law": (SHAPE, {"distribution": "gamma"}, ("bounded_gain", 0.0, "spread")),
    "a correlation": (SHAPE, {"correlation": 0.3}, ("bounded_gain", 0.0, "spread")),
    "a threshold": (SHAPE, {"threshold": 0.5}, ("isometric", 0.5, "spread")),
    "kinks": (SHAPE, {"kinks": "origin"}, ("isometric", THRESHOLD, "origin")),
    "a method": (SHAPE, {"method": "log_normal"}, ("log_normal", 0.0, "origin")),
}


@pytest.mark.parametrize("case", RULE)
def test_the_rule(case: str) -> None:
    shape, options, due = RULE[case]
    chosen = first(shape, **options)
    assert (chosen.method, chosen.threshold, chosen.kinks) == due


def asked(model: NumpyFramework, **options: object) -> Plan:
    return planned(model, **{"method": "auto", **options})


def test_free_skips_get_most_of_the_variance_unless_the_user_says_how_much() -> None:
    shape = dataclasses.replace(SHAPE, in_a_row=0, with_skips=3, is_relu_chain=False)
    assert first(shape).skip_share == SKIP_SHARE
    assert first(SHAPE).skip_share == InitSettings().skip_share
    assert asked(skips()).settings.skip_share == SKIP_SHARE
    assert asked(skips(), skip_share=0.5).settings.skip_share == 0.5
    assert "skip_share=0.9" in asked(skips()).chose


def test_the_plan_says_what_was_chosen_and_why() -> None:
    made = asked(chain())
    assert made.settings.method == "isometric"
    assert made.chose == (
        "auto: method='isometric', threshold=1.0, kinks='spread', since 3 positive layers follow one another through "
        "ReLUs alone"
    )
    assert made.chose in str(made)
    assert made.to_dict()["chose"] == made.chose
    assert planned(chain()).chose == ""


@pytest.mark.parametrize("model", [chain, skips, residual, recurrent])
def test_it_is_the_method_that_it_names(model: object) -> None:
    made = asked(model())  # type: ignore[operator]
    settings = {field.name: getattr(made.settings, field.name) for field in dataclasses.fields(InitSettings)}
    again = planned(model(), **settings)  # type: ignore[operator]
    assert [layer.recipe for layer in made.layers] == [layer.recipe for layer in again.layers]
    assert made.biases == again.biases
    assert list(map(str, made.measured)) == list(map(str, again.measured))


SELECTIONS = {
    "excluded": {"exclude": "2"},
    "free": {"free": "2"},
    "calibrated": {"calibrate": True},
}


@pytest.mark.parametrize("case", SELECTIONS)
def test_what_does_not_go_with_a_threshold_is_left_to_independent_weights(case: str) -> None:
    assert asked(chain(), **SELECTIONS[case]).settings.method == "bounded_gain"


def test_a_chain_without_biases_is_none() -> None:
    assert asked(chain(bias=False)).settings.method == "bounded_gain"


def test_a_threshold_and_a_law_contradict_each_other() -> None:
    with pytest.raises(ValueError, match=r"threshold=1.0 is for isometric weights, and distribution='gamma' for indep"):
        InitSettings(method="auto", threshold=1.0, distribution="gamma")
