"""Contract, point 2: mean, variance and correlation of the pre-activations that a framework's own layers compute.

Each repeat draws the layer and the data anew, so the bounds come from the spread of independent repeats. Signals have
statistics on and off the fixed point; fan-in and fan-out differ.
"""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import SignalStatistics, forward, forward_convolution
from tests.contract.fields import correlated_field, field_statistics, unit_statistics
from tests.contract.frameworks import adapter
from tests.contract.small_models import dense, on_images
from tests.core.monte_carlo import assert_agrees

REPEATS = 24
FIXED_POINT = SignalStatistics(0.0, 1.0, 0.5)
ELSEWHERE = SignalStatistics(0.2, 1.5, 0.2)
LAW = {"method": "log_normal", "distribution": "spike_and_slab", "calibrate": False}

DENSE = {
    "at the fixed point": (FIXED_POINT, {}),
    "elsewhere": (ELSEWHERE, {}),
    "bias noise": (FIXED_POINT, {"bias_noise": 0.5}),
    "weakly correlated": (SignalStatistics(0.0, 2.0, 0.2), {"correlation": 0.2, "variance": 2.0}),
}


def expected_of(signal: SignalStatistics) -> list[float]:
    return [signal.mean, signal.variance, signal.correlation * signal.variance]


@pytest.mark.parametrize("case", DENSE)
def test_dense(framework, case):
    signal, chosen = DENSE[case]
    found = adapter(framework, dense(40, 300, **LAW, **chosen))
    recipe = found.plan().layers[0].recipe
    expected = forward(signal, recipe.statistics, recipe.activation)
    if case == "at the fixed point":
        assert expected_of(expected) == pytest.approx(expected_of(signal), abs=1e-9)
    rows = []
    for seed in range(REPEATS):
        found.apply(seed)
        field = correlated_field(np.random.default_rng(seed), signal, 1500, 40)
        rows.append(unit_statistics(found.run(field), expected.mean))
    assert_agrees(np.array(rows), expected_of(expected), expected.variance, resolution=0.15)


IMAGES = {
    "convolution": (lambda x: x.convolution("layer", 60, window=3), 5, 1, (3, 3), 0),
    "grouped": (lambda x: x.convolution("layer", 60, window=3, groups=4), 8, 4, (3, 3), 0),
    "transposed": (lambda x: x.transposed("layer", 60, window=4, stride=2), 6, 1, (2, 2), 2),
}
"""A layer, its channels, its groups, how many taps meet in each direction, and what to leave out at the borders."""


@pytest.mark.parametrize("case", IMAGES)
def test_images(framework, case):
    write, channels, groups, taps, border = IMAGES[case]
    found = adapter(framework, on_images(write, 7, channels, **LAW))
    recipe = found.plan().layers[0].recipe
    out = forward_convolution(
        field_statistics(ELSEWHERE, (7, 7), smooth=True), recipe.statistics, recipe.activation, taps
    ).signal
    rows = []
    for seed in range(REPEATS):
        found.apply(seed)
        field = correlated_field(np.random.default_rng(seed), ELSEWHERE, 120, channels, (7, 7), smooth=True)
        s = found.run(np.moveaxis(field, 1, -1))
        s = s[:, border : s.shape[1] - border, border : s.shape[2] - border]
        parts = [part.reshape(-1, part.shape[-1]) for part in np.split(s, groups, axis=-1)]  # which share inputs
        rows.append(np.mean([unit_statistics(part, out.mean) for part in parts], axis=0))
    assert_agrees(np.array(rows), expected_of(out), out.variance, resolution=0.2)
