"""The contract's core on a CUDA device, where Keras places everything by itself."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from convex_init.keras import ICNN, ConvexDense, ICNNInit, apply_
from convex_init_core import InitSettings, positive_recipe
from tests.contract.convexity import convexity_violation
from tests.contract.law_bounds import assert_follows
from tests.keras.arrays import array, normal


def device_of(tensor: object) -> str:
    if keras.backend.backend() == "jax":
        return next(iter(tensor.devices())).platform
    return str(tensor.device)


@pytest.mark.gpu
@pytest.mark.parametrize("positivity", ["projection", "exp", "softplus"])
def test_draw_train_and_stay_convex_on_a_gpu(positivity):
    raw = ICNNInit(seed=1, positivity=positivity)((50, 4000))
    assert any(word in device_of(raw).lower() for word in ("cuda", "gpu"))
    initializer = ICNNInit(positivity=positivity)
    law = positive_recipe(50, "relu", InitSettings()).weight
    assert_follows(
        initializer.positivity.value(array(raw).astype("float64")), law, initializer.positivity, epsilon=3e-6
    )
    model = ICNN(6, [32, 32], positivity=positivity, seed=1)
    apply_(model, seed=2)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    x = normal(256, 6)
    model.fit(x, -np.abs(x[:, :1]), batch_size=64, epochs=2, verbose=0)
    assert all(array(layer.effective_kernel).min() >= 0.0 for layer in model.layers if isinstance(layer, ConvexDense))
    assert convexity_violation(lambda z: array(model(z.astype("float32"))), 6, segments=300) < 1e-3
