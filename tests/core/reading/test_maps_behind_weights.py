"""From the weight of a product back to its parameter, through maps with and without a name."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.reading.behind_a_weight import NoMap, trace
from convex_init_core.reading.factors import Numbers
from convex_init_core.weights.laws import Gamma, LogNormal, NumpyDraw
from convex_init_core.weights.sampling import law_under, sample_raw
from tests.core.reading.drawn_graphs import Drawing, moments

NAMED = {
    "relu": (lambda g, w: g.relu(w), "relu"),
    "maximum": (lambda g, w: g.maximum(w, 0.0), "relu"),
    "exp": (lambda g, w: g.exp(w), "exp"),
    "square": (lambda g, w: g.square(w), "square"),
    "product with itself": (lambda g, w: g.multiply(w, w), "square"),
    "power": (lambda g, w: g.power(w, 2.0), "square"),
    "abs": (lambda g, w: g.abs(w), "abs"),
    "abs of abs": (lambda g, w: g.abs(g.abs(w)), "abs"),
    "softplus": (lambda g, w: g.softplus(w, beta=2.0, threshold=20.0), "softplus(beta=2)"),
    "log-add-exp": (lambda g, w: g.log_add_exp(0.0, w), "softplus"),
    "over n": (lambda g, w: g.divide(g.exp(w), 4.0), "0.25·exp"),
    "offset": (lambda g, w: g.exp(g.subtract(w, 4.0)), "exp[raw-4]"),
    "slope": (lambda g, w: g.exp(g.add(g.multiply(2.0, w), 1.0)), "exp[2·raw+1]"),
    "slope around an offset": (lambda g, w: g.exp(g.multiply(2.0, g.add(w, 1.0))), "exp[2·raw+2]"),
    "transposed": (lambda g, w: g.transpose(g.exp(w), shape=(3, 5), axes=(1, 0)), "exp"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_map_with_a_name(name):
    make, shown = NAMED[name]
    g = Drawing()
    found = trace(make(g, g.parameter("w", 5, 3)))
    assert (found.source, str(found.positivity)) == ("w", shown)


BY_VALUES = {
    "larger of two": (lambda g, w: g.maximum(w, g.negate(w)), "abs"),
    "half of |s| + s": (lambda g, w: g.multiply(0.5, g.add(g.abs(w), w)), "relu"),
    "one over exp": (lambda g, w: g.reciprocal(g.exp(g.negate(w))), "exp"),
    "log of 1 + exp": (lambda g, w: g.log1p(g.exp(w)), "softplus"),
    "log of 1 + exp, steeper": (lambda g, w: g.multiply(0.5, g.log1p(g.exp(g.multiply(2.0, w)))), "softplus(beta=2)"),
    "twice": (lambda g, w: g.add(g.maximum(w, g.negate(w)), g.abs(w)), "2·abs"),
}


@pytest.mark.parametrize("name", BY_VALUES)
def test_a_map_that_is_written_out_gets_its_name_by_its_values(name):
    make, shown = BY_VALUES[name]
    g = Drawing()
    assert str(trace(make(g, g.parameter("w", 5, 3))).positivity) == shown


def test_a_sum_of_exponentials_with_another_number_is_no_softplus():
    g = Drawing()
    raw = g.parameter("w", 5, 3)
    positivity = trace(g.log_add_exp(1.0, raw)).positivity
    numbers = raw.constant.handle
    assert positivity.value(numbers) == pytest.approx(np.logaddexp(1.0, numbers), rel=1e-9)


def test_a_weight_without_a_map_has_its_factor():
    g = Drawing()
    found = trace(g.multiply(0.5, g.parameter("w", 5, 3)))
    assert (found.source, found.positivity, found.factor) == ("w", None, 0.5)


def test_a_gain_counts_with_its_present_mean():
    g = Drawing()
    gain = g.parameter("gain", 5, 1, low=1.0, high=3.0)
    found = trace(g.multiply(g.exp(g.parameter("w", 5, 3)), gain), Numbers(moments))
    assert found.source == "w"
    assert found.positivity.scale == pytest.approx(gain.constant.handle.mean())


UNNAMED = {
    "elu + 1": (lambda g, w: g.add(g.elu(w, alpha=1.0, scale=1.0, input_scale=1.0), 1.0), 1.0),
    "where": (lambda g, w: g.where(g.compare(w, 0.0, relation="<"), g.exp(w), g.add(w, 1.0)), 1.0),
    "sigmoid": (lambda g, w: g.sigmoid(w), 1.0),
    "softsign": (lambda g, w: g.multiply(0.5, g.add(g.softsign(w), 1.0)), 0.5),
    "softplus of a negative slope": (lambda g, w: g.softplus(g.multiply(-3.0, w), beta=1.0, threshold=20.0), 1.0),
    "softplus over n": (lambda g, w: g.divide(g.sigmoid(g.multiply(2.0, w)), 16.0), 1 / 16),
    "relu squared": (lambda g, w: g.square(g.relu(w)), 1.0),
    "squareplus": (lambda g, w: g.squareplus(w, b=4.0), 1.0),
    "smooth absolute value": (lambda g, w: g.sqrt(g.add(g.square(w), 1e-6)), 1.0),
}


@pytest.mark.parametrize("name", UNNAMED)
def test_a_monotone_map_without_a_name_is_inverted_by_its_values(name):
    make, scale = UNNAMED[name]
    g = Drawing()
    raw = g.parameter("w", 40, 30)
    weight = make(g, raw)
    positivity = trace(weight).positivity
    assert positivity.scale == scale
    wanted = weight.constant.handle
    image = positivity.inverse(wanted)
    assert positivity.value(raw.constant.handle) == pytest.approx(wanted, rel=1e-9)
    assert positivity.value(image) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    low, high = positivity.span
    assert low <= wanted.min()
    assert wanted.max() <= high


def test_equal_maps_without_a_name_are_equal():
    g = Drawing()
    maps = [trace(UNNAMED[name][0](g, g.parameter("w", 5, 3))).positivity for name in ("where", "where", "sigmoid")]
    assert maps[0] == maps[1] != maps[2]
    assert maps[0] != maps[0].scaled(2.0)


REFUSED = {
    "of both signs": (lambda g, w: g.tanh(w), "non-negative"),
    "not monotone": (lambda g, w: g.add(g.sin(w), 2.0), "not monotone"),
    "a softplus that jumps": (lambda g, w: g.softplus(w, beta=1.0, threshold=1.0), "not monotone"),
    "a softplus below 0": (lambda g, w: g.softplus(w, beta=-1.0, threshold=20.0), "non-negative"),
    "zero mean": (lambda g, w: g.subtract(w, g.reduce("mean", w)), "subtract"),
    "shares": (lambda g, w: g.divide(g.exp(w), g.reduce("sum", g.exp(w))), "made of itself"),
    "a gain of both signs": (
        lambda g, w: g.multiply(g.exp(w), g.parameter("g", 5, 1, low=-0.2)),
        "its weight is made of 'w', 'g' by multiply, which is not known",
    ),
    "a norm of both": (
        lambda g, w: g.divide(w, g.add(g.reduce("max", w), g.parameter("g", 5, 1))),
        "made of itself",
    ),
    "opaque": (lambda g, w: g.opaque(w, shape=(5, 3), why="", non_negative=False), "opaque"),
    "two parameters": (
        lambda g, w: g.opaque(w, g.parameter("g", 5, 1), shape=(5, 3), why="", non_negative=False),
        "its weight is made of 'w', 'g' by opaque.*exclude=",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_map_of_single_numbers_is_refused_with_the_reason(name):
    make, reason = REFUSED[name]
    g = Drawing()
    with pytest.raises(NoMap, match=reason):
        trace(make(g, g.parameter("w", 5, 3)), Numbers(moments))


def test_a_map_without_values_above_0_is_inverted_where_it_has_some():
    g = Drawing()
    raw = g.parameter("w", 5, 3, high=-0.1)
    weight = g.rsqrt(g.negate(raw))
    positivity = trace(weight).positivity
    assert positivity.inverse(weight.constant.handle) == pytest.approx(raw.constant.handle, rel=1e-9)


def test_a_map_that_stands_still_on_the_way_is_refused():
    g = Drawing()
    w = g.parameter("w", 5, 3)
    steps = g.add(g.minimum(g.relu(w), 1.0), g.relu(g.subtract(w, 3.0)))
    with pytest.raises(NoMap, match="stands still from 1 on"):
        trace(steps)


def test_weights_beyond_the_map_get_the_last_raw_number():
    g = Drawing()
    positivity = trace(g.sigmoid(g.parameter("w", 5, 3))).positivity
    raw = positivity.inverse(np.array([0.0, 0.5, 2.0]))
    assert raw == pytest.approx([-30.0, 0.0, 30.0])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_inverse_keeps_shape_and_kind(kind):
    class Framework:
        """An array namespace that is not NumPy."""

        asarray = staticmethod(np.asarray)

    g = Drawing()
    positivity = trace(g.sigmoid(g.parameter("w", 5, 3))).positivity
    raw = positivity.inverse(np.full((4, 3), 0.25, kind), Framework)
    assert raw.shape == (4, 3)
    assert raw.dtype == kind
    assert raw == pytest.approx(np.log(1 / 3), rel=1e-5)


@pytest.mark.parametrize(("make", "mean"), [(lambda g, w: g.add(g.exp(w), 0.1), 0.2), (lambda g, w: g.sigmoid(w), 0.9)])
def test_a_law_beyond_the_weights_of_a_map_is_refused(make, mean):
    g = Drawing()
    positivity = trace(make(g, g.parameter("w", 5, 3))).positivity
    with pytest.raises(ValueError, match="leaves out too many of a law"):
        law_under("log_normal", mean, mean**2, positivity)


@pytest.mark.parametrize(("variance", "kind"), [(1e-4, LogNormal), (1e-2, Gamma)])
def test_a_bounded_map_gets_a_law_whose_moments_it_can_give(variance, kind):
    g = Drawing()
    positivity = trace(g.sigmoid(g.parameter("w", 5, 3))).positivity
    law = law_under("log_normal", 0.05, variance, positivity)
    assert isinstance(law, kind)
    count = 400_000
    drawn = sample_raw(law, positivity, NumpyDraw(np.random.default_rng(0), (count,)))
    weights = positivity.value(drawn)
    # What lies beyond the map, at most 5 % of the second moment, is cut off; six standard errors beside that.
    error = 6 * (weights**2).std() / count**0.5
    assert weights.mean() == pytest.approx(0.05, abs=6 * (variance / count) ** 0.5 + 0.0005)
    assert (weights**2).mean() == pytest.approx(variance + 0.05**2, rel=0.05, abs=error)
