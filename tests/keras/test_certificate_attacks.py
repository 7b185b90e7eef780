"""Keras models that are not convex and were made to look so: state, calls of their own, casts, sizes, containers."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers, ops

from convex_init.keras import certify
from tests.keras.arrays import normal

X = normal(3, 4)
BACKEND = keras.backend.backend()


class Subclassed(keras.Model):
    """A function of the model itself and its input, with a counter, a seed and two variables."""

    def __init__(self, function):
        super().__init__()
        self.function, self.calls, self.history = function, 0, []
        self.seed = keras.random.SeedGenerator(1)
        self.kernel = self.add_weight(shape=(4, 4), initializer="ones", name="kernel")
        self.count = self.add_weight(shape=(), initializer="zeros", name="count", trainable=False)
        self.built = True

    def call(self, x, training=None):
        return self.function(self, x)


def energy(x):
    return ops.sum(ops.square(x), axis=-1)


def either(x, condition):
    return -energy(x) if condition else energy(x)


def counted(model, x):
    model.calls += 1
    return either(x, model.calls > 2)


def counted_late(model, x):
    model.calls += 1
    return either(x, model.calls > 1000)


def counted_in_a_list(model, x):
    model.history.append(None)
    return either(x, len(model.history) > 2)


COUNT = itertools.count(1)


def counted_globally(model, x):
    return either(x, next(COUNT) > 1000)


def counted_by_a_variable(model, x):
    model.count.assign(model.count + 1.0)
    return ops.where(model.count > 2.0, -energy(x), energy(x))


def kept_from_the_last_call(model, x):
    y = ops.relu(x) * (model.count + 1.0)
    model.count.assign(ops.sum(x))
    return y


def assigned_between(model, x):
    model.kernel.assign(-ops.ones((4, 4)))
    y = ops.matmul(ops.relu(x), model.kernel)
    model.kernel.assign(ops.ones((4, 4)))
    return y


def form_assigned_between(model, x):
    model.kernel.assign(-ops.eye(4))
    y = ops.matmul(x, model.kernel)
    model.kernel.assign(ops.eye(4))
    return ops.sum(y * x, axis=-1)


def caught(ask):
    def function(model, x):
        try:
            return either(x, ask(x))
        except Exception:  # whatever the backend raises
            return energy(x)

    return function


def scale_from_the_input(model, x):  # (1 − 3) · relu(x)
    ones = ops.ones((3, 4))
    return ops.batch_normalization(ones, 3.0 * ones[0], ones[0], -1, scale=ops.relu(x[0]), epsilon=1e-8)


ATTACKS = {
    "a choice that hides NaN": lambda model, x: ops.where(-ops.log(x) > 0, -ops.log(x), 0.0),
    # torch's own threshold keeps NaN
    **(
        {}
        if keras.backend.backend() == "torch"
        else {"a threshold that hides NaN": lambda model, x: ops.threshold(-ops.log(x), 0.0, 0.0)}
    ),
    "another number for NaN": lambda model, x: ops.nan_to_num(-ops.log(x)),
    # Another call does something else (rows 6, 9 and 14).
    "counter": counted,
    "counter that turns late": counted_late,
    "counter in a list": counted_in_a_list,
    "global counter": counted_globally,
    "counter in a variable": counted_by_a_variable,
    "kept from the last call": kept_from_the_last_call,
    "assigned between": assigned_between,
    "form assigned between": form_assigned_between,
    "own random numbers": lambda model, x: ops.relu(x) * keras.random.uniform((), -0.01, 1.0, seed=model.seed),
    "global random numbers": lambda model, x: ops.relu(x) * keras.random.uniform((), -0.01, 1.0),
    # Sizes, questions, and what is caught (rows 2, 3 and 10).
    "places": lambda model, x: either(x, len(ops.nonzero(x > 20)[0])),
    "finite": lambda model, x: either(x, not ops.all(ops.isfinite(ops.exp(x)))),
    "caught truth": caught(lambda x: ops.sum(x) > 50),
    "caught number": caught(lambda x: float(ops.convert_to_numpy(ops.sum(x))) > 50),
    "condition": lambda model, x: ops.cond(ops.sum(x) > 50, lambda: -energy(x), lambda: energy(x)),
    # Arguments of functions (rows 4, 5 and 8).
    "squareplus of a negative number": lambda model, x: ops.squareplus(x, b=-1),
    "turned leaky relu": lambda model, x: -ops.leaky_relu(x, negative_slope=-2),
    "steep leaky relu": lambda model, x: ops.leaky_relu(x, negative_slope=1.5),
    "relu with a ceiling": lambda model, x: keras.activations.relu(x, max_value=6.0),
    "relu with a threshold": lambda model, x: keras.activations.relu(x, threshold=1.0),
    "relu with a steep slope": lambda model, x: keras.activations.relu(x, negative_slope=2.0),
    "clip": lambda model, x: ops.clip(x, -1.0, 1.0),
    "steep elu": lambda model, x: ops.elu(x, alpha=2.0),
    "celu of a negative number": lambda model, x: ops.celu(x, alpha=-1.0),
    "shift by a number": lambda model, x: ops.roll(x, ops.cast(ops.sum(x) > 0, "int32"), 1),
    "gelu and its approximation": lambda model, x: ops.gelu(x, approximate=True) - ops.gelu(x, approximate=False),
    "decimals": lambda model, x: ops.round(x, 1) - ops.round(x),
    "scale from the input": scale_from_the_input,
    # Casts (row 12).
    "saturating cast": lambda model, x: ops.cast(ops.saturate_cast(x, "int8"), "float32"),
    "saturating half": lambda model, x: ops.cast(ops.saturate_cast(1e5 * x, "float16"), "float32"),
    "float8": lambda model, x: ops.cast(ops.cast(x, "float8_e4m3fn"), "float32"),
    "whole numbers": lambda model, x: ops.cast(ops.cast(x, "int32"), "float32"),
    # Containers and names (row 11).
    "names": lambda model, x: {"a.b": -energy(x), "a": {"b": energy(x)}},
    "names in the other order": lambda model, x: {"a.b": energy(x), "a": {"b": -energy(x)}},
    "namespace": lambda model, x: [energy(x), SimpleNamespace(y=-energy(x))],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_not_convex_gets_no_certificate(name):
    assert not certify(Subclassed(ATTACKS[name]), X, search=False)


if BACKEND == "tensorflow":
    import tensorflow as tf

    STATE = tf.Variable(np.ones((3, 4), dtype=np.float32))
    CALLS = tf.Variable(0.0)

    def written_by_python(model, x):
        tf.numpy_function(lambda a: STATE.assign(-np.abs(a)).numpy(), [x], tf.float32)
        return STATE + 0.0

    def counted_by_tensorflow(model, x):
        CALLS.assign_add(1.0)
        return tf.where(CALLS > 2.0, -energy(x), energy(x))

    ON_TENSORFLOW = {
        "written by Python": written_by_python,
        "counted by TensorFlow": counted_by_tensorflow,
        "eager or not": lambda model, x: either(x, tf.executing_eagerly()),
        "with numbers or not": lambda model, x: either(x, hasattr(x, "numpy")),
        "ragged": lambda model, x: [energy(x), tf.RaggedTensor.from_row_splits(tf.reshape(-x * x, [-1]), [0, 5, 12])],
        "sparse": lambda model, x: [energy(x), tf.sparse.from_dense(-x * x)],
        "reversed by a number": lambda model, x: tf.raw_ops.ReverseV2(
            tensor=tf.ensure_shape(x[:, :3], (3, 3)), axis=[tf.cast(tf.reduce_sum(x) > 0, tf.int32)]
        ),
    }

    @pytest.mark.parametrize("name", ON_TENSORFLOW)
    def test_ways_of_tensorflow_get_no_certificate(name):
        assert not certify(Subclassed(ON_TENSORFLOW[name]), X, search=False)


class Negated(keras.Sequential):
    def __call__(self, x, *args, **kwargs):
        return -super().__call__(x, *args, **kwargs)


class NegatedWithoutOptions(keras.Sequential):
    def __call__(self, x):
        return -super().__call__(x)


@pytest.mark.parametrize("kind", [Negated, NegatedWithoutOptions])
def test_a_call_of_its_own_is_certified(kind):
    model = kind([keras.Input((4,)), layers.Dense(3, "relu")])
    assert certify(model, X).verdict == "not convex"


class Untold(keras.Model):
    def call(self, x, training=None):
        return either(x, training is None)


class Trained(keras.Model):
    def call(self, x, training=True):
        return either(x, training)


@pytest.mark.parametrize("kind", [Untold, Trained])
def test_what_a_plain_call_does_counts(kind):
    model = kind()
    model(X)
    assert "without training=False the model does something else" in str(certify(model, X, search=False))


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have:UserWarning")
@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantised_models_are_staircases(mode):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(2, kernel_initializer="ones")])
    model.quantize(mode)
    assert not certify(model, X, search=False)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrow_type_is_noted(dtype):
    certificate = certify(Subclassed(lambda model, x: ops.cast(ops.relu(ops.cast(x, dtype)), "float32")), X)
    assert certificate
    assert any(f"rounds to {dtype}" in note for note in certificate.notes)


def test_inputs_that_clash_or_are_no_arrays_are_refused():
    class Both(keras.Model):
        def call(self, inputs):
            return energy(inputs["a"]["b"]) - energy(inputs["a.b"])

    model = Both()
    inputs = {"a.b": X, "a": {"b": 2 * X}}
    model(inputs)
    assert not certify(model, inputs, search=False)
    with pytest.raises(TypeError, match=r"example_inputs must hold arrays of numbers.*SimpleNamespace"):
        certify(Subclassed(lambda model, x: energy(x)), {"x": X, "context": SimpleNamespace(c=X)})


def test_the_model_is_left_as_it_was():
    model = Subclassed(counted)
    certify(model, X)
    assert model.calls == 0


def cached(model, x):
    if not model.history:
        model.history.append(ops.shape(x))
    model.calls = max(model.calls, 1)
    return energy(x)


HONEST = {
    "cache": cached,
    "projection in the call": lambda model, x: (
        model.kernel.assign(ops.maximum(model.kernel, 0.0)),
        ops.matmul(ops.relu(x), model.kernel),
    )[1],
    "text among the results": lambda model, x: {"energy": energy(x), "kind": "quadratic"},
}
if BACKEND != "torch":  # whose recorder knows the law of random numbers, not those of a fixed seed
    HONEST["constant random numbers"] = lambda model, x: ops.relu(x) * keras.random.uniform((), 0.1, 1.0, seed=3)


@pytest.mark.parametrize("name", HONEST)
def test_what_does_no_harm_keeps_its_certificate(name):
    assert certify(Subclassed(HONEST[name]), X, search=False)
