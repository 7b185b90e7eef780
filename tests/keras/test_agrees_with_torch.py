"""The torch plug-in and Keras on each backend plan the same, draw the same moments and report the same signal."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import convex_init.keras as ours
from tests.keras.arrays import array, normal

torch = pytest.importorskip("torch", reason="the comparison needs torch beside Keras")

SETTINGS = {"correlation": 0.3, "variance": 2.0, "bias_noise": 0.2, "distribution": "gamma"}


def pair() -> tuple[keras.Sequential, object]:
    nn = torch.nn
    return (
        keras.Sequential(
            [
                keras.Input((12,)),
                layers.Dense(60, activation="relu"),
                layers.Dense(50, activation="leaky_relu"),
                layers.Dense(40),
            ]
        ),
        nn.Sequential(
            nn.Linear(12, 60), nn.ReLU(), nn.Linear(60, 50), nn.LeakyReLU(0.2), nn.Linear(50, 40)
        ),
    )  # fmt: skip


def test_the_same_plan_and_the_same_moments():
    import convex_init.torch as theirs

    model, module = pair()
    mine, other = ours.plan(model, **SETTINGS).layers, theirs.plan(module, **SETTINGS).layers
    assert [layer.role for layer in mine] == [layer.role for layer in other]
    for a, b in zip(mine, other, strict=True):
        assert a.recipe == b.recipe
    ours.apply_(model, seed=1, **SETTINGS)
    theirs.apply_(module, generator=torch.Generator().manual_seed(1), **SETTINGS)
    for layer, plan in zip(model.layers, mine, strict=True):
        k = array(layer.kernel).astype("float64")
        w = next(m for m in module if getattr(m, "out_features", 0) == k.shape[1]).weight.detach().double().numpy()
        assert k.shape == w.T.shape
        for power in (1, 2):
            a, b = (k**power).ravel(), (w**power).ravel()
            # Two independent samples: 5 standard errors of the difference, from the samples themselves.
            error = np.sqrt((a.var() + b.var()) / a.size)
            assert abs(a.mean() - b.mean()) < 5.0 * error, (plan.path, power)


def test_the_same_report_for_the_same_weights():
    import convex_init.torch as theirs

    model, module = pair()
    ours.apply_(model, seed=1, **SETTINGS)
    linears = [m for m in module if hasattr(m, "out_features")]
    with torch.no_grad():
        for layer, linear in zip(model.layers, linears, strict=True):
            linear.weight.copy_(torch.from_numpy(array(layer.kernel).T.copy()))
            linear.bias.copy_(torch.from_numpy(array(layer.bias).copy()))
    x = normal(64, 12)
    mine, other = ours.signal_report(model, x).layers, theirs.signal_report(module, torch.from_numpy(x)).layers
    for a, b in zip(mine, other, strict=True):
        for name in ("mean", "variance", "correlation", "active", "gradient", "predicted_gradient"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=2e-3, abs=1e-4), (a.path, name)
        for name in ("mean", "variance", "correlation"):
            assert getattr(a.predicted, name) == pytest.approx(getattr(b.predicted, name), rel=2e-3, abs=1e-4)
