"""The fields have the statistics that they claim, and the check of convexity tells convex functions from others."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import SignalStatistics
from tests.contract.convexity import convexity_violation
from tests.contract.fields import correlated_field, field_statistics, unit_statistics


def test_field_statistics_are_those_of_the_field():
    signal = SignalStatistics(0.3, 2.0, 0.4)
    field = correlated_field(np.random.default_rng(0), signal, 40_000, 3, (4, 5), smooth=True)
    claimed = field_statistics(signal, (4, 5), smooth=True)
    assert claimed.signal == SignalStatistics(0.3, pytest.approx(2.0), pytest.approx(0.4))
    for step in [(0, 0), (1, 0), (0, 4), (1, 1), (2, 0)]:
        # Products of unit Gaussians over 40,000 independent samples: a standard error of at most 0.02.
        product = (field[:, 0] - 0.3) * (np.roll(field, step, (2, 3))[:, :] - 0.3).swapaxes(0, 1)
        assert product[0].mean() == pytest.approx(claimed.same[step], abs=0.05)
        assert product[1].mean() == pytest.approx(claimed.cross[step], abs=0.05)


def test_unit_statistics_by_hand():
    s = np.array([[1.0, 3.0], [2.0, 6.0]])
    assert unit_statistics(s, 1.0) == (3.0, pytest.approx((0 + 4 + 1 + 25) / 4), pytest.approx((0 * 2 + 1 * 5) / 2))


@pytest.mark.parametrize("function", [lambda x: x**2, np.abs, lambda x: 3.0 * x, lambda x: np.logaddexp(0.0, x)])
def test_convex_functions_pass(function):
    assert convexity_violation(function, 3) <= 1e-12


@pytest.mark.parametrize(
    "function", [np.sin, lambda x: -(x**2), lambda x: np.maximum(x, 0.0) - np.maximum(x - 1.0, 0.0)]
)
def test_others_fail(function):
    assert convexity_violation(function, 3) > 1e-2
