"""Samples have the law they claim, at every fan-in, and moments within bounds that know how heavy its tail is."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import gammaincc

import convex_init_core as core
from convex_init_core.weights.laws import DISTRIBUTIONS
from tests.core.samples import REJECT, assert_count, assert_log_follows

FAN_INS = (1, 10, 784, 100_000)
COUNT = 200_000


def law_at(distribution: str, fan_in: int) -> Any:
    layer = core.solve(fan_in)
    return core.non_negative_law(distribution, layer.weight_mean, layer.weight_variance)


def draw(seed: int, count: int = COUNT) -> core.NumpyDraw:
    return core.NumpyDraw(np.random.default_rng(seed), (count,))


@pytest.mark.parametrize("fan_in", FAN_INS)
@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_logarithms(distribution: str, fan_in: int) -> None:
    law = law_at(distribution, fan_in)
    assert_log_follows(law, law.sample_log(draw(fan_in)))


@pytest.mark.parametrize("fan_in", FAN_INS)
def test_log_normal_values(fan_in: int) -> None:
    law = law_at("log_normal", fan_in)
    values = law.sample(draw(fan_in + 1))
    assert values.min() > 0.0
    assert_log_follows(law, np.log(values))


@pytest.mark.parametrize("concentration", [0.05, 0.9, 1.0, 40.0])
def test_gamma_values(concentration: float) -> None:
    law = core.Gamma(concentration, 0.7)
    values = law.sample(draw(5))
    assert stats.kstest(values, stats.gamma(concentration, scale=0.7).cdf).pvalue > REJECT


@pytest.mark.parametrize("fan_in", FAN_INS)
def test_spike_and_slab(fan_in: int) -> None:
    law = law_at("spike_and_slab", fan_in)
    values = law.sample(draw(fan_in + 2))
    slab = values[values > 0.0]
    assert_count(slab.size, COUNT, law.probability)
    assert values.min() == 0.0 or law.probability > 0.9999
    assert stats.kstest(slab, stats.halfnorm(scale=law.scale).cdf).pvalue > REJECT


@pytest.mark.parametrize("fan_in", FAN_INS)
def test_two_point(fan_in: int) -> None:
    law = law_at("two_point", fan_in)
    values = law.sample(draw(fan_in + 3, 10 * COUNT))
    assert set(np.unique(values)) <= {0.0, law.value}
    assert_count(np.count_nonzero(values), 10 * COUNT, law.probability)


def test_normal_values() -> None:
    values = core.Normal(-0.2, 0.3).sample(draw(6))
    assert stats.kstest(values, stats.norm(-0.2, 0.3).cdf).pvalue > REJECT
    assert np.all(core.Normal(-0.2, 0.0).sample(draw(6)) == -0.2)


def survival(law: Any, weight: float) -> float:
    """P(w > weight)."""
    if isinstance(law, core.LogNormal):
        return float(stats.norm.sf((np.log(weight) - law.log_mean) / law.log_std))
    if isinstance(law, core.Gamma):
        return float(gammaincc(law.concentration, weight / law.scale))
    return float(law.probability * stats.halfnorm(scale=law.scale).sf(weight))


@pytest.mark.parametrize(
    ("distribution", "fan_in"),
    [
        *product(("log_normal", "gamma"), FAN_INS),
        *product(["spike_and_slab"], (1, 10, 784)),  # at 100,000 only ten draws are not 0
    ],
)
def test_moments_up_to_the_tail(distribution: str, fan_in: int) -> None:
    """The mean of min(w, c) and of min(w, c)², with c exceeded by some hundred samples.

    The plain mean of a log-normal with σ̂² = 10 hangs on draws rarer than one in the sample, and no bound on it is both
    true and sharp. Cut off at c the variable is bounded and the central limit theorem gives five standard errors; what
    lies above c is tested by its number.
    """
    law = law_at(distribution, fan_in)
    values = np.sort(law.sample(draw(fan_in + 4)))
    above = min(300, np.count_nonzero(values) // 10)
    # c must not depend on this sample: another one sets it.
    cut = float(np.sort(law.sample(draw(fan_in + 5)))[-above])
    for power in (1, 2):
        # E[min(w, c)^p] = ∫₀^c p w^(p−1) P(w > w) dw, over log w.
        expected = quad(
            lambda x, p=power: p * np.exp(p * x) * survival(law, np.exp(x)), np.log(cut) - 60.0, np.log(cut), limit=300
        )[0]
        capped = np.minimum(values, cut) ** power
        error = capped.std() / np.sqrt(COUNT)
        assert 5 * error < 0.75 * expected
        assert capped.mean() == pytest.approx(expected, abs=5 * error)
    assert_count(np.count_nonzero(values > cut), COUNT, survival(law, cut))


def test_draws_have_the_shape_and_come_from_the_generator() -> None:
    first, second, other = (
        core.LogNormal(0.0, 1.0).sample(core.NumpyDraw(np.random.default_rng(seed), (3, 4))) for seed in (1, 1, 2)
    )
    assert first.shape == (3, 4)
    np.testing.assert_array_equal(first, second)
    assert not np.any(first == other)
    rng = np.random.default_rng(3)
    repeated = core.NumpyDraw(rng, (5,))
    assert not np.any(repeated.normal(0.0, 1.0) == repeated.normal(0.0, 1.0))


def test_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for distribution in DISTRIBUTIONS:
        law_at(distribution, 10).sample(draw(0, 10))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


class DrawInPlace(core.NumpyDraw):
    """Overwrites what :class:`Draw` allows to be overwritten, as a framework may to spare memory."""

    def exp(self, value: np.ndarray) -> np.ndarray:
        return np.exp(value, out=value)

    def add(self, value: np.ndarray, other: Any) -> np.ndarray:
        return np.add(value, other, out=value)

    def multiply(self, value: np.ndarray, other: Any) -> np.ndarray:
        return np.multiply(value, other, out=value)

    def absolute(self, value: np.ndarray) -> np.ndarray:
        return np.abs(value, out=value)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_framework_may_draw_in_place(distribution: str) -> None:
    law = law_at(distribution, 10)
    for name in ("sample", "sample_log"):
        if hasattr(law, name):
            expected, found = (
                getattr(law, name)(kind(np.random.default_rng(4), (50,))) for kind in (core.NumpyDraw, DrawInPlace)
            )
            np.testing.assert_array_equal(found, expected)


def test_rows_of_log_normal_weights_are_what_the_pages_say() -> None:
    """A row of 784 realises 11 % of the variance of its law; 256 sum to 258 behind ``exp`` without the logarithm."""

    def rows(fan_in: int) -> Any:
        return law_at("log_normal", fan_in).sample(core.NumpyDraw(np.random.default_rng(0), (3000, fan_in)))

    shares = np.quantile(rows(784).var(1) / core.solve(784).weight_variance, (0.25, 0.5, 0.75))
    assert shares.round(2).tolist() == [0.05, 0.11, 0.26]
    assert np.median(np.exp(rows(256)).sum(1)) == pytest.approx(258.0, abs=0.5)
    assert 256 * core.solve(256).weight_mean == pytest.approx(1.85, abs=0.005)
