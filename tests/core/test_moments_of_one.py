"""E[f] and E[f²] of activations and their slopes, against mpmath's quadrature, to a relative error of 1e-10."""

from __future__ import annotations

from functools import partial

import mpmath as mp
import pytest
from mpmath import fp

import convex_init_core as core
from tests.core.references import USABLE, Case, expectation

MEANS = (0.0, -3.0, 1.5)
VARIANCES = (0.01, 1.0, 30.0)
TOLERANCE = 1e-10


def is_beyond_reach(case: Case, mean: float, variance: float) -> bool:
    """Whether all that a (plain) ReLU passes lies 30 standard deviations out; see the last test."""
    return case.activation.negative_slope == 0.0 and (mean, variance) == (-3.0, 0.01)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("case", USABLE.values(), ids=USABLE.keys())
def test_against_mpmath(case: Case, mean: float, variance: float) -> None:
    if is_beyond_reach(case, mean, variance):
        return
    for function, moments in (
        (case.value, core.feature_moments(case.activation, 0.0, variance, mean)),
        (case.slope, core.derivative_moments(case.activation, 0.0, variance, mean)),
    ):
        first = expectation(partial(function, fp), case.kinks, mean, variance)
        second = expectation(lambda s, f=function: f(fp, s) ** 2, case.kinks, mean, variance)
        # An odd function has mean 0 up to the rounding of its standard deviation.
        assert moments.mean == pytest.approx(first, rel=TOLERANCE, abs=1e-14 * second**0.5)
        assert moments.second == pytest.approx(second, rel=TOLERANCE, abs=0.0)
        assert moments.variance == pytest.approx(second - first**2, rel=TOLERANCE, abs=1e-13 * second)


@pytest.mark.parametrize("deviations", [6.0, 11.5])
@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.3)", "elu(0.4)", "softplus(5)"])
def test_relative_error_of_a_tail(name: str, deviations: float) -> None:
    """Far below the bend what a ReLU passes is 1e-11, or 1e-34; its digits are right all the same."""
    case, mean = USABLE[name], -0.5 * deviations
    moments = core.feature_moments(case.activation, 0.0, 0.25, mean)
    second = expectation(lambda s: case.value(fp, s) ** 2, case.kinks, mean, 0.25)
    assert moments.mean == pytest.approx(
        expectation(partial(case.value, fp), case.kinks, mean, 0.25), rel=TOLERANCE, abs=0.0
    )
    assert moments.second == pytest.approx(second, rel=TOLERANCE, abs=0.0)


@pytest.mark.parametrize("variance", [1e-12, 1e-6, 1e6, 1e12])
def test_variance_scales_out_of_a_homogeneous_function(variance: float) -> None:
    unit = core.feature_moments(core.leaky_relu(0.2), 0.4, 1.0, 0.7)
    scaled = core.feature_moments(core.leaky_relu(0.2), 0.4, variance, 0.7 * variance**0.5)
    assert scaled.mean == pytest.approx(unit.mean * variance**0.5, rel=1e-12, abs=0.0)
    assert scaled.second == pytest.approx(unit.second * variance, rel=1e-12, abs=0.0)
    assert scaled.covariance == pytest.approx(unit.covariance * variance, rel=1e-11, abs=0.0)


@pytest.mark.parametrize("beta", [100.0, 1e4])
def test_sharp_softplus_tends_to_relu(beta: float) -> None:
    sharp = core.feature_moments(core.softplus(beta), 0.5, 1.0, -0.3)
    with mp.workdps(20):
        # E[softplus] − E[relu] → density(bend) · π²/(6β²): the area between the two.
        area = float(mp.npdf(mp.mpf("0.3")) * mp.pi**2 / 6) / beta**2
    relu = core.feature_moments(core.relu(), 0.5, 1.0, -0.3)
    assert sharp.mean - relu.mean == pytest.approx(area, rel=10.0 / beta, abs=0.0)


def test_nothing_passes_thirty_deviations_below_the_kink() -> None:
    moments = core.feature_moments(core.relu(), 0.5, 0.01, -3.0)
    with mp.workdps(30):
        h = mp.mpf(30)
        exact = float((mp.npdf(h) - h * mp.ncdf(-h)) / 10)
    assert 0.0 < exact < 1e-190
    assert 0.0 <= moments.mean < 1e-100
    assert 0.0 <= moments.second < 1e-100


@pytest.mark.parametrize("mean", [-1.3, 0.7])
@pytest.mark.parametrize("case", USABLE.values(), ids=USABLE.keys())
def test_signal_that_has_died_out(case: Case, mean: float) -> None:
    """Variance 0 is the limit of small variances: every feature is φ(mean)."""
    for function, moments in (
        (case.value, core.feature_moments(case.activation, 0.5, 0.0, mean)),
        (case.slope, core.derivative_moments(case.activation, 0.5, 0.0, mean)),
    ):
        value = float(function(fp, mean))
        assert (moments.mean, moments.second) == pytest.approx((value, value**2), rel=TOLERANCE, abs=0.0)
        assert (moments.variance, moments.covariance) == (0.0, 0.0)


@pytest.mark.parametrize("distance", [13.0, 20.0, 24.0, 30.0, 100.0])
def test_a_signal_far_below_the_kink_is_no_undeclared_kink(distance: float) -> None:
    moments = core.feature_moments(core.relu(), 0.3, 1.0, -distance)
    assert 0.0 <= moments.second < 1e-30
