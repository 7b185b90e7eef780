"""At which share of the learning rate a plan would have its positive weights learn."""

import pytest

from convex_init_core.methods.choice.rates import FEWEST_LAYERS, POSITIVE_RATE, positive_rate
from convex_init_core.planning.plan import Plan
from tests.core.planning.models import chain, planned, residual, skips


def rates(made: Plan) -> dict[str, float]:
    return dict(made.rates)


@pytest.mark.parametrize("depth", [FEWEST_LAYERS, 10])
def test_with_free_skips_the_positive_weights_learn_more_slowly(depth: int) -> None:
    made = planned(skips(depth), method="auto")
    positive = {layer.name for layer in made.layers if layer.role == "positive"}
    assert len(positive) == depth
    assert rates(made) == dict.fromkeys(positive, POSITIVE_RATE)


def test_with_two_layers_and_without_skips_they_do_not() -> None:
    assert rates(planned(skips(FEWEST_LAYERS - 1), method="auto")) == {}
    assert rates(planned(chain(10), method="auto")) == {}
    assert rates(planned(residual(10), method="auto")) == {}


@pytest.mark.parametrize(("with_skips", "due"), [(5, POSITIVE_RATE), (4, POSITIVE_RATE), (3, 1.0), (1, 1.0), (0, 1.0)])
def test_a_skip_into_each_layer_is_what_was_measured_and_the_last_may_lack_it(with_skips: int, due: float) -> None:
    assert positive_rate(5, with_skips) == due


def test_weights_that_are_left_alone_have_the_rate_of_the_rest() -> None:
    made = planned(skips(), method="auto", exclude=["z2"])
    assert not any("z2" in name for name in made.rates)
    assert len(made.rates) == 2


def test_the_line_on_the_choice_says_so() -> None:
    said = "positive weights learn best at 0.3 of the learning rate"
    assert said in str(planned(skips(), method="auto"))
    assert said not in str(planned(skips(2), method="auto"))
    assert said not in str(planned(skips(), method="log_normal"))
