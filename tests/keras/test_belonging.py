"""Kernel, bias, constraint and layer belong together: what is missing is said, and what is another's is not taken."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexDense, ICNNBias, ICNNInit, NonNeg, apply_, check_initializers, icnn
from convex_init_core import solve
from tests.keras.arrays import array, network, normal

LACKING = {
    "constraint and bias": (lambda: layers.Dense(3, kernel_initializer=ICNNInit()), "no NonNeg.*Zeros"),
    "bias": (lambda: layers.Dense(3, **{**icnn(), "bias_initializer": "zeros"}), "its bias_initializer is Zeros"),
    "constraint": (lambda: layers.Dense(3, **{**icnn(), "kernel_constraint": None}), r"kernel_constraint=NonNeg\(\)"),
    "another constraint": (
        lambda: layers.Dense(3, **{**icnn(), "kernel_constraint": keras.constraints.MaxNorm(2)}),
        "no NonNeg constraint",
    ),
    "no bias": (lambda: layers.Dense(3, use_bias=False, **icnn("relu")), "has no bias.*use_bias=True"),
    "depthwise": (
        lambda: layers.DepthwiseConv1D(1, depthwise_initializer=ICNNInit(layout="depthwise")),
        r"depthwise_constraint=NonNeg\(\)",
    ),
    "einsum": (lambda: layers.EinsumDense("ab,bc->ac", 3, **icnn(layout="ab,bc->ac")), "has no bias"),
    "of ours": (lambda: ConvexDense(3, bias_initializer="zeros"), "its bias_initializer is Zeros"),
    "of ours without bias": (lambda: ConvexDense(3, positivity="exp", use_bias=False), "has no bias"),
}


@pytest.mark.parametrize("name", LACKING)
def test_what_is_missing_is_said_by_the_check_and_when_the_layer_is_built(name):
    make, said = LACKING[name]
    layer = make()
    shape = (None, 5, 4) if name == "depthwise" else (None, 4)
    with pytest.raises(ValueError, match=rf"{layer.name} has an ICNNInit kernel, but .*{said}.*\*\*icnn"):
        check_initializers(keras.Sequential([layers.Dense(4), layer]))  # not built
    with pytest.warns(UserWarning, match=said):
        layer.build(shape)
    with pytest.raises(ValueError, match=said):
        check_initializers(layer)


class Late(keras.Model):
    """Its variables are made while it is traced."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = list(parts)

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


def test_a_subclassed_model_warns_too():
    late = Late(layers.Dense(4, name="free"), layers.Dense(3, kernel_initializer=ICNNInit(), name="lonely"))
    with pytest.warns(UserWarning, match="lonely has an ICNNInit kernel"):
        late(normal(2, 5))
    with pytest.raises(ValueError, match="lonely"):
        check_initializers(late)


def test_what_fits_is_quiet():
    """A warning is an error here."""
    model = network()
    assert check_initializers(model) is model
    check_initializers(ICNN(4, [8, 8], 1, skip=True, positivity="exp"))
    layers.Dense(3, use_bias=False, **icnn(skip_share=0.5)).build((None, 4))  # the skip has the bias
    late = Late(layers.Dense(4), layers.Dense(3, **icnn()), ConvexDense(2))
    late(normal(2, 5))
    check_initializers(late)
    with pytest.raises(TypeError, match="NoneType"):
        check_initializers(None)


def test_a_wrapper_that_holds_the_kernel_of_its_layer_too_is_quiet():
    model = keras.Sequential([keras.Input((4,)), layers.SpectralNormalization(layers.Dense(3, **icnn()))])
    assert check_initializers(model) is model
    lonely = layers.SpectralNormalization(layers.Dense(3, kernel_initializer=ICNNInit(), name="lonely"))
    with pytest.warns(UserWarning, match="lonely has an ICNNInit kernel"):
        lonely.build((None, 4))
    with pytest.raises(ValueError, match=r"^lonely has an ICNNInit kernel"):
        check_initializers(lonely)


def test_what_apply_has_put_right_is_right():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu")])
    with pytest.warns(UserWarning, match="has an ICNNInit kernel"):
        model.add(layers.Dense(3, kernel_initializer=ICNNInit()))
    check_initializers(apply_(model, seed=0))


# Whose kernel a bias takes.


def he():
    return keras.initializers.HeNormal(seed=0)


def pair(name="second"):
    """The first draws an ICNNInit kernel and no ICNNBias; the second an ICNNBias and no ICNNInit kernel."""
    first = layers.Dense(6, name="first", kernel_constraint=NonNeg(), kernel_initializer=ICNNInit())
    return first, layers.Dense(6, name=name, kernel_initializer=he(), bias_initializer=ICNNBias())


@pytest.mark.filterwarnings("ignore:.*has an ICNNInit kernel:UserWarning")
@pytest.mark.parametrize("name", ["second", "first"])
def test_a_bias_never_takes_the_kernel_of_another_layer(name):
    first, second = pair(name)
    first.build((None, 4))
    with pytest.raises(ValueError, match=rf"that of first, and not of {name}.*pass fan_in"):
        second.build((None, 6))


@pytest.mark.filterwarnings("ignore:.*has an ICNNInit kernel:UserWarning")
def test_nor_in_a_model_that_is_built_while_it_is_traced():
    try:
        with pytest.raises(ValueError, match="takes it from the kernel of the same layer, but"):
            Late(*pair())(normal(2, 4))
    finally:
        keras.utils.clear_session()  # Keras would go on to initialise the variables of the failed model


def test_nor_that_of_a_bare_call():
    ICNNInit()((4, 6))
    with pytest.raises(ValueError, match="that of no layer, and not of second"):
        pair()[1].build((None, 4))
    layer = layers.Dense(6, name="first", kernel_constraint=NonNeg(), kernel_initializer=ICNNInit())
    with pytest.warns(UserWarning, match="first"):
        layer.build((None, 4))
    with pytest.raises(ValueError, match="that of first, and not of this call"):
        ICNNBias()((6,))


def test_each_layer_of_any_model_gets_its_own():
    shared = icnn("relu")
    models = [
        keras.Sequential([keras.Input((33,)), layers.Dense(12, **shared), layers.Dense(12, **shared)]),
        Late(layers.Dense(12, name="same", **shared), Late(layers.Dense(12, name="same", **shared))),
    ]
    models[1](normal(2, 33))
    for model in models:
        biases = [weight for weight in model.weights if weight.path.endswith("bias")]
        for bias, fan_in in zip(biases, (33, 12), strict=True):
            np.testing.assert_allclose(array(bias), solve(fan_in).bias_mean, rtol=1e-6)


# What a convolution's kernel does not say.


def sources(layer, shape):
    """How many numbers of the input reach the output, of as many as there are."""
    x = keras.ops.convert_to_tensor(np.abs(normal(1, *shape)) + 1.0)
    base = array(layer(x))
    flat = array(x).reshape(-1)
    reached = 0
    for i in range(flat.size):
        moved = flat.copy()
        moved[i] += 1.0
        reached += bool(np.any(array(layer(moved.reshape(1, *shape))) != base))
    return reached, flat.size


@pytest.mark.parametrize("late", [False, True], ids=["built", "traced"])
@pytest.mark.parametrize("convex", [False, True])
@pytest.mark.parametrize(
    ("filters", "size", "options"),
    [(8, 1, {"groups": 4}), (32, 2, {"strides": 2}), (64, 2, {"groups": 2, "strides": 2})],
    ids=["groups", "strides", "both"],
)
def test_isometric_convolutions_lose_no_source(filters, size, options, convex, late):
    from convex_init.keras import ConvexConv2D

    given = icnn(layout="conv", method="isometric", seed=1)
    if convex:
        layer = ConvexConv2D(filters, size, kernel_initializer=given["kernel_initializer"], **options)
    else:
        layer = layers.Conv2D(filters, size, **given, **options)
    shape = (size, size, 16)
    if late:
        Late(layer)(normal(1, *shape))
    else:
        layer.build((None, *shape))
    reached, there = sources(layer, shape)
    assert reached == there


CONTRADICTIONS = {
    "groups": (lambda: layers.Conv2D(8, 1, groups=4, **icnn(layout="conv", groups=2)), "groups=2.*has 4"),
    "strides": (
        lambda: layers.Conv2D(8, 1, strides=2, **icnn(layout="conv", strides=1)),
        r"strides=\(1, 1\).*\(2, 2\)",
    ),
    "layout": (
        lambda: layers.Conv2DTranspose(8, 3, **icnn(layout="conv")),
        "layout='conv'.*Conv2DTranspose.*'conv_transpose'",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_the_layer_contradicts_is_refused(name):
    make, said = CONTRADICTIONS[name]
    with pytest.raises(ValueError, match=said):
        make().build((None, 5, 5, 16))


def test_strides_of_a_transposed_convolution_come_from_the_layer():
    layer = layers.Conv2DTranspose(6, 4, strides=2, **icnn(layout="conv_transpose"))
    layer.build((None, 5, 5, 3))
    np.testing.assert_allclose(array(layer.bias), solve(3 * 4 * 4 / 4).bias_mean, rtol=1e-6)


def test_outside_of_keras_layers_the_convolution_is_asked_for():
    with pytest.raises(ValueError, match=r"needs strides and groups.*strides=, groups="):
        ICNNInit(layout="conv", method="isometric")((1, 1, 4, 8))
    ICNNInit(layout="conv", method="isometric", strides=1, groups=2)((1, 1, 4, 8))
    with pytest.raises(ValueError, match="needs strides"):
        ICNNInit(layout="depthwise", method="isometric")((2, 4, 1))


MESSAGES = [
    (
        lambda: ICNNInit("relu"),
        TypeError,
        r"correlation must be a number, got 'relu'.*fed_by='relu'.*icnn\('relu'\)",
    ),
    (lambda: ICNNInit(0.5, "relu"), TypeError, "variance must be a number"),
    (lambda: ICNNBias("relu"), TypeError, "fan_in must be a number"),
    (lambda: ConvexDense(3).effective_kernel, ValueError, r"has not been built.*call it once, or build\(input_shape\)"),
    (lambda: ICNNInit(seed=1.5), TypeError, "seed must be an integer"),
    (
        lambda: (ICNNInit()((2, 6)), ICNNBias()((6,)), ICNNBias()((6,))),
        ValueError,
        r"no ICNNInit kernel has just been drawn.*\*\*icnn\(fed_by\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "said"), MESSAGES)
def test_messages(call, error, said):
    with pytest.raises(error, match=said):
        call()


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_numpy_integers_are_seeds(kind):
    given = ICNNInit(seed=kind(4))
    np.testing.assert_array_equal(array(given((5, 4))), array(ICNNInit(seed=4)((5, 4))))
    assert type(given.get_config()["seed"]) is int
    ICNNInit()((5, 4))
    ICNNBias(5, bias_noise=0.5, seed=kind(4))((4,))
    icnn(seed=kind(1))
    np.testing.assert_array_equal(
        array(ICNN(kind(4), [kind(3)], kind(1), seed=kind(4)).weights[2]), array(ICNN(4, [3], 1, seed=4).weights[2])
    )


@pytest.mark.parametrize("part", ["kernel", "recurrent"])
def test_kernels_of_recurrent_layers_are_looked_at_too(part):
    layer = layers.SimpleRNN(4, **{f"{part}_initializer": ICNNInit()})
    with pytest.warns(UserWarning, match=rf"no NonNeg constraint keeps it .*\({part}_constraint=NonNeg\(\)\)"):
        layer.build((None, 3, 5))
