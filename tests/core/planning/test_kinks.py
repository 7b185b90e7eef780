"""Which first layers bend all over their inputs, and where."""

import numpy as np
import pytest

from convex_init_core.methods.bends.kinks import spread_shifts
from convex_init_core.planning.plan import Plan
from tests.core.planning.models import by_name, chain, planned, recurrent, residual, skips

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "axis"), [((200, 7), 1), ((7, 200), 0), ((20, 7, 5, 2), 1)])
def test_shifts_are_quantiles_of_each_unit(shape: tuple[int, ...], axis: int) -> None:
    values = RNG.standard_normal(shape) + 3.0
    shifts = spread_shifts(values, axis)
    rows = np.moveaxis(values, axis, 0).reshape(shape[axis], -1)
    below = (rows < -shifts[:, None]).mean(axis=1)
    due = (0.5 + (np.sqrt(5.0) - 1.0) / 2.0 * np.arange(len(rows))) % 1.0
    assert np.abs(below - due).max() <= 1.0 / rows.shape[1]


def test_few_samples_are_enough() -> None:
    assert spread_shifts(np.array([[2.0, -1.0]]), 1).tolist() == [-2.0, 1.0]


def spread(made: Plan) -> list[str]:
    return [name for name, layer in by_name(made).items() if layer.role == "free" and layer.recipe.bias.std > 0.0]


def test_the_layer_that_an_activation_takes_is_spread() -> None:
    assert spread(planned(chain(), kinks="spread")) == ["0.weight"]
    assert spread(planned(chain())) == []
    assert "bend all over its inputs" in planned(chain(), kinks="spread").layers[0].note


@pytest.mark.parametrize("model", [residual])
def test_what_is_used_twice_or_holds_more_stays(model: object) -> None:
    made = planned(model(), kinks="spread")  # type: ignore[operator]
    for layer in made.layers:
        if layer.role == "skip" or "times" in layer.note:
            assert layer.recipe.bias.std == 0.0


def test_what_is_behind_keeps_its_theory() -> None:
    origin, apart = (planned(chain(), kinks=kinks, method="log_normal") for kinks in ("origin", "spread"))
    for one, other in zip(origin.layers[1:], apart.layers[1:], strict=True):
        assert one.recipe == other.recipe
    first, spread_first = origin.layers[0].recipe.statistics, apart.layers[0].recipe.statistics
    whole = first.weight_variance * first.fan_in
    assert spread_first.weight_variance * first.fan_in + spread_first.bias_variance == pytest.approx(whole)


@pytest.mark.parametrize("left", ["0", "0.weight", "0.bias"])
def test_what_is_excluded_stays(left: str) -> None:
    made = planned(chain(), method="auto", exclude=left)
    assert spread(made) == []
    assert "kinks='origin'" in made.chose
    assert made.biases.get("0.bias") is None or made.biases["0.bias"].std == 0.0


NOTHING = {
    "no bias": lambda: planned(skips(), kinks="spread"),
    "used again and again": lambda: planned(recurrent(), kinks="spread"),
    "left alone": lambda: planned(chain(), kinks="spread", exclude="0"),
    "a bias that is left alone": lambda: planned(chain(), kinks="spread", exclude="0.bias"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_where_nothing_can_be_spread_it_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match=r"nothing was written: kinks='spread' .* give the first layer a bias"):
        NOTHING[case]()
