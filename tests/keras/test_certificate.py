"""``certify`` for Keras: proofs for convex models however they are put together, reasons for the others."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from convex_init.keras import ICNN, Certificate, ConvexConv2D, ConvexDense, assert_convex, certify
from tests.keras.arrays import array, network, normal


def positive(units: int = 4, **kwargs) -> layers.Dense:
    return layers.Dense(units, kernel_initializer="ones", **kwargs)


def functional(forward, *shapes: tuple[int, ...]) -> keras.Model:
    inputs = [keras.Input(shape, name=f"x{i}") for i, shape in enumerate(shapes or ((4,),))]
    return keras.Model(inputs[0] if len(inputs) == 1 else inputs, forward(*inputs))


class Bare(layers.Layer):
    """A weight of its own, through softplus, and a slope that is written out."""

    def build(self, shape):
        self.raw = self.add_weight(shape=(shape[-1], 3), initializer="random_normal", name="raw")

    def call(self, x):
        z = ops.maximum(x, 0.2 * x) @ ops.softplus(self.raw)
        return z + ops.logsumexp(x, axis=-1, keepdims=True)


class Subclassed(keras.Model):
    """No graph of its own, and inputs in a dict."""

    def __init__(self, last=1.0):
        super().__init__()
        self.free, self.gate = layers.Dense(5), layers.Dense(5)
        self.positive = layers.Dense(2, kernel_initializer=keras.initializers.Constant(last))
        self.drop = layers.Dropout(0.5)

    def call(self, inputs, training=None):
        z = ops.relu(self.free(inputs["x"])) * ops.softplus(self.gate(inputs["context"]))
        return {"energy": self.drop(self.positive(z), training=training), "features": z}


def subclassed(last=1.0):
    model = Subclassed(last)
    inputs = {"x": normal(3, 4), "context": normal(3, 2)}
    model(inputs)
    return model, inputs


def image(*stack) -> keras.Model:
    return keras.Sequential([keras.Input((6, 6, 2)), *stack])


def residual(x):
    z = layers.ReLU()(layers.Dense(4)(x))
    z = layers.Add()([z, positive()(z), layers.Dense(4)(x)])
    return layers.Average()([layers.Maximum()([z, x]), layers.LeakyReLU(negative_slope=0.2)(z)])


class Norm(layers.Layer):
    """The Euclidean norm; as an operation of a functional model it does not run on JAX (Keras 3.15)."""

    def call(self, x):
        return ops.norm(x, axis=-1, keepdims=True)


def functions(x):
    squares = ops.sum(ops.square(layers.Dense(3)(x)), axis=-1, keepdims=True)
    return ops.concatenate(
        [
            squares,
            ops.sqrt(squares + 1.0),
            ops.log(1.0 + ops.exp(x)),
            Norm()(x),
            ops.sum(ops.top_k(x, 2)[0], axis=-1, keepdims=True),
            ops.std(x, axis=-1, keepdims=True),
            -ops.log_sigmoid(x),
            ops.clip(x, 0.0, np.inf),
            x * x,
        ],
        axis=-1,
    )


CONVEX = {
    "ours": lambda: ICNN(4, [6, 6], 2),
    "ours with skips": lambda: ICNN(4, [6, 6], 2, skip=True),
    "ours with exp": lambda: ICNN(4, [6, 6], 2, positivity="exp"),
    "Keras' own layers": lambda: network(4, 6),
    "residual": lambda: functional(residual),
    "functions": lambda: functional(functions),
    "a layer with its own call": lambda: functional(Bare()),
    "nested": lambda: functional(
        lambda x: positive()(keras.Sequential([keras.Input((4,)), layers.Dense(4, "elu")])(x))
    ),
    "a shared layer": lambda: (
        lambda layer: functional(lambda x, y: layer(ops.relu(x)) + layer(ops.relu(y)), (4,), (4,))
    )(positive()),
    "convolution": lambda: image(
        layers.Rescaling(1 / 255.0, offset=-0.5),
        layers.Conv2D(3, 3, padding="same", activation="softplus"),
        ConvexConv2D(3, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.DepthwiseConv2D(2, depthwise_initializer="ones", padding="same"),
        layers.ZeroPadding2D(),
        layers.UpSampling2D(interpolation="bilinear"),
        layers.GlobalAveragePooling2D(),
        layers.PReLU(alpha_initializer="ones"),
        layers.Dropout(0.5),
        positive(2),
    ),
    "sequence": lambda: keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.Normalization(mean=0.5, variance=2.0),
            layers.Conv1D(4, 2, padding="causal"),
            layers.ELU(),
            layers.TimeDistributed(positive()),
            layers.Permute((2, 1)),
            layers.GlobalMaxPooling1D(),
        ]
    ),
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_models_get_their_certificate(name):
    model = CONVEX[name]()
    certificate = certify(model)
    assert certificate.verdict == "convex", str(certificate)
    assert isinstance(certificate, Certificate)
    assert assert_convex(model) is model


NOT_CONVEX = {
    "signed weights": (lambda: ICNN(4, [6, 6], 1, positivity=None, seed=0), "goes down to"),
    "tanh": (lambda: functional(lambda x: ops.tanh(x)), "tanh is neither convex nor concave"),
    "selu": (
        lambda: functional(layers.Activation("selu")),
        ("its slope drops from 1.76", "its slope drops at 0 from 1.76"),
    ),
    "relu6": (lambda: functional(layers.ReLU(max_value=6.0)), "minimum of values that are not all concave"),
    "relu with a threshold": (lambda: functional(layers.ReLU(threshold=1.0)), "jumps"),
    "leaky relu": (lambda: functional(layers.LeakyReLU(negative_slope=1.5)), "its slope drops from 1.5 to 1"),
    "product": (lambda: functional(lambda x, y: ops.relu(x) * ops.relu(y), (3,), (3,)), "both depend on the input"),
    "layer normalisation": (
        lambda: functional(layers.LayerNormalization()),
        ("statistic of its own input", "rsqrt is convex, but not non-decreasing"),
    ),
    "softmax": (lambda: functional(layers.Softmax()), "not convex in all its elements"),
    "concave": (lambda: functional(lambda x: -ops.relu(x)), "is concave"),
    "negative divisor": (lambda: functional(lambda x: ops.relu(x) / -2.0), "is concave"),
    "sorted": (lambda: functional(lambda x: ops.sort(x)), "picks by rank"),
    "choice": (lambda: functional(lambda x: ops.where(x > 0, -x, x)), "its slope drops from 1 to -1"),
    "minimum": (lambda: functional(lambda x: ops.minimum(x, ops.relu(x - 1.0))), "not all concave"),
    "recurrent": (lambda: keras.Sequential([keras.Input((3, 2)), layers.LSTM(2)]), "neither convex nor concave"),
    "its own operation": (lambda: functional(lambda x: Relu()(x)), "is concave"),
}


class Relu(ops.Operation if hasattr(ops, "Operation") else keras.Operation):
    """Named as one of Keras, and concave."""

    def call(self, x):
        return -abs(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_other_models_do_not_and_are_told_why(name):
    make, reasons = NOT_CONVEX[name]
    certificate = certify(make(), search=False)
    assert certificate.verdict == "cannot tell"
    known = [reasons] if isinstance(reasons, str) else reasons  # some functions are written otherwise by a backend
    assert any(reason in str(certificate) for reason in known), str(certificate)


@pytest.mark.parametrize("name", ["signed weights", "tanh", "concave", "product"])
def test_the_search_finds_a_counterexample_that_holds(name):
    model = NOT_CONVEX[name][0]()
    certificate = certify(model)
    assert certificate.verdict == "not convex"
    found = certificate.violation
    names = [tensor.name for tensor in model.inputs]
    a, b = ([end[n][None] for n in names] for end in (found.a, found.b))
    middle = [0.5 * (one + other) for one, other in zip(a, b, strict=True)]
    values = [array(model(point if len(names) > 1 else point[0])).ravel()[found.element] for point in (a, b, middle)]
    assert values[2] - 0.5 * (values[0] + values[1]) == pytest.approx(found.excess, rel=0.05)
    with pytest.raises(AssertionError, match="counterexample"):
        assert_convex(model)


def test_one_negative_weight_withdraws_the_certificate_and_is_named():
    model = ICNN(4, [6, 6], 1)
    layer = [layer for layer in model.layers if isinstance(layer, ConvexDense)][-1]
    kernel = array(layer.kernel).copy()
    kernel[2, 0] = -1e-3
    layer.kernel.assign(kernel)
    certificate = certify(model, search=False)
    assert f"{layer.kernel.path!r} goes down to -0.001" in str(certificate)
    layer.kernel.assign(np.full_like(kernel, np.nan))
    assert f"{layer.kernel.path!r} holds NaN or infinite values" in str(certify(model))


def test_batch_normalisation_with_a_negative_scale_is_named():
    model = image(layers.Conv2D(2, 2, activation="relu"), layers.BatchNormalization())
    scale = model.layers[-1].gamma
    scale.assign([1.0, -1.0])
    assert f"{scale.path!r} goes down to -1" in str(certify(model, search=False))


def test_a_subclassed_model_with_context():
    model, inputs = subclassed()
    assert certify(model, inputs, "x")
    assert certify(model, inputs, "x", outputs="output.energy")
    assert certify(model, inputs, search=False).verdict == "cannot tell"
    model, inputs = subclassed(-1.0)
    assert certify(model, inputs, "x").verdict == "not convex"
    assert certify(model, inputs, "x", outputs="output.features")
    with pytest.raises(ValueError, match=r"outputs names 'energy'.*output.energy, output.features"):
        certify(model, inputs, "x", outputs="energy")


def test_what_leaves_the_backend_is_not_guessed():
    class Numpy(layers.Layer):
        def call(self, x):
            return ops.convert_to_tensor(np.abs(ops.convert_to_numpy(x)))

        def compute_output_shape(self, shape):
            return shape

    class Branch(keras.Model):
        def call(self, x):
            return x if ops.sum(x) > 0 else -x

    assert certify(functional(lambda x: Numpy(name="behind")(x)), search=False).verdict == "cannot tell"
    model = Branch()
    model.built = True
    assert certify(model, normal(2, 3), search=False).verdict == "cannot tell"


def test_functions_of_the_backend_are_seen():
    name = keras.backend.backend()

    class Own(layers.Layer):
        def call(self, x):
            if name == "torch":
                import torch

                return torch.nn.functional.softplus(x) + torch.relu(x)
            if name == "jax":
                import jax

                return jax.nn.softplus(x) + jax.numpy.maximum(x, 0.0)
            import tensorflow as tf

            return tf.nn.softplus(x) + tf.nn.relu(x)

        def compute_output_shape(self, shape):
            return shape

    model = functional(lambda x: positive()(Own()(layers.Dense(4)(x))))
    assert certify(model)
    model.layers[-1].kernel.assign(-array(model.layers[-1].kernel))
    assert "is concave" in str(certify(model, search=False))


def test_a_convolution_in_groups_and_several_arguments():
    kernels = {"kernel_initializer": "ones"}
    assert certify(image(layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(4, 2, groups=2, **kernels)))

    class Two(keras.Model):
        def call(self, x, context):
            return ops.relu(x) * ops.square(context)

    model = Two()
    inputs = normal(3, 4), normal(3, 4, seed=1)
    model(*inputs)
    assert certify(model, inputs, "0")
    assert not certify(model, inputs, search=False)


def test_a_quantised_model_is_judged_by_what_runs():
    """Inputs are rounded to 8 bits, which leaves a staircase."""
    model = functional(lambda x: positive()(ops.relu(layers.Dense(4)(x))))
    assert certify(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an InputLayer is not quantised
        model.quantize("int8")
    assert not certify(model, search=False)


def test_the_models_own_graph_is_left_as_it_was():
    shared = positive()
    model = functional(lambda x: shared(ops.relu(layers.Dense(4, name="first")(x))))
    before = {layer.name: (len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers}
    assert certify(model)
    assert {layer.name: (len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers} == before
    assert model.get_layer("first").output.shape == (None, 4)


def test_a_layer_that_counts_its_calls_is_certified_and_keeps_its_count():
    class Counting(layers.Layer):
        def build(self, shape):
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

        def call(self, x):
            self.calls.assign(self.calls + 1.0)
            return ops.relu(x)

    layer = Counting()
    model = functional(lambda x: layer(x))
    before = float(array(layer.calls))
    assert certify(model)
    assert float(array(layer.calls)) == before


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="model must be"):
        certify(layers.ReLU())
    with pytest.raises(ValueError, match=r"unbuilt.*example_inputs"):
        certify(keras.Sequential([layers.Dense(2)]))
    assert certify(keras.Sequential([layers.Dense(2)]), normal(2, 3))
    with pytest.raises(ValueError, match=r"convex_inputs names 'y'.*x0"):
        certify(functional(layers.ReLU()), None, "y")
    model, _ = subclassed()
    with pytest.raises(ValueError, match="pass example_inputs"):
        certify(model)
    assert not certify(functional(lambda x: ops.cast(x > 0, "int32")), search=False)
