"""Moments of sums, products and concatenations of signals, against draws with one part shared by all units."""

from __future__ import annotations

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.signal.signal_moments import (
    activated,
    added,
    concatenated,
    pre_activation,
    scaled,
    shared_amplitude,
    unshared_variance,
)
from convex_init_core.theory.moments import FeatureMoments
from tests.core.monte_carlo import assert_agrees, off_diagonal_mean

BATCHES, ROWS, UNITS = 32, 4000, 8


def drawn(rng: np.random.Generator, shared: np.ndarray, signal: FeatureMoments, units: int = UNITS) -> np.ndarray:
    """Units that have ``shared``, one standard normal number per row, in common, and the rest for themselves."""
    own = np.sqrt(unshared_variance(signal)) * rng.standard_normal((shared.shape[0], units))
    return signal.mean + shared_amplitude(signal) * shared + own


def moments(values: np.ndarray) -> tuple[float, float, float]:
    return float(values.mean()), float(np.square(values).mean()), off_diagonal_mean(values)


def expected(signal: FeatureMoments) -> tuple[float, float, float]:
    return signal.mean, signal.second, signal.covariance + signal.mean**2


A, B = pre_activation(0.4, 1.3, 0.6), pre_activation(-0.7, 0.5, 0.2)


@pytest.mark.parametrize(
    ("made", "predicted"),
    [
        (lambda a, b, rng: a + b, added([A, B])),
        (lambda a, b, rng: a - b, added([A, scaled(B, -1.0)])),
        (lambda a, b, rng: 0.3 * a, scaled(A, 0.3)),
        (lambda a, b, rng: a * rng.normal(0.8, 0.5, a.shape), scaled(A, 0.8, 0.8**2 + 0.5**2)),
    ],
    ids=["sum", "difference", "constant factor", "random factor"],
)
def test_sums_and_products(made, predicted):
    rng = np.random.default_rng(1)
    found = np.empty((BATCHES, 3))
    minus = "difference" if predicted.mean > 1.0 else ""
    for batch in found:
        shared = rng.standard_normal((ROWS, 1))
        # Shared parts count as amplitudes, so what is subtracted is taken to rise where the other falls.
        b = drawn(rng, -shared if minus else shared, B)
        batch[:] = moments(made(drawn(rng, shared, A), b, rng))
    assert_agrees(found, np.array(expected(predicted)), scale=2.0)


def test_a_concatenation_is_a_unit_at_random():
    rng = np.random.default_rng(2)
    predicted = concatenated([(12.0, A), (4.0, B)])
    found = np.empty((BATCHES, 3))
    for batch in found:
        shared = rng.standard_normal((ROWS, 1))
        values = np.concatenate([drawn(rng, shared, A, 12), drawn(rng, shared, B, 4)], axis=1)
        centred = values - np.repeat([A.mean, B.mean], [12, 4])
        batch[:] = values.mean(), np.square(values).mean(), off_diagonal_mean(centred)
    # The amplitudes of pairs are those of the mean amplitude but for the pairs of a unit with itself: 1 in 16.
    assert_agrees(found[:, :2], np.array([predicted.mean, predicted.second]), scale=2.0)
    assert found[:, 2].mean() == pytest.approx(predicted.covariance, rel=0.05)


FAR = pre_activation(5.0, 2.0, 0.3)


@pytest.mark.parametrize(
    "signal",
    [
        added([A, FAR]),
        scaled(FAR, -3.0),
        scaled(FAR, 2.0, 7.0),
        concatenated([(3.0, A), (1.0, FAR)]),
        activated("elu", FAR),
    ],
    ids=["sum", "constant factor", "random factor", "concatenation", "activated"],
)
def test_variance_is_what_the_second_moment_has_beside_the_mean(signal):
    assert signal.second == pytest.approx(signal.variance + signal.mean**2, rel=1e-12)
    assert 0.0 < signal.covariance < signal.variance < signal.second


def test_an_activated_signal_has_the_moments_of_its_features():
    signal = pre_activation(0.3, 1.7, 0.4)
    assert activated("softplus", signal) == core.feature_moments(core.softplus(), 0.4, 1.7, 0.3)
    dead = activated("relu", pre_activation(0.3, 0.0, 0.0))
    assert (dead.mean, dead.variance) == (pytest.approx(0.3), 0.0)


def test_parts_of_a_signal():
    assert shared_amplitude(A) ** 2 + unshared_variance(A) == pytest.approx(A.variance)
    assert shared_amplitude(FeatureMoments(0.0, 1.0, 1.0, -0.1)) == 0.0


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="variance"):
        pre_activation(0.0, -1.0, 0.5)
    with pytest.raises(ValueError, match="correlation"):
        pre_activation(0.0, 1.0, 1.5)
    with pytest.raises(ValueError, match="at least one unit"):
        concatenated([])
