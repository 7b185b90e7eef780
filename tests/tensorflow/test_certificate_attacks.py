"""Functions of TensorFlow that are not convex and were made to look so: arguments by numbers, host code, containers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from convex_init.tensorflow.trace import trace
from convex_init_core.convexity.judge import certificate_of, judge

X = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
STATE = tf.Variable(np.ones((4, 4), dtype=np.float32))


def certificate(function):
    graph = trace(function, {"state": STATE}, (X,))
    return certificate_of(graph, judge(graph))


def energy(x):
    return tf.reduce_sum(tf.square(x), axis=-1)


def positive(x):
    return tf.cast(tf.reduce_sum(x) > 0, tf.int32)


def written_by_python(x):
    y = tf.py_function(lambda a: (STATE.assign(-tf.abs(a)), a)[1], [x], tf.float32)
    with tf.control_dependencies([y]):
        return STATE.read_value()


def looped(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 3.0, lambda y: (2.0 * y + 1.0,), (x,))[0]


def hides_nan(function):
    return lambda x: function(-tf.math.log(x))


ATTACKS = {
    "a choice that hides NaN": hides_nan(lambda z: tf.where(z > 0.0, z, 0.0)),
    # Of these, some leave NaN out, and some where XLA compiles them.
    "pool of NaN": hides_nan(lambda z: tf.nn.max_pool1d(z[:, :, None], 2, 1, "SAME")),
    "rank of NaN": hides_nan(lambda z: tf.math.top_k(z, 1)[0]),
    "sort of NaN": hides_nan(lambda z: tf.reduce_sum(tf.sort(z, direction="DESCENDING")[:, :2], -1)),
    "maximum of NaN": hides_nan(lambda z: tf.reduce_max(z, axis=-1)),
    "maximum of NaN and a number": hides_nan(lambda z: tf.maximum(0.0, z)),
    "minimum of NaN": hides_nan(lambda z: -tf.minimum(-z, 1.0)),
    "roll by a number": lambda x: tf.roll(x, positive(x), 1),
    "axis by a number": lambda x: tf.raw_ops.ReverseV2(tensor=x, axis=[positive(x)]),
    "lengths by numbers": lambda x: tf.reverse_sequence(x, tf.repeat(positive(x), 4) * 3, seq_axis=1),
    "axis of a gather": lambda x: tf.ensure_shape(tf.gather(x, (0, 1, 2, 3), axis=positive(x)), (4, 4)),
    "permutation by a number": lambda x: tf.ensure_shape(tf.transpose(x, [positive(x), 1 - positive(x)]), (4, 4)),
    "written by Python": written_by_python,
    "read by Python": lambda x: tf.ensure_shape(tf.numpy_function(lambda a: -np.abs(a), [x], tf.float32), (4, 4)),
    "condition": lambda x: tf.cond(tf.reduce_sum(x) > 50, lambda: -energy(x), lambda: energy(x)),
    "case": lambda x: tf.switch_case(positive(x), [lambda: x, lambda: -x]),
    "loop": looped,
    "places": lambda x: tf.where(tf.size(tf.where(x > 20)) > 0, -energy(x), energy(x)),
    "mask": lambda x: tf.reduce_sum(tf.boolean_mask(x, x > 0)),
    "finite": lambda x: tf.where(tf.reduce_all(tf.math.is_finite(tf.exp(x))), energy(x), -energy(x)),
    "negated map": lambda x: tf.map_fn(lambda row: -row * row, x),
    "own gradient": lambda x: tf.custom_gradient(lambda y: (-y * y, lambda up: up))(x),
    "gelu and its approximation": lambda x: tf.nn.gelu(x, approximate=True) - tf.nn.gelu(x),
    "random numbers": lambda x: tf.nn.relu(x) * tf.random.uniform(()),
    "fake quantisation": lambda x: tf.quantization.fake_quant_with_min_max_args(x),
    "float8": lambda x: tf.cast(tf.cast(x, tf.dtypes.experimental.float8_e4m3fn), tf.float32),
    "saturating cast": lambda x: tf.cast(tf.saturate_cast(1e5 * x, tf.float16), tf.float32),
    "bits": lambda x: -tf.bitcast(tf.bitcast(x, tf.int32), tf.float32),
    "list at a place by numbers": lambda x: (
        tf.TensorArray(tf.float32, 4).unstack(x).write(3 * positive(x), -x[0] * x[0]).stack()
    ),
    "names": lambda x: {"a.b": -energy(x), "a": {"b": energy(x)}},
    "keys of two types": lambda x: {0: -energy(x), "0": energy(x)},
    "namespace": lambda x: [energy(x), SimpleNamespace(y=-energy(x))],
    "ragged": lambda x: [energy(x), tf.RaggedTensor.from_row_splits(tf.reshape(-x * x, [-1]), [0, 5, 16])],
    "sparse": lambda x: [energy(x), tf.sparse.from_dense(-x * x)],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_not_convex_gets_no_certificate(name):
    assert not certificate(ATTACKS[name])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrow_type_is_noted(dtype):
    found = certificate(lambda x: tf.cast(tf.nn.relu(tf.cast(x, dtype)), tf.float32))
    assert found
    assert any(f"rounds to {dtype}" in note for note in found.notes)
