"""Contract, point 2: mean, variance and correlation of the pre-activations that Keras' own layers compute.

Each repeat draws the layer and the data anew, so the bounds come from the spread of 32 independent repeats. Signals are
Gaussian with statistics off the fixed point; fan-in and fan-out differ.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ConvexConv2D, ConvexDense, ICNNInit, apply_, icnn, plan
from convex_init.keras.serialisation import core_activation
from convex_init_core import InitSettings, SignalStatistics, forward, forward_convolution, positive_recipe
from tests.contract.fields import correlated_field, field_statistics, unit_statistics
from tests.core.monte_carlo import assert_agrees
from tests.keras.arrays import array

REPEATS = 32
ELSEWHERE = SignalStatistics(0.2, 1.5, 0.2)


def fed(activation: object, field: np.ndarray) -> np.ndarray:
    """Features, channels last, as a layer of the network gets them."""
    phi = activation if callable(activation) else keras.activations.get(activation)
    return array(phi(keras.ops.convert_to_tensor(np.moveaxis(field, 1, -1).astype("float32"))))


DENSE = {
    "relu": ("relu", {}),
    "leaky_relu": ("leaky_relu", {}),
    "LeakyReLU": (layers.LeakyReLU(0.3), {}),
    "softplus": ("softplus", {"variance": 2.0}),
    "elu, bias noise": ("elu", {"correlation": 0.2, "bias_noise": 0.5}),
}


@pytest.mark.parametrize("case", DENSE)
def test_dense_with_both_initializers(case):
    phi, chosen = DENSE[case]
    settings = {"distribution": "spike_and_slab", **chosen}
    core = core_activation(phi)
    expected = forward(ELSEWHERE, positive_recipe(40, core, InitSettings(**settings)).statistics, core)
    found = []
    for seed in range(REPEATS):
        layer = layers.Dense(300, **icnn(phi, seed=seed, **settings))
        field = correlated_field(np.random.default_rng(seed), ELSEWHERE, 800, 40)
        found.append(unit_statistics(array(layer(fed(phi, field))).astype("float64"), expected.mean))
    due = [expected.mean, expected.variance, expected.correlation * expected.variance]
    assert_agrees(np.array(found), due, expected.variance, resolution=0.15)


def test_convex_dense_is_no_different_for_its_map():
    """The effective weights are the same draw whatever the map, so one map's signal stands for all."""
    x = np.abs(np.random.default_rng(0).standard_normal((20, 30))).astype("float32")
    outputs = []
    for positivity in ("projection", "relu", "exp", "softplus", "square", "abs"):
        layer = ConvexDense(9, positivity=positivity, kernel_initializer=ICNNInit(seed=2))
        outputs.append(array(layer(x)))
    for output in outputs[1:]:
        np.testing.assert_allclose(output, outputs[0], rtol=2e-4, atol=2e-5)


CONVOLUTIONS = {
    "Conv1D": (lambda: layers.Conv1D(60, 5), 8, (12,), 1),
    "Conv1D, grouped and dilated": (lambda: layers.Conv1D(60, 3, groups=4, dilation_rate=3), 8, (12,), 4),
    "Conv2D": (lambda: layers.Conv2D(120, (3, 2)), 5, (6, 5), 1),
    "ConvexConv2D": (lambda: ConvexConv2D(120, (3, 2), positivity="softplus"), 5, (6, 5), 1),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=20), 4, (6, 5), 4),
    "Conv3D": (lambda: layers.Conv3D(120, 2), 3, (4, 4, 3), 1),
}


def wrapped(field: np.ndarray, layer: layers.Layer) -> np.ndarray:
    """Continue a field that wraps around, so that a layer without padding sees what the core computes."""
    reach = [(k - 1) * d for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    return np.pad(field, [(0, 0), (0, 0), *((0, r) for r in reach)], mode="wrap")


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case):
    make, channels, grid, groups = CONVOLUTIONS[case]
    settings = {"distribution": "spike_and_slab" if "Convex" not in case else "gamma", "bias_noise": 0.2}
    layer = make()
    shape = [g + (k - 1) * d for g, k, d in zip(grid, layer.kernel_size, layer.dilation_rate, strict=True)]
    model = keras.Sequential([keras.Input((*shape, channels)), layers.ReLU(), layer])
    recipe = plan(model, **settings).layers[0].recipe
    field = field_statistics(ELSEWHERE, grid, smooth=True)
    out = forward_convolution(field, recipe.statistics, recipe.activation, layer.kernel_size, layer.dilation_rate)
    found = []
    for seed in range(REPEATS):
        apply_(model, seed=seed, **settings)
        drawn = correlated_field(np.random.default_rng(seed), ELSEWHERE, 60, channels, grid, smooth=True)
        s = array(model(np.moveaxis(wrapped(drawn, layer), 1, -1).astype("float32"))).astype("float64")
        # Units of one group share their inputs; Keras orders them group by group.
        parts = np.split(s.reshape(-1, s.shape[-1]), groups, axis=1)
        found.append(np.mean([unit_statistics(part, out.mean) for part in parts], axis=0))
    expected = out.signal
    due = [expected.mean, expected.variance, expected.correlation * expected.variance]
    assert_agrees(np.array(found), due, expected.variance, resolution=0.3)


TRANSPOSED = {
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(60, 4, strides=2), 8, (10,)),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(80, (4, 3), strides=(2, 3)), 4, (7, 5)),
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolution(case):
    """Away from the borders every output sums kernel/stride taps, which see independent positions here."""
    make, channels, grid = TRANSPOSED[case]
    settings = {"distribution": "spike_and_slab"}
    layer = make()
    model = keras.Sequential([keras.Input((*grid, channels)), layers.ReLU(), layer])
    recipe = plan(model, **settings).layers[0].recipe
    taps = [k // s for k, s in zip(layer.kernel_size, layer.strides, strict=True)]
    field = field_statistics(ELSEWHERE, tuple(max(3, t + 1) for t in taps))
    expected = forward_convolution(field, recipe.statistics, recipe.activation, taps).signal
    found = []
    for seed in range(REPEATS):
        apply_(model, seed=seed, **settings)
        drawn = correlated_field(np.random.default_rng(seed), ELSEWHERE, 150, channels, grid)
        s = array(model(np.moveaxis(drawn, 1, -1).astype("float32"))).astype("float64")
        for axis, (k, stride) in enumerate(zip(layer.kernel_size, layer.strides, strict=True), start=1):
            s = np.take(s, np.arange(k - stride, s.shape[axis] - (k - stride)), axis=axis)
        found.append(unit_statistics(s.reshape(-1, s.shape[-1]), expected.mean))
    due = [expected.mean, expected.variance, expected.correlation * expected.variance]
    assert_agrees(np.array(found), due, expected.variance, resolution=0.3)
