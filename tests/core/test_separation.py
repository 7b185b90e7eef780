"""What a layer does to the difference of two inputs."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import Gamma, SignalStatistics, as_activation, separation, solve


@pytest.mark.parametrize("bias_noise", [0.0, 0.5])
@pytest.mark.parametrize("correlation", [0.1, 0.5, 0.9])
def test_at_the_paper_s_fixed_point_the_own_part_shrinks_by_what_is_unshared(correlation, bias_noise):
    relu = as_activation("relu")
    for fan_in in (10, 1000):
        found = separation(
            solve(fan_in, relu, correlation, 1.0, bias_noise), SignalStatistics(0.0, 1.0, correlation), relu
        )
        assert found.own == pytest.approx((1.0 - correlation) * (1.0 - bias_noise))
    assert found.shared < 1.0
    if correlation == 0.5:
        assert found.shared == pytest.approx(0.86, abs=0.01)


def test_by_monte_carlo():
    """8 layers of 1500 units; an average over 12,000 units of a squared gamma sum: 5 % is five standard errors."""
    rng, relu, width = np.random.default_rng(3), as_activation("relu"), 1500
    signal, layer = SignalStatistics(0.0, 1.0, 0.5), solve(width)
    law = Gamma.from_moments(layer.weight_mean, layer.weight_variance)
    expected = separation(layer, signal, relu)
    own, shared = [], []
    for _ in range(8):
        weights = rng.gamma(law.concentration, law.scale, (width, width))
        s = rng.normal(0.0, 1.0, width)
        features = np.maximum(s, 0.0)
        apart = 1e-3 * rng.normal(size=width)
        difference = weights @ (np.maximum(s + apart, 0.0) - features)
        own.append(np.mean(difference**2) / 1e-6)
        shared.append(np.mean(weights @ (np.maximum(s + 1e-3, 0.0) - features)) / 1e-3)
    # A mean of zero over the units: what all have in common adds N μ_w² E[φ'²], of order 1/N.
    assert np.mean(own) == pytest.approx(expected.own, rel=0.05)
    assert np.mean(shared) ** 2 == pytest.approx(expected.shared, rel=0.05)
