"""Models of JAX and Keras as expressions: one integration, by the graphs of their own tracers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cvxpy.agreement import worst

NEAR = 1e-5
"""Of models that compute in float32."""


def weights(*shape):
    return np.abs(np.random.default_rng(sum(shape)).standard_normal(shape)).astype(np.float32) * 0.3


def in_jax():
    jax = pytest.importorskip("jax")
    nn, jnp = jax.nn, jax.numpy
    lax = jax.lax
    params = {
        "free": jnp.asarray(weights(5, 6) - 0.2),
        "up": jnp.asarray(weights(6, 2)),
        "k": jnp.asarray(weights(3, 3, 1, 2)),
    }

    def pooled(p, x):
        z = lax.conv_general_dilated(x, p["k"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        z = lax.reduce_window(nn.relu(z), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")
        return z.mean((1, 2, 3))

    return {
        "relu": ((lambda p, x: nn.relu(x @ p["free"]) @ p["up"], params), (5,)),
        "softplus": ((lambda p, x: nn.softplus(x @ p["free"]) @ p["up"], params), (5,)),
        "elu": ((lambda p, x: nn.elu(x @ p["free"]) @ p["up"], params), (5,)),
        "log-sum-exp": ((lambda p, x: nn.logsumexp(x @ p["free"], axis=1), params), (5,)),
        "flipped": ((lambda p, x: jnp.maximum(x[:, ::-1], jnp.roll(x, 1, 1)).sum(1), params), (5,)),
        "convolution and pool": ((pooled, params), (6, 5, 1)),
    }


@pytest.mark.parametrize("name", ["relu", "softplus", "elu", "log-sum-exp", "flipped", "convolution and pool"])
def test_a_function_of_jax(name):
    model, shape = in_jax()[name]
    fn, params = model
    example = np.random.default_rng(1).standard_normal((4, *shape)).astype(np.float32)

    def run(numbers):
        return np.asarray(fn(params, numbers[None].astype(np.float32)))

    assert worst(model, shape, run, example) < NEAR


def in_keras(name):
    keras = pytest.importorskip("keras")
    layers = keras.layers
    inputs = keras.Input((6, 6, 1) if name == "image" else (5,))
    if name == "image":
        z = layers.Conv2D(2, 3, strides=2, padding="same")(inputs)
        z = layers.MaxPooling2D(2, padding="same")(layers.BatchNormalization()(layers.ReLU()(z)))
        z = layers.GlobalAveragePooling2D()(z)
    else:
        z = layers.Dense(6, activation=name)(inputs)
        z = layers.Concatenate()([z, inputs])
    model = keras.Model(inputs, layers.Dense(1, kernel_constraint="non_neg")(z))
    for variable in model.trainable_variables[-2:]:
        variable.assign(abs(variable.numpy()) if hasattr(variable, "numpy") else abs(np.asarray(variable)))
    return model


@pytest.mark.parametrize("name", ["relu", "softplus", "elu", "leaky_relu", "image"])
def test_a_model_of_keras(name):
    model = in_keras(name)
    shape = tuple(model.inputs[0].shape[1:])
    example = np.random.default_rng(1).standard_normal((4, *shape)).astype(np.float32)

    def run(numbers):
        return np.asarray(model.predict(numbers[None].astype(np.float32), verbose=0))

    assert worst(model, shape, run, example) < NEAR
