"""Between the parameters of a law and its mean and variance, both ways."""

from __future__ import annotations

import math
import pickle
from typing import Any

import mpmath as mp
import pytest
from scipy import stats

import convex_init_core as core
from convex_init_core.weights.laws import DISTRIBUTIONS

MOMENTS = [
    *((layer.weight_mean, layer.weight_variance) for n in (1, 2, 17, 784, 100_000) for layer in [core.solve(n)]),
    *(
        (layer.weight_mean, layer.weight_variance)
        for n in (3, 1000)
        for layer in [core.solve(n, "softplus", 0.05, 3.0)]
    ),
    (1e-8, 1e-12),
    (1e6, 1e14),
    (0.3, 1e4),
]
ROUNDING = 1e-12


@pytest.mark.parametrize(("mean", "variance"), MOMENTS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_round_trip(distribution: str, mean: float, variance: float) -> None:
    law = core.non_negative_law(distribution, mean, variance)
    assert law.mean == pytest.approx(mean, rel=ROUNDING, abs=0.0)
    assert law.variance == pytest.approx(variance, rel=ROUNDING, abs=0.0)


@pytest.mark.parametrize(("mean", "variance"), MOMENTS)
def test_moments_of_the_named_laws(mean: float, variance: float) -> None:
    """The parameters mean what the literature means by them."""
    log_normal = core.LogNormal.from_moments(mean, variance)
    theirs = stats.lognorm(log_normal.log_std, scale=math.exp(log_normal.log_mean))
    assert (theirs.mean(), theirs.var()) == pytest.approx((mean, variance), rel=1e-9, abs=0.0)
    gamma = core.Gamma.from_moments(mean, variance)
    theirs = stats.gamma(gamma.concentration, scale=gamma.scale)
    assert (theirs.mean(), theirs.var()) == pytest.approx((mean, variance), rel=ROUNDING, abs=0.0)
    slab = core.SpikeAndSlab.from_moments(mean, variance)
    half_normal = stats.halfnorm(scale=slab.scale)
    second = slab.probability * (half_normal.var() + half_normal.mean() ** 2)
    assert slab.probability * half_normal.mean() == pytest.approx(mean, rel=ROUNDING, abs=0.0)
    assert second - mean**2 == pytest.approx(variance, rel=1e-11, abs=0.0)
    two = core.TwoPoint.from_moments(mean, variance)
    assert two.probability * two.value == pytest.approx(mean, rel=ROUNDING, abs=0.0)
    assert two.probability * (1 - two.probability) * two.value**2 == pytest.approx(variance, rel=ROUNDING, abs=0.0)


@pytest.mark.parametrize(("mean", "variance"), MOMENTS)
def test_log_normal_as_printed(mean: float, variance: float) -> None:
    law = core.LogNormal.from_moments(mean, variance)
    with mp.workdps(40):
        m, v = mp.mpf(mean), mp.mpf(variance)
        log_mean, log_variance = mp.log(m**2 / mp.sqrt(v + m**2)), mp.log((v + m**2) / m**2)
    assert law.log_mean == pytest.approx(float(log_mean), rel=ROUNDING, abs=0.0)
    assert law.log_std**2 == pytest.approx(float(log_variance), rel=ROUNDING, abs=0.0)


def test_narrow_log_normal_keeps_its_variance() -> None:
    law = core.LogNormal.from_moments(1.0, 1e-20)
    assert law.variance == pytest.approx(1e-20, rel=ROUNDING, abs=0.0)


@pytest.mark.parametrize(
    "law", [core.LogNormal(-1.0, 0.7), core.Gamma(0.3, 2.0), core.SpikeAndSlab(0.2, 3.0), core.TwoPoint(0.1, 5.0)]
)
def test_other_way_round(law: Any) -> None:
    back = type(law).from_moments(law.mean, law.variance)
    assert vars(back) == pytest.approx(vars(law), rel=ROUNDING, abs=0.0)
    assert pickle.loads(pickle.dumps(law)) == law


def test_normal() -> None:
    law = core.Normal(-0.3, 0.5)
    assert (law.mean, law.variance) == (-0.3, 0.25)
    assert not law.has_zeros


@pytest.mark.parametrize("excess", [1e-9, 1e-3])
def test_spike_and_slab_needs_a_variance(excess: float) -> None:
    """|N(0, s²)| without a spike has variance (π/2 − 1) mean², and a spike only adds."""
    least = (math.pi / 2 - 1) * 0.49
    law = core.SpikeAndSlab.from_moments(0.7, least * (1 + excess))
    assert law.probability == pytest.approx(1.0, abs=2 * excess)
    with pytest.raises(
        ValueError, match=r"'spike_and_slab' cannot have mean 0\.7.*needs variance >= 0\.279.*'two_point'"
    ):
        core.non_negative_law("spike_and_slab", 0.7, least * (1 - excess))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_moments_out_of_range(distribution: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^mean must .* {value:g}"):
        core.non_negative_law(distribution, value, 1.0)
    with pytest.raises(ValueError, match=f"^variance must .* {value:g}"):
        core.non_negative_law(distribution, 1.0, value)


def test_unknown_distribution() -> None:
    with pytest.raises(ValueError, match=r"distribution 'uniform' is unknown; known are log_normal, gamma"):
        core.non_negative_law("uniform", 1.0, 1.0)
