"""Which first layers bend all over their inputs, and where."""

import numpy as np
import pytest

from convex_init_core.framework import Parameter
from convex_init_core.methods.bends.kinks import gaussian_shifts, spread_shifts
from convex_init_core.planning.facts import Facts
from convex_init_core.planning.measurement.kinks import Spread, kinked_sums
from convex_init_core.planning.plan import Plan
from tests.core.planning.models import (
    FEATURES,
    WIDTH,
    by_name,
    chain,
    dense,
    planned,
    recurrent,
    residual,
    sample,
    skips,
)
from tests.core.planning.numpy_framework import NumpyFramework
from tests.core.reading.drawn_graphs import Drawing

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


def test_without_inputs_the_units_are_spread_as_a_gaussian() -> None:
    shifts = gaussian_shifts(2000, 0.5)
    assert np.sort(shifts)[[200, 1000, 1799]] == pytest.approx([-0.9062, 0.0, 0.9062], abs=0.005)
    assert shifts.var() == pytest.approx(0.5, rel=0.01)


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


def first(step, *extra, **known) -> NumpyFramework:
    """A first layer whose sum is ``step`` of its product, a ReLU, and a second layer."""

    def forward(b):
        return b.linear(b.relu(step(b, b.linear(b.input(), "0"))), "1")

    shapes = dense(("0", FEATURES, WIDTH), ("1", WIDTH, 1), *extra)
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


def blurred(b, s):
    return b.product(s, b.buffer("blur"))


def twice_the_same(b, s):
    """The same matrix once more, for the input turned over."""
    return b.map("add", s, b.linear(b.map("negate", b.input("y")), "0"))


def normalised(b, s):
    parts = [b.buffer(name) for name in ("one", "zero", "zero", "one")]
    return b.make("batch_norm", (s, *parts), s.shape, "n", epsilon=0.0, axis=1)


NUMBERS = {"one": np.ones(WIDTH), "zero": np.zeros(WIDTH), "blur": np.full((WIDTH, WIDTH), 1.0 / WIDTH)}


@pytest.mark.parametrize(("count", "measured"), [(31, 0), (32, 1)])
def test_kinks_are_measured_on_enough_inputs(count: int, measured: int) -> None:
    made = planned(chain(2, inputs=sample(count, FEATURES)), kinks="spread")
    assert sum(isinstance(found, Spread) for found in made.measured) == measured


NOTHING = {
    "mixed": lambda: planned(first(blurred, buffers=NUMBERS), kinks="spread"),
    "normalised": lambda: planned(first(normalised, buffers=NUMBERS), kinks="spread"),
    "a matrix that is used twice": lambda: planned(
        first(twice_the_same, inputs={"x": sample(), "y": sample()}), kinks="spread"
    ),
    "one bias for all": lambda: planned(one_bias(), kinks="spread"),
    "no bias": lambda: planned(skips(), kinks="spread"),
    "used again and again": lambda: planned(recurrent(), kinks="spread"),
    "left alone": lambda: planned(chain(), kinks="spread", exclude="0"),
    "a bias that is left alone": lambda: planned(chain(), kinks="spread", exclude="0.bias"),
}


def one_bias() -> NumpyFramework:
    def forward(b):
        return b.linear(b.relu(b.map("add", b.product(b.input(), b.parameter("v"), "0"), b.parameter("c"))), "1")

    shapes = {"v": (WIDTH, FEATURES), "c": (1,)} | dense(("1", WIDTH, 1))
    return NumpyFramework(forward, shapes, sample())


@pytest.mark.parametrize("case", NOTHING)
def test_where_nothing_can_be_spread_it_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match=r"nothing was written: kinks='spread' .* give the first layer a bias"):
        NOTHING[case]()


@pytest.mark.parametrize(
    ("known", "count"), [({}, 1), ({"obstacle": "it is expanded"}, 0), ({"is_frozen": True}, 0)], ids=str
)
def test_a_bias_that_cannot_be_written_is_not_spread(known: dict, count: int) -> None:
    class Framework:
        @staticmethod
        def parameter(name: str) -> Parameter:
            return Parameter(name, name, shape=(8,), **(known if name == "0.bias" else {}))

    g = Drawing()
    g.linear(g.relu(g.linear(g.input(4, 6), "0", 8)), "1", 3)
    reading = g.read()
    assert len(kinked_sums(reading, Facts(reading, Framework()))) == count  # type: ignore[arg-type]
