"""The judge's word on functions of TensorFlow, and what variables that change, state and arguments do to it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from convex_init.tensorflow.trace import run, trace, traced
from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.graph.nodes import Place

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 4)).astype(np.float32)
FREE = tf.Variable(RNG.normal(size=(4, 4)).astype(np.float32))
POSITIVE = tf.Variable(np.abs(RNG.normal(size=(4, 4))).astype(np.float32))
STATE = tf.Variable(np.ones((6, 4), dtype=np.float32))
VARIABLES = {"free": FREE, "positive": POSITIVE, "state": STATE}


def certificate(function):
    graph = trace(function, VARIABLES, (X,))
    return certificate_of(graph, judge(graph))


def layers(x, act=tf.nn.relu, weight=lambda: tf.convert_to_tensor(POSITIVE)):
    z = act(x @ FREE)
    return act(z @ weight() + x @ FREE)


def scanned(x):
    z = x
    for _ in tf.range(3):
        z = tf.nn.relu(z @ POSITIVE + x)
    return z


def huber(x, edge=1.0):
    return tf.where(x > edge, x - 0.5, tf.where(x < -edge, -x - 0.5, 0.5 * x * x))


def expected_relu(x, density=1.0):
    """The mean of a ReLU of a noisy value."""
    half = 0.5 * x * (1.0 + tf.math.erf(x / np.sqrt(2.0)))
    return half + density * tf.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)


CONVEX = {
    "huber in three pieces": lambda x: huber(x @ FREE) @ POSITIVE,
    "layers with a ReLU smoothed by noise": lambda x: layers(x, expected_relu),
    "clamped weights": layers,
    "softplus weights": lambda x: layers(x, tf.nn.softplus, lambda: tf.nn.softplus(FREE) / 4),
    "squared weights": lambda x: layers(x, tf.nn.elu, lambda: FREE**2),
    "a function in a function": lambda x: tf.function(layers)(x),
    "loop": scanned,
    "logsumexp": lambda x: tf.reduce_logsumexp(x @ FREE, axis=-1),
    "norm": lambda x: tf.norm(x @ FREE, axis=-1),
    "maximum of pieces": lambda x: tf.reduce_max(x @ FREE, axis=-1),
}


def assigned(x):
    STATE.assign(-tf.abs(x))
    return STATE + 0.0


def assigned_between(x):
    POSITIVE.assign_sub(10 * tf.ones((4, 4)))
    y = tf.nn.relu(x) @ POSITIVE
    POSITIVE.assign_add(10 * tf.ones((4, 4)))
    return y


def assigned_by_a_branch(x):
    if tf.reduce_sum(x) > 0:
        STATE.assign(-x)
    return STATE * 1.0


def listed(x):
    made = tf.TensorArray(tf.float32, 2)
    made = made.write(tf.cast(tf.reduce_sum(x) > 0, tf.int32), -tf.abs(x))
    return made.read(0)


NOT_CONVEX = {
    "huber that jumps": lambda x: huber(x, 1.1),
    "huber of what is convex": lambda x: huber(tf.nn.elu(x)),
    "a ReLU smoothed too little": lambda x: expected_relu(x, 0.9),
    "free weights": lambda x: layers(x, weight=lambda: tf.convert_to_tensor(FREE)),
    "concave activation": lambda x: layers(x, tf.nn.tanh),
    "negated": lambda x: -layers(x),
    "leaky relu with a large slope": lambda x: tf.nn.leaky_relu(x, 1.5),
    "remainder": lambda x: x % 1.0,
    "floor in a branch": lambda x: tf.where(x > 0, tf.floor(x), 0.0),
    "floor of a quotient": lambda x: tf.where(x > 0, x // 1.0, 0.0),
    "finite or not": lambda x: tf.where(tf.math.is_finite(tf.exp(x * 50)), x, -tf.abs(x)),
    "no nan": lambda x: tf.math.divide_no_nan(-tf.abs(x), POSITIVE[0, 0] - POSITIVE[0, 0]),
    "assigned": assigned,
    "assigned between": assigned_between,
    "assigned by a branch": assigned_by_a_branch,
    "kept in a list": listed,
    "softmax": lambda x: tf.nn.softmax(x),
    "saturating cast": lambda x: tf.cast(tf.saturate_cast(x, tf.int8), tf.float32),
    "a callback": lambda x: tf.ensure_shape(tf.numpy_function(lambda a: -np.abs(a), [x], tf.float32), X.shape),
    "statistics of the batch": lambda x: tf.compat.v1.nn.fused_batch_norm(x[None, None], FREE[0], FREE[0])[0],
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_functions_are_certified(name):
    assert str(certificate(CONVEX[name])) == "convex"


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_others_are_not(name):
    assert not certificate(NOT_CONVEX[name])


def test_variables_inputs_and_outputs_have_their_names():
    other = tf.Variable(np.ones(4, dtype=np.float32), name="unnamed")

    def function(x, index, *, factor, mode):
        assert mode == "static"
        return {"a": x["left"] @ FREE * factor, "b": [index, x["right"] + other]}

    args = {"left": X, "right": X}, np.arange(2)
    graph = trace(function, VARIABLES, args, {"factor": np.float32(2), "mode": "static"})
    assert set(graph.inputs) == {"0.left", "0.right", "factor"}
    assert set(graph.outputs) == {"output.a", "output.b.0", "output.b.1"}
    assert [node.params["name"] for node in graph if node.name == "parameter"] == ["free"]
    assert {node.params["name"] for node in graph if node.name == "buffer"} == {"1", "unnamed:0"}
    assert graph.outputs["output.b.0"].is_fixed
    assert graph.outputs["output.b.0"].bounds is None  # another index may be given next time


def test_buffers_are_not_learnt():
    graph = trace(lambda x: x @ FREE + x @ POSITIVE, VARIABLES, (X,), buffers={"positive"})
    assert [node.params["name"] for node in graph if node.name == "parameter"] == ["free"]


def test_a_run_visits_places_and_goes_on_with_what_it_is_given():
    made = traced(lambda x: scanned(x) @ FREE, VARIABLES, (X,))
    first = next(node for node in made.graph if node.name == "relu")
    (weight,) = (node for node in made.graph if node.name == "parameter" and node.params["name"] == "free")
    met = []

    def visit(place, array):
        met.append(place)
        return array * 2 if place == first.place else array + 1

    (output,) = run(made, [first.place, weight.place], visit)
    assert set(met) == {first.place, weight.place}
    z = 2 * np.maximum(X @ POSITIVE + X, 0)
    for _ in range(2):
        z = np.maximum(z @ POSITIVE + X, 0)
    np.testing.assert_allclose(output, z @ (FREE + 1), rtol=1e-4)
    (unchanged,) = run(made, [], lambda place, array: None, arrays={"0": X + 1})
    np.testing.assert_allclose(unchanged, scanned(tf.constant(X + 1)) @ FREE, rtol=1e-4)
    with pytest.raises(ValueError, match="nothing is computed"):
        run(made, [Place("Cosh")], visit)
