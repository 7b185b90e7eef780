"""``as_convex`` in Keras: the class probabilities of an ordinary classifier, from a network whose logits are convex."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, Between, ConvexDense, apply_, as_convex, certify, plan
from tests.keras.arrays import array

RNG = np.random.default_rng(0)
IMAGE = (7, 9, 2)


def dense(*activations, classes=3, last=None):
    return [layers.Dense(7 - k, activation) for k, activation in enumerate(activations)] + [layers.Dense(classes, last)]


def images():
    """There is a carrier from the second product on."""
    return [layers.Conv2D(3, 3, activation="relu"), layers.Conv2D(3, 1)]


def flat():
    return [layers.Flatten(), layers.Dense(3)]


FIRST = "channels_first"


class OwnNorm(layers.BatchNormalization):
    """Does something else than a normalisation, if only far from the examples."""

    def call(self, x, **options):
        return keras.ops.clip(super().call(x, **options), -1e3, 1e3)


class OwnDense(layers.Dense):
    """Likewise."""

    def call(self, x):
        return keras.ops.clip(super().call(x), -1e3, 1e3)


class OwnReLU(layers.ReLU):
    """Likewise."""

    def call(self, x):
        return keras.ops.clip(super().call(x), -1e3, 1e3)


class OwnDropout(layers.Dropout):
    """Likewise, in training as well."""

    def call(self, x, training=None):
        return keras.ops.clip(x, -1e3, 1e3)


CLASSIFIERS = {
    "relu": (lambda: dense("relu", "relu", "relu"), (5,)),
    "softmax at the end": (lambda: dense("relu", "relu", last="softmax"), (5,)),
    "logarithm of a softmax": (lambda: dense("relu", "relu", last="log_softmax"), (5,)),
    "softmax as a layer": (lambda: [*dense("relu", "relu"), layers.Softmax()], (5,)),
    "activations": (lambda: dense("leaky_relu", "elu", "softplus", "celu"), (5,)),
    "as layers": (lambda: [layers.Dense(6), layers.LeakyReLU(0.1), layers.Dense(6), layers.ELU(0.5), *dense()], (5,)),
    "batch norm": (lambda: [layers.Dense(6), layers.BatchNormalization(), layers.ReLU(), *dense(), *dense()], (5,)),
    "dropout": (lambda: [layers.Dense(6, "relu"), layers.Dropout(0.5), *dense("relu")], (5,)),
    "convolutions": (
        lambda: [
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.Conv2D(4, 3, 2, padding="same", activation="relu"),
            layers.Flatten(),
            *dense("relu"),
        ],
        IMAGE,
    ),
    "groups and pooling": (
        lambda: [
            layers.Conv2D(4, 3, activation="relu", padding="same"),
            layers.Conv2D(4, 3, groups=2, padding="same"),
            layers.MaxPooling2D((2, 3), (2, 2)),
            layers.ReLU(),
            layers.AveragePooling2D(2, 1),
            layers.Flatten(),
            *dense(),
        ],
        IMAGE,
    ),
    "mean at the end": (
        lambda: [layers.Conv1D(4, 3, activation="relu"), layers.Conv1D(4, 2, activation="relu"), layers.Conv1D(3, 1),
                 layers.GlobalAveragePooling1D()],
        (8, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_same_class_probabilities_from_convex_logits(name):
    make, shape = CLASSIFIERS[name]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *make()])
    for variable in model.weights:
        if "moving" in variable.path or "gamma" in variable.path:
            variable.assign(RNG.uniform(0.5, 2.0, variable.shape))
        elif len(variable.shape) == 1:
            variable.assign(RNG.normal(size=variable.shape))
    x, other = (RNG.normal(0.0, scale, (30, *shape)).astype("float32") for scale in (1.0, 2.0))
    convex = as_convex(model, x)
    expected = model(other, training=False)
    expected = array(expected if name.startswith("softmax") else keras.ops.softmax(expected))
    np.testing.assert_allclose(array(keras.ops.softmax(convex(other))), expected, atol=3e-5)
    certificate = certify(convex, x)
    assert certificate, certificate
    kernels = [array(layer.kernel) for layer in convex.layers if hasattr(layer, "kernel")]
    assert min(float(kernel.min()) for kernel in kernels[1:]) >= 0.0
    assert not convex.trainable_variables


def test_a_convex_form_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input(IMAGE), *CLASSIFIERS["groups and pooling"][0]()])
    x = RNG.normal(size=(4, *IMAGE)).astype("float32")
    convex = as_convex(model, x)
    convex.save(tmp_path / "convex.keras")
    np.testing.assert_allclose(
        array(keras.models.load_model(tmp_path / "convex.keras")(x)), array(convex(x)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: dense("relu", classes=1), (5,), "one output is no softmax"),
        (lambda: dense("relu", last="sigmoid"), (5,), "a sigmoid sees the shift"),
        (lambda: dense("tanh"), (5,), "concave"),
        (lambda: [*dense("relu"), layers.LayerNormalization(), *dense()], (5,), "LayerNormalization is no layer"),
        (lambda: [layers.BatchNormalization(), *dense()], (5,), "BatchNormalization is known directly behind"),
        (lambda: [layers.Conv2D(3, 3), layers.ReLU(), layers.Dense(3), layers.Flatten()], IMAGE, "Dense on an array"),
        (lambda: [layers.Conv2D(3, 3), layers.MaxPooling2D(2, padding="same"), *dense()], IMAGE, "padding='valid'"),
        (lambda: [*dense("relu"), layers.Softmax(axis=0)], (5,), "softmax.*: it is not over the classes"),
        (lambda: [*dense("relu", last="softmax"), layers.Softmax()], (5,), "a layer behind the softmax"),
        (lambda: [*images(), layers.AveragePooling2D(2, data_format=FIRST), *flat()], IMAGE, "2d.*: data_format"),
        (lambda: [*images(), layers.GlobalAveragePooling2D(data_format=FIRST), *dense()], IMAGE, "2d.*: data_format"),
        (lambda: [*images(), layers.ZeroPadding2D(1, data_format=FIRST), *flat()], IMAGE, "padding2d.*: data_format"),
        (lambda: [*images(), layers.Flatten(data_format=FIRST), *dense()], IMAGE, "flatten.*: data_format"),
        (lambda: [layers.Conv2D(3, 3), layers.BatchNormalization(1), *flat()], IMAGE, "batch_.*: axis must be last"),
        (lambda: [layers.Dense(4), OwnNorm(), *dense()], (5,), "own_norm.*: OwnNorm is no layer"),
        (lambda: [OwnDense(4, "relu"), *dense("relu")], (5,), "own_dense.*: OwnDense is no layer"),
        (lambda: [layers.Dense(4), OwnReLU(), *dense()], (5,), "own_re_lu.*: OwnReLU is no layer"),
        (lambda: [layers.Dense(4, "relu"), OwnDropout(0.1), *dense()], (5,), "own_dropout.*: OwnDropout is no layer"),
    ],
)  # fmt: skip
def test_refusals(make, shape, message):
    model = keras.Sequential([keras.Input(shape), *make()])
    with pytest.raises(ValueError, match=message):
        as_convex(model, RNG.normal(size=(4, *shape)).astype("float32"))


def narrow(bias=0.0, **options):
    model = keras.Sequential([keras.Input((5,)), *dense("relu")], **options)
    model.layers[0].bias.assign(np.full(7, bias))
    return model


@pytest.mark.parametrize(
    ("model", "x", "error", "message"),
    [
        (lambda: keras.Sequential(dense("relu")), np.ones((3, 5)), ValueError, "has no weights yet; call it once"),
        (lambda: layers.Dense(3), np.ones((3, 5)), TypeError, "model must be a keras.Model, got Dense"),
        (narrow, np.ones((0, 5)), ValueError, "example_inputs: .* is empty"),
        (narrow, np.full((3, 5), np.nan), ValueError, "example_inputs: .* NaN"),
        (narrow, np.ones((3, 4)), ValueError, "example_inputs: the model fails on them"),
        (narrow, ["a"], TypeError, "example_inputs must be one array of numbers"),
        (lambda: narrow(-np.inf), np.ones((3, 5)), ValueError, "dense.*: its bias holds NaN or infinite"),
    ],
    ids=["not built", "a layer", "empty", "not a number", "of another width", "letters", "an infinite bias"],
)
def test_what_is_no_classifier_or_no_example(model, x, error, message):
    with pytest.raises(error, match=message):
        as_convex(model(), x)


def test_a_chain_in_a_chain():
    x = keras.Input((5,))
    model = keras.Model(x, layers.Dense(3)(keras.Sequential([layers.Dense(6, "relu"), layers.Dense(6, "elu")])(x)))
    examples = RNG.normal(size=(9, 5)).astype("float32")
    assert certify(as_convex(model, examples), examples)


def test_more_digits_come_from_layers_of_another_dtype():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), *(layers.Dense(64, "relu") for _ in range(12)), layers.Dense(3)])
    for layer in model.layers:
        layer.kernel.assign(RNG.normal(0.0, (2.0 / layer.kernel.shape[0]) ** 0.5, layer.kernel.shape))
    with pytest.raises(ValueError, match=r"in float32 class .*; build the model of layers with dtype='float64', or t"):
        as_convex(model, RNG.normal(size=(9, 5)))


def test_two_branches_are_no_chain():
    x = keras.Input((5,))
    model = keras.Model(x, layers.Add()([layers.Dense(3)(x), layers.Dense(3)(x)]))
    with pytest.raises(ValueError, match="Add joins two branches"):
        as_convex(model, RNG.normal(size=(4, 5)))


def test_a_network_trains_beside_a_carrier():
    model = ICNN(5, [8, 8, 8], 3, carrier=0.1, seed=0)
    assert [(each.path, each.low) for each in plan(model).kept] == [("positive_1", -0.1), ("positive_2", -0.1)]
    x, y = RNG.normal(size=(64, 5)).astype("float32"), RNG.integers(0, 3, 64)
    model.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=12, verbose=0)
    smallest = [float(array(layer.kernel).min()) for layer in model.layers if hasattr(layer, "kernel")]
    assert smallest[1:3] == pytest.approx([-0.1, -0.1])
    assert smallest[3] < -0.1
    assert "convex up to a shift that they have in common" in str(certify(model, x))
    assert certify(as_convex(model, x), x)


@pytest.mark.parametrize(
    ("last", "outputs", "message"), [(None, 1, "one output is no softmax"), ("sigmoid", 3, "a sigmoid sees the shift")]
)
def test_layers_beside_a_carrier_are_for_a_softmax_only(last, outputs, message):
    beside = Between(-0.1, np.inf)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, "relu"), ConvexDense(8, kernel_constraint=beside)])
    model.add(layers.ReLU())
    model.add(ConvexDense(outputs, last, kernel_constraint=beside))
    with pytest.raises(ValueError, match=rf"nothing was written: .*{message}"):
        apply_(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_features": 1}, "one output is no softmax"),
        ({"skip": True}, "skip=True"),
        ({"positivity": "exp"}, "positivity must be 'projection'"),
        ({"method": "log_normal"}, "method 'log_normal' makes networks of non-negative"),
    ],
)
def test_what_does_not_go_with_a_carrier(options, message):
    with pytest.raises(ValueError, match=message):
        ICNN(4, [8], **{"out_features": 3, "carrier": True, **options})
