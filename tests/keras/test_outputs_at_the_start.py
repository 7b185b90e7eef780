"""Our network as Keras makes it: its outputs start where they are told, and not at the scale of its layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from convex_init.keras import ICNN, apply_

TARGETS = np.random.default_rng(0).normal(6.4, 3.0, size=1024)


def outputs(model, seed):
    x = keras.random.normal((2048, 8), seed=seed)
    return np.asarray(keras.ops.convert_to_numpy(model(x)))


@pytest.mark.parametrize(("method", "skip"), [("log_normal", False), ("isometric", False), ("isometric", True)])
def test_outputs_do_not_follow_the_variance_of_the_layers(method, skip):
    settings = {"activation": "softplus", "skip": skip, "method": method}
    made = {v: [ICNN(8, [32] * 3, variance=v, seed=seed, **settings) for seed in range(3)] for v in (1.0, 16.0)}
    found = {variance: np.mean([outputs(model, 1).var() for model in models]) for variance, models in made.items()}
    assert found[16.0] < 6.0 * max(found[1.0], 0.3)


def test_it_starts_where_it_is_told():
    told = [
        ICNN(8, [32] * 2, seed=0, **asked)
        for asked in ({"output_mean": 0.0}, {"targets": TARGETS}, {"output_mean": 6.4})
    ]
    plain, whole, moved = (outputs(model, 1).mean() for model in told)
    assert whole - 3.0 * plain == pytest.approx(6.4, abs=1.0)
    assert moved - plain == pytest.approx(6.4, abs=1e-3)
    model = apply_(told[0], keras.random.normal((2048, 8), seed=2), targets=TARGETS, seed=0)
    assert outputs(model, 1).mean() == pytest.approx(6.4, abs=0.6)
    assert outputs(model, 1).var() == pytest.approx(9.0, rel=0.3)
    with pytest.raises(ValueError, match="the baseline has none"):
        ICNN(8, 4, positivity=None, output_mean=1.0)
