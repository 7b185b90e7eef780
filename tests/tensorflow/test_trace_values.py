"""What is traced computes what the function computes, idiom by idiom."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from convex_init.tensorflow.trace import trace
from tests.graph_evaluation import evaluated

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4)).astype(np.float32)
IMAGE = RNG.normal(size=(2, 6, 5, 4)).astype(np.float32)
VARIABLES = {
    "w": tf.Variable(RNG.normal(size=(4, 4)).astype(np.float32)),
    "b": tf.Variable(RNG.normal(size=4).astype(np.float32)),
    "kernel": tf.Variable(RNG.normal(size=(3, 2, 4, 6)).astype(np.float32)),
    "grouped": tf.Variable(RNG.normal(size=(3, 2, 2, 6)).astype(np.float32)),
    "depthwise": tf.Variable(RNG.normal(size=(3, 2, 4, 2)).astype(np.float32)),
}
W, B = VARIABLES["w"], VARIABLES["b"]


@tf.function
def inner(x):
    return tf.sin(x) @ W


def counted(x):
    for _ in tf.range(3):
        x = x * 2 + 1
    return x


def stretched(x):
    return tf.linalg.matmul(tf.reshape(x, (1, 3, 4)), tf.stack([W, 2 * W]))


# Function of one input; the operations that the graph must have, if it is not plain.
IDIOMS = {
    "dense": (lambda x: tf.matmul(x, W) + B, "contract add"),
    "transposed products": (
        lambda x: (
            tf.matmul(tf.matmul(W, x, transpose_b=True), x, transpose_a=False)
            + tf.matmul(x, tf.ones((3, 4)), transpose_a=True)
        ),
        "contract",
    ),
    "bias": (lambda x: tf.nn.bias_add(x, B), "add"),
    "batched": (lambda x: tf.linalg.matmul(tf.stack([x, x + 1]), tf.stack([W, W * 2]), transpose_b=True), "contract"),
    "batched by one matrix": (lambda x: tf.linalg.matmul(tf.stack([x, x + 1]), W), "contract"),
    "stretched batch": (stretched, "contract broadcast"),
    "einsum": (lambda x: tf.einsum("bi,oi->ob", x, W), "contract transpose"),
    "einsum of batches": (lambda x: tf.einsum("...i,io->...o", tf.stack([x, x]), W), "contract"),
    "einsum with a sum": (lambda x: tf.einsum("bi,cd->b", x, W), "contract sum"),
    "tensordot": (lambda x: tf.tensordot(x, W, [[1], [0]]), "contract"),
    "relu": (lambda x: tf.nn.relu(x), "relu"),
    "relu by maximum": (lambda x: tf.maximum(0.0, x) + tf.maximum(x, 0.0), "maximum relu"),
    "relu6": (lambda x: tf.nn.relu6(x), "relu minimum"),
    "leaky_relu": (lambda x: tf.nn.leaky_relu(x, 0.3), "leaky_relu"),
    "elu": (lambda x: tf.nn.elu(x), "elu"),
    "selu": (lambda x: tf.nn.selu(x), "selu"),
    "softplus": (lambda x: tf.nn.softplus(x), "softplus"),
    "gelu": (lambda x: tf.nn.gelu(x), "gelu"),
    "silu": (lambda x: tf.nn.silu(x), "silu"),
    "log_sigmoid": (lambda x: tf.math.log_sigmoid(x), "log_sigmoid"),
    "sigmoid": (lambda x: tf.sigmoid(x) + tf.nn.softsign(x), "sigmoid softsign"),
    "logsumexp": (lambda x: tf.reduce_logsumexp(x, axis=-1), "log_sum_exp"),
    "logsumexp of everything": (lambda x: tf.reduce_logsumexp(x), "log_sum_exp"),
    "logsumexp that keeps axes": (lambda x: tf.reduce_logsumexp(x, axis=0, keepdims=True), "log_sum_exp"),
    "softmax": (lambda x: tf.nn.softmax(x) + tf.nn.log_softmax(x), "softmax log_softmax"),
    "softmax of rows": (lambda x: tf.nn.softmax(x, axis=0), "softmax transpose"),
    "norm": (lambda x: tf.norm(x, axis=-1), "norm"),
    "norm by hand": (lambda x: tf.sqrt(tf.reduce_sum(x**2, axis=-1)), None),
    "mean": (lambda x: tf.reduce_mean(x, axis=0, keepdims=True), "mean"),
    "variance": (lambda x: tf.math.reduce_variance(x, axis=-1), "square mean"),
    "maximum along": (lambda x: tf.reduce_max(x, -1) - tf.reduce_sum(tf.reduce_min(x, 0)), "max min"),
    "where": (lambda x: tf.where(x > 0, x, 0.1 * x), "where compare"),
    "clip": (lambda x: tf.clip_by_value(x, -0.5, 0.5), "maximum minimum"),
    "powers": (lambda x: x**2 + tf.square(x) + tf.abs(x) ** 1.5 + 1 / (1 + x * x), "square power divide"),
    "exponentials": (lambda x: tf.exp(x) + tf.math.expm1(x) + tf.math.log1p(x * x), "exp expm1 log1p"),
    "more functions": (lambda x: tf.cosh(x) + tf.tanh(x) * tf.sin(x) - tf.atan(x) + tf.math.erf(x), "cosh erf"),
    "rounding": (lambda x: tf.floor(x) + tf.math.ceil(x) + tf.round(x) + tf.sign(x), "floor ceil round sign"),
    "roots": (lambda x: tf.sqrt(x * x) + tf.math.rsqrt(1 + x * x), "sqrt rsqrt"),
    "squared difference": (lambda x: tf.math.squared_difference(x, B), "square subtract"),
    "indexing": (lambda x: x[1] + tf.reduce_sum(x[:, ::2]) + tf.reduce_sum(x[-1, 1:3]), "slice"),
    "indexing with new axes": (lambda x: x[..., None, 1:] + x[None, :, :1, None][0], "slice reshape"),
    "shapes": (lambda x: tf.transpose(tf.reshape(x, (3, 2, 2)), (2, 0, 1))[:, :, None], "transpose"),
    "broadcasts": (lambda x: tf.broadcast_to(x[:, None], (3, 2, 4)) + tf.broadcast_to(B, (2, 4)), "broadcast"),
    "concatenation": (lambda x: tf.concat([x, W, tf.stack([x[0], x[1]])], 0), "concatenate stack"),
    "padding": (lambda x: tf.pad(x, ((1, 0), (2, 3)), constant_values=0.5), "pad"),
    "split": (lambda x: tf.split(x, 2, axis=1)[1] * tf.split(x, [1, 2, 1], axis=1)[1], "slice"),
    "unstacked": (lambda x: tf.unstack(x, axis=1)[2], "slice"),
    "cumulative": (lambda x: tf.cumsum(x, axis=1), "cumulative_sum"),
    "largest": (lambda x: tf.math.top_k(x, 2)[0], "largest"),
    "added": (lambda x: tf.add_n([x, x * 2, x * x]), "add"),
    "casts": (lambda x: tf.cast(tf.cast(x, tf.float64) * 2, tf.float32), "cast"),
    "shape of the input": (lambda x: x / tf.cast(tf.shape(x)[1], tf.float32) + tf.zeros_like(x), "divide"),
    "call": (lambda x: inner(x) + 1, "sin contract"),
    "counted loop": (counted, "multiply"),
    "gradient stopped": (lambda x: tf.stop_gradient(x) * 2, "multiply"),
    "known branch": (lambda x: tf.cond(B[0] > 9, lambda: tf.sin(x), lambda: tf.cos(x)), "cos"),
    "positive weights": (lambda x: x @ (tf.nn.softplus(W) / 4), "softplus divide contract"),
    "normalised": (
        lambda x: tf.reshape(
            tf.compat.v1.nn.fused_batch_norm(
                tf.reshape(x, (3, 1, 1, 4)), B + 0, B + 0, mean=B + 0, variance=tf.abs(B), is_training=False
            )[0],
            (3, 4),
        ),
        None,
    ),
}


@pytest.mark.parametrize("idiom", IDIOMS)
def test_idioms(idiom):
    function, wanted = IDIOMS[idiom]
    if idiom == "normalised":
        (node,) = (node for node in trace(function, VARIABLES, (X,)) if node.name == "batch_norm")
        assert node.params["axis"] == 3
        assert node.params["epsilon"] == pytest.approx(1e-3)
        return
    check(function, (X,), wanted)


def check(function, args, wanted=None):
    graph = trace(function, VARIABLES, args)
    expected = tf.nest.flatten(function(*map(tf.constant, args)))
    found = evaluated(graph, {str(index): array for index, array in enumerate(args)}, np.asarray)
    for (name, array), value in zip(found.items(), expected, strict=True):
        assert array is not None, f"{name} is not known"
        np.testing.assert_allclose(array, value, rtol=2e-5, atol=2e-5)
    assert set((wanted or "").split()) <= {node.name for node in graph}
    return graph


CONVOLUTIONS = {
    "plain": (lambda x: tf.nn.conv2d(x, VARIABLES["kernel"], 1, "VALID"), 24),
    "strides": (lambda x: tf.nn.conv2d(x, VARIABLES["kernel"], (2, 1), "VALID"), 24),
    "dilation": (lambda x: tf.nn.conv2d(x, VARIABLES["kernel"], 1, "VALID", dilations=(1, 3)), 24),
    "depthwise": (lambda x: tf.nn.depthwise_conv2d(x, VARIABLES["depthwise"], (1, 1, 1, 1), "VALID"), 6),
    "one dimension": (lambda x: tf.nn.conv1d(x[:, :, 0], VARIABLES["kernel"][:, 0], 1, "VALID"), 12),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    function, expected = CONVOLUTIONS[name]
    graph = check(function, (IMAGE,), "convolve")
    (node,) = (node for node in graph if node.name == "convolve")
    _, weight = node.inputs
    assert math.prod(weight.shape[axis] for axis in node.params["weight_axes"][1:]) == expected


def test_a_grouped_convolution_names_its_groups():
    graph = trace(lambda x: tf.nn.conv2d(x, VARIABLES["grouped"], 1, "SAME"), VARIABLES, (IMAGE,))
    (node,) = (node for node in graph if node.name == "convolve")
    assert node.params["groups"] == 2


def test_a_transposed_convolution_has_the_strides_of_its_output():
    weight = tf.Variable(RNG.normal(size=(3, 2, 6, 4)).astype(np.float32))
    graph = trace(lambda x: tf.nn.conv2d_transpose(x, weight, (2, 12, 15, 6), (2, 3)), {"weight": weight}, (IMAGE,))
    (node,) = (node for node in graph if node.name == "convolve")
    assert node.params["transposed"]
    assert node.params["strides"] == (2, 3)
    assert [weight.shape[axis] for axis in node.params["weight_axes"]] == [6, 4, 3, 2]


MOVES = {
    "gather": lambda x: tf.gather(x, [2, 0], axis=1),
    "rearrange": lambda x: tf.reverse(x, [0]),
    "join": lambda x: tf.tensor_scatter_nd_update(x, [[1]], B[None]),
    "window_max": lambda x: tf.nn.max_pool1d(x[None], 2, 1, "VALID")[0],
    "average": lambda x: tf.nn.avg_pool1d(x[None], 2, 1, "VALID")[0],
}


@pytest.mark.parametrize("op", MOVES)
def test_moves_that_the_graph_does_not_tell_in_full(op):
    graph = trace(MOVES[op], VARIABLES, (X,))
    assert op in {node.name for node in graph}
    assert graph.outputs["output"].shape == tuple(MOVES[op](tf.constant(X)).shape)


def looped(x):
    while tf.reduce_sum(x) < 9:
        x = x * 2 + 1
    return x


def long(x):
    for _ in tf.range(65):
        x = x * 1.01
    return x


def branching(x):
    return tf.sin(x) if tf.reduce_sum(x) > 0 else tf.cos(x)


OPAQUE = {
    "no rule": lambda x: tf.math.digamma(x),
    "branches": branching,
    "loop of unknown length": looped,
    "long loop": long,
    "callback": lambda x: tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), (3, 4)),
    "product of all": lambda x: tf.reduce_prod(x, axis=0),
    "whole numbers": lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32),
    "clip to bounds in disorder": lambda x: tf.raw_ops.ClipByValue(t=x, clip_value_min=1.0, clip_value_max=0.0),
    "division that hides a pole": lambda x: tf.math.divide_no_nan(x, x),
    "a batch's own statistics": lambda x: tf.compat.v1.nn.fused_batch_norm(x[None, None], B + 0, B + 0)[0],
    "random numbers": lambda x: x * tf.random.normal((4,)),
    "floor division": lambda x: x // 0.3,
    "scattered": lambda x: tf.scatter_nd([[0], [0], [2]], x, (5, 4)),
}


@pytest.mark.parametrize("name", OPAQUE)
def test_what_is_not_understood_is_opaque(name):
    graph = trace(OPAQUE[name], VARIABLES, (X,))
    assert any(node.name == "opaque" and not node.is_fixed for node in graph)
    assert all(node.params["why"] for node in graph if node.name == "opaque")
