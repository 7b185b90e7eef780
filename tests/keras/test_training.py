"""Contract, points 4, 5, 7: the projection, non-negativity under Keras' ways to train, convexity afterwards."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexConv1D, ConvexConv2D, ConvexConv3D, ConvexDense, ICNNInit, NonNeg
from tests.contract.convexity import convexity_violation
from tests.keras.arrays import array, network, normal, weights

X = normal(128, 6)
Y = np.stack([X[:, 0] * X[:, 1], -np.abs(X[:, 2]), X[:, 3]], axis=1)  # pushes weights below 0


def test_projection():
    values = np.array([-np.inf, -1.0, -0.0, 0.0, 1e-30, 2.0, np.inf, np.nan], "float32")
    once = array(NonNeg()(keras.ops.convert_to_tensor(values)))
    np.testing.assert_array_equal(once, [0.0, 0.0, 0.0, 0.0, np.float32(1e-30), 2.0, np.inf, np.nan])
    np.testing.assert_array_equal(array(NonNeg()(keras.ops.convert_to_tensor(once))), once)
    assert isinstance(NonNeg(), keras.constraints.NonNeg)


WAYS = {
    "eagerly": {"run_eagerly": True},
    "compiled": {"jit_compile": True},
    "several steps per execution": {"steps_per_execution": 2},
}


@pytest.mark.parametrize("way", WAYS)
def test_weights_stay_non_negative_however_keras_trains(way):
    if way == "compiled" and keras.backend.backend() == "torch":
        pytest.skip("jit_compile=True is torch.compile there, which needs a C++ compiler and most of a minute")
    if way == "several steps per execution" and keras.backend.backend() == "torch":
        pytest.skip("Keras has no steps_per_execution on the torch backend")
    model = network()
    positive = model.layers[1:]
    assert all(array(layer.kernel).min() >= 0.0 for layer in positive)  # at step 0
    before = weights(model)
    model.compile(keras.optimizers.SGD(0.1), "mse", **WAYS[way])
    model.fit(X, Y, batch_size=32, epochs=2, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, weights(model), strict=True))
    clamped = sum(np.sum(array(layer.kernel) == 0.0) for layer in positive)
    assert clamped > 0  # else the constraint had nothing to do here
    assert all(array(layer.kernel).min() >= 0.0 for layer in positive)
    assert array(model.layers[0].kernel).min() < 0.0
    assert convexity_violation(lambda x: array(model(x.astype("float32"))), 6, segments=300) < 1e-5


@pytest.mark.parametrize("positivity", ["exp", "softplus", "square", "relu", "abs"])
def test_a_reparametrised_network_is_convex_after_training(positivity):
    model = ICNN(6, [12, 12], 2, positivity=positivity, skip=True, seed=1)
    assert not any(weight.constraint for weight in model.weights)
    model.compile(keras.optimizers.SGD(0.05), "mse", run_eagerly=True)
    before = weights(model)
    model.fit(X, Y[:, :2], batch_size=64, epochs=1, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, weights(model), strict=True))
    for layer in model.layers:
        if isinstance(layer, ConvexDense):
            assert array(layer.effective_kernel).min() >= 0.0
    assert convexity_violation(lambda x: array(model(x.astype("float32"))), 6, segments=300) < 1e-5


CONVOLUTIONS = [
    (ConvexConv1D, layers.Conv1D, (2, 9, 4), {}),
    (ConvexConv1D, layers.Conv1D, (2, 9, 4), {"padding": "causal", "dilation_rate": 2}),
    (ConvexConv2D, layers.Conv2D, (2, 7, 7, 4), {"groups": 2, "strides": 2, "padding": "same"}),
    (ConvexConv3D, layers.Conv3D, (2, 4, 5, 4, 4), {}),
]


@pytest.mark.parametrize(("convex", "plain", "shape", "options"), CONVOLUTIONS)
def test_convex_convolution_is_the_plain_one_with_effective_weights(convex, plain, shape, options):
    layer = convex(6, 3, positivity="softplus", activation="relu", kernel_initializer=ICNNInit(seed=1), **options)
    x = normal(*shape)
    outputs = array(layer(x))
    reference = plain(6, 3, activation="relu", **options)
    reference.build(shape)
    reference.kernel.assign(layer.effective_kernel)
    reference.bias.assign(layer.bias)
    np.testing.assert_allclose(outputs, array(reference(x)), rtol=1e-4, atol=1e-5)
    assert array(layer.kernel).min() < 0.0 < array(layer.effective_kernel).min()


def test_a_convex_layer_refuses_an_initializer_that_does_not_know_the_map():
    with pytest.raises(TypeError, match="kernel_initializer of ConvexDense"):
        ConvexDense(3, kernel_initializer="he_normal")
    with pytest.raises(ValueError, match="positivity exp"):
        ConvexDense(3, positivity="softplus", kernel_initializer=ICNNInit(positivity="exp"))
    with pytest.raises(ValueError, match="distribution 'two_point'"):
        ConvexDense(3, positivity="exp", kernel_initializer=ICNNInit(distribution="two_point"))
    with pytest.raises(ValueError, match="positivity 'cube' is unknown"):
        ConvexDense(3, positivity="cube")


def test_mixed_precision():
    policy = keras.DTypePolicy("mixed_bfloat16" if keras.backend.backend() != "torch" else "mixed_float16")
    layer = ConvexDense(8, positivity="exp", kernel_initializer=ICNNInit(seed=1), dtype=policy)
    wide = ConvexDense(8, positivity="exp", kernel_initializer=ICNNInit(seed=1))
    x = np.abs(normal(4, 30))
    narrow = array(keras.ops.cast(layer(x), "float32"))
    np.testing.assert_array_equal(array(layer.kernel), array(wide(x) is not None and wide.kernel))
    np.testing.assert_allclose(narrow, array(wide(x)), atol=0.05)
