"""Whatever the map, the *effective* weight has the law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import convex_init_core as core
from convex_init_core.weights.positivity import Abs, Exp, Projection, Relu, Softplus, Square
from convex_init_core.weights.sampling import check_image, sample_raw
from tests.core.samples import REJECT, assert_count, assert_log_follows

COUNT = 100_000
MAPS = [
    Projection(),
    Relu(),
    Exp(),
    Softplus(),
    Softplus(0.01, 5.0),
    Square(),
    Abs(),
    Exp(1 / 784),
    Projection(1 / 784),
]


def law_at(distribution: str, fan_in: int) -> Any:
    layer = core.solve(fan_in)
    return core.non_negative_law(distribution, layer.weight_mean, layer.weight_variance)


def draw(seed: int) -> core.NumpyDraw:
    return core.NumpyDraw(np.random.default_rng(seed), (COUNT,))


@pytest.mark.parametrize("through", MAPS, ids=repr)
@pytest.mark.parametrize(("distribution", "fan_in"), [("log_normal", 784), ("log_normal", 1), ("gamma", 10)])
def test_effective_weight(through: core.Positivity, distribution: str, fan_in: int) -> None:
    law = law_at(distribution, fan_in)
    weight = through.value(sample_raw(law, through, draw(7)))
    assert_log_follows(law, np.log(weight))


@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_weights_too_small_for_float64_keep_their_raw_image(distribution: str) -> None:
    """At fan-in 100,000 half of a gamma law's weights are below 1e-300; exp and softplus hold them all the same."""
    law = law_at(distribution, 100_000)
    through = Exp(0.01)
    assert_log_follows(law, sample_raw(law, through, draw(8)) + np.log(through.scale))
    raw = sample_raw(law, Softplus(), draw(9))
    assert_log_follows(law, np.where(raw < -40.0, raw, np.log(np.logaddexp(0.0, np.maximum(raw, -40.0)))))


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_zeros_under_the_projection(scale: float) -> None:
    through = Projection(scale)
    law = law_at("spike_and_slab", 784)
    weight = through.value(sample_raw(law, through, draw(10)))
    assert_count(np.count_nonzero(weight), COUNT, law.probability)
    assert stats.kstest(weight[weight > 0.0], stats.halfnorm(scale=law.scale).cdf).pvalue > REJECT
    two = law_at("two_point", 784)
    weight = through.value(sample_raw(two, through, draw(11)))
    assert_count(np.count_nonzero(weight), COUNT, two.probability)
    np.testing.assert_allclose(weight[weight > 0.0], two.value, rtol=1e-15)


def test_free_sign_needs_no_map() -> None:
    raw = sample_raw(core.Normal(0.1, 2.0), None, draw(12))
    assert stats.kstest(raw, stats.norm(0.1, 2.0).cdf).pvalue > REJECT


@pytest.mark.parametrize("through", [Relu(), Exp(), Softplus(), Square(), Abs(), Exp(0.1)], ids=repr)
@pytest.mark.parametrize(
    "law", [core.TwoPoint(0.1, 2.0), core.SpikeAndSlab(0.1, 2.0)], ids=lambda law: type(law).__name__
)
def test_zeros_are_refused_where_they_cannot_train(law: core.Law, through: core.Positivity) -> None:
    with pytest.raises(ValueError, match=rf"distribution 'mine' sets weights to exactly 0.*positivity {through}.*use"):
        check_image(law, through, "mine")


@pytest.mark.parametrize("through", MAPS, ids=repr)
def test_laws_without_zeros_fit_any_map(through: core.Positivity) -> None:
    for law in (core.LogNormal(0.0, 1.0), core.Gamma(0.1, 1.0), core.Normal(0.0, 1.0)):
        check_image(law, through, "mine")
    check_image(core.TwoPoint(0.1, 2.0), Projection(), "mine")
