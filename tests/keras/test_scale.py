"""Sharded and mirrored models are drawn like single-device ones, and the constraint holds after training.

In processes of their own, because the devices of jax and tensorflow are fixed when they start.
"""

from __future__ import annotations

import keras
import pytest

from tests.keras.arrays import in_fresh_process

MODEL = """
import os, sys
import numpy as np, keras
from keras import layers
from convex_init.keras import ICNN, ICNNInit, apply_, icnn

def make():
    # LecunNormal with a seed too: everything is fixed. The positive layers share their initializers.
    shared = icnn("relu", seed=3)
    return keras.Sequential([
        keras.Input((16,)),
        layers.Dense(32, activation="relu", kernel_initializer=keras.initializers.LecunNormal(seed=1), name="dense"),
        layers.Dense(32, activation="relu", name="dense_1", **shared),
        layers.Dense(32, activation="relu", name="dense_2", **shared),
        layers.Dense(8, name="dense_3", **shared),
    ])

def values(model):
    return [keras.ops.convert_to_numpy(w) for w in model.weights]

def same(a, b):
    for p, q in zip(values(a), b, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-6, atol=1e-7)

def trained(model, **options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 16)).astype("float32")
    y = -np.abs(rng.standard_normal((64, 8))).astype("float32")
    before = values(model)
    model.compile(keras.optimizers.SGD(0.1), "mse", **options)
    model.fit(x, y, batch_size=32, epochs=3, verbose=0)
    after = values(model)
    assert all(np.any(a != b) for a, b in zip(before, after))
    assert min(k.min() for k in after[2::2]) == 0.0, [k.min() for k in after[2::2]]

single = values(make())
assert not np.any(single[2] == single[4])
applied = values(apply_(make(), seed=5))
"""

JAX = """
import jax
assert len(jax.devices()) == 8
devices = keras.distribution.list_devices()
if sys.argv[1] == "data":
    distribution = keras.distribution.DataParallel(devices=devices)
else:
    mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"], devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*dense.*kernel"] = (None, "model")
    layout[".*dense.*bias"] = ("model",)
    distribution = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
keras.distribution.set_distribution(distribution)
model = make()
kernel = model.layers[1].kernel.value
shards = {shard.data.shape for shard in kernel.addressable_shards}
assert shards == ({(32, 32)} if sys.argv[1] == "data" else {(32, 8)}), shards
same(model, single)
apply_(model, seed=5)
same(model, applied)
assert {shard.data.shape for shard in model.layers[1].kernel.value.addressable_shards} == shards
trained(model, jit_compile=True)
print("done")
"""

JAX_LARGE = """
# Above 250 MB over all devices Keras draws a kernel under jax.jit, shard by shard.
mesh = keras.distribution.DeviceMesh((1, 8), ["batch", "model"], keras.distribution.list_devices())
layout = keras.distribution.LayoutMap(mesh)
layout[".*kernel"] = (None, "model")
shared = ICNNInit(seed=3)
shape = (4096, 2048)
expected = [keras.ops.convert_to_numpy(shared.clone()(shape))]
keras.distribution.set_distribution(keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch"))
kernels = []
for name in "ab":
    layer = layers.Dense(shape[1], use_bias=False, kernel_initializer=shared, name=name)
    layer.build((None, shape[0]))
    assert {shard.data.shape for shard in layer.kernel.value.addressable_shards} == {(4096, 256)}
    kernels.append(keras.ops.convert_to_numpy(layer.kernel))
np.testing.assert_allclose(kernels[0], expected[0], rtol=1e-5)
assert np.mean(kernels[0] == kernels[1]) < 1e-3
print("done")
"""

MIRRORED = """
import tensorflow as tf
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    model = make()
    same(model, single)
    apply_(model, seed=5)
    same(model, applied)
trained(model)
for weight in model.weights:
    replicas = [np.asarray(value) for value in weight.value.values]
    assert len(replicas) == 2
    np.testing.assert_array_equal(*replicas)
print("done")
"""

TWO_CPUS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
"""


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution needs the jax backend")
@pytest.mark.parametrize("case", ["data", "model", "large"])
def test_keras_distribution_on_eight_devices(case):
    code = MODEL + (JAX_LARGE if case == "large" else JAX)
    said = in_fresh_process(code, case, XLA_FLAGS="--xla_force_host_platform_device_count=8", JAX_PLATFORMS="cpu")
    assert said.split()[-1] == "done"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute needs the tensorflow backend")
def test_mirrored_strategy_on_two_devices():
    assert in_fresh_process(TWO_CPUS + MODEL + MIRRORED).split()[-1] == "done"
