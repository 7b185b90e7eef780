"""Contract, points 1, 3, 6, 8: what the initializers draw, from which seeds, and what they refuse."""

from __future__ import annotations

import copy
import pickle
import random

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ConvexDense, ICNNBias, ICNNInit, NonNeg, icnn
from convex_init_core import InitSettings as Settings
from convex_init_core import as_activation, custom, leaky_relu, positive_recipe, solve
from convex_init_core.weights.positivity import Softplus
from tests.contract.law_bounds import assert_follows
from tests.keras.arrays import array, normal

EPSILON = {"float32": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-10}
SMALLEST = {"float32": 1e-37, "bfloat16": 1e-37, "float16": 1e-4}


@pytest.mark.parametrize("distribution", ["log_normal", "gamma", "spike_and_slab", "two_point"])
@pytest.mark.parametrize("fan_in", [1, 17, 100_000])
def test_kernel_follows_the_law_of_the_core(distribution, fan_in):
    shape = (fan_in, max(2, (60_000 if distribution == "gamma" else 200_000) // fan_in))
    law = positive_recipe(fan_in, "relu", Settings(distribution=distribution)).weight
    kernel = array(ICNNInit(distribution=distribution, seed=3)(shape))
    # A gamma law of small concentration lies far below what float32 can hold.
    assert_follows(kernel, law, epsilon=1e-5 if distribution == "gamma" else EPSILON["float32"])


@pytest.mark.parametrize("positivity", ["exp", "softplus", "square", "relu", "abs", Softplus(scale=0.1, beta=5.0)])
@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_raw_kernel_is_the_inverse_image(positivity, distribution):
    initializer = ICNNInit(positivity=positivity, distribution=distribution, seed=5)
    raw = array(initializer((50, 1000))).astype("float64")
    law = positive_recipe(50, "relu", Settings(distribution=distribution)).weight
    assert_follows(initializer.positivity.value(raw), law, initializer.positivity, epsilon=3e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_narrow_kernels_are_drawn_wide_and_cast_last(dtype):
    kernel = ICNNInit(seed=1)((40, 3000), dtype=dtype)
    assert keras.backend.standardize_dtype(kernel.dtype) == dtype
    wide = array(ICNNInit(seed=1)((40, 3000), dtype="float32"))
    np.testing.assert_array_equal(
        array(keras.ops.cast(kernel, "float32")), array(keras.ops.cast(keras.ops.cast(wide, dtype), "float32"))
    )
    law = positive_recipe(40, "relu", Settings()).weight
    assert_follows(array(keras.ops.cast(kernel, "float32")), law, epsilon=EPSILON[dtype], smallest=SMALLEST[dtype])


@pytest.mark.parametrize(
    ("spec", "core"),
    [("relu", "relu"), (layers.LeakyReLU(0.4), leaky_relu(0.4)), ("leaky_relu", leaky_relu(0.2)), ("softplus",) * 2],
    ids=["relu", "LeakyReLU", "leaky_relu", "softplus"],
)
def test_bias_centres_for_the_activation_that_feeds(spec, core):
    due = solve(30, core, 0.4, 2.0, 0.3)
    initializer = ICNNBias(30, 0.4, 2.0, 0.3, spec, seed=2)
    bias = array(initializer((100_000,))).astype("float64")
    assert abs(bias.mean() - due.bias_mean) < 5.0 * due.bias_std / np.sqrt(bias.size)
    # Var of a sample variance of a Gaussian: 2 σ⁴ / n.
    assert abs(bias.var() - due.bias_variance) < 5.0 * due.bias_variance * np.sqrt(2.0 / bias.size)


def test_one_line_sets_kernel_bias_and_constraint():
    layer = layers.Dense(7, **icnn("relu"))
    layer.build((None, 20))
    assert isinstance(layer.kernel.constraint, NonNeg)
    assert array(layer.kernel).min() > 0.0
    np.testing.assert_allclose(array(layer.bias), solve(20).bias_mean, rtol=1e-6)


def test_bias_takes_the_fan_in_of_its_own_layers_kernel():
    """Also where two layers share both initializers, in a clone, and in variables that are made late."""
    shared = icnn("relu")

    class Late(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(12, **shared), layers.Dense(5, **shared)

        def call(self, x):
            return self.second(self.first(x))

    late = Late()
    late(normal(2, 33))
    for layer, fan_in in ((late.first, 33), (late.second, 12)):
        np.testing.assert_allclose(array(layer.bias), solve(fan_in).bias_mean, rtol=1e-6)
    model = keras.Sequential([keras.Input((33,)), layers.Dense(12, **shared), layers.Dense(5, **shared)])
    for layer, fan_in in zip(keras.models.clone_model(model).layers, (33, 12), strict=True):
        np.testing.assert_allclose(array(layer.bias), solve(fan_in).bias_mean, rtol=1e-6)


def test_bias_without_a_kernel_before_it_is_refused():
    ICNNInit()((4, 6))
    ICNNBias()((6,))  # consumes the kernel
    with pytest.raises(ValueError, match=r"fan_in.*icnn\("):
        ICNNBias()((6,))
    ICNNInit()((4, 6))
    with pytest.raises(ValueError, match="same settings"):
        ICNNBias(correlation=0.3)((6,))
    ICNNInit()((4, 6))
    with pytest.raises(ValueError, match="same settings"):
        ICNNBias()((7,))


@pytest.mark.filterwarnings("ignore:.*has an ICNNInit kernel:UserWarning")
def test_layers_that_share_an_instance_differ():
    for seed in (None, 4, keras.random.SeedGenerator(4)):
        shared = ICNNInit(seed=seed)
        first, second = layers.Dense(8, kernel_initializer=shared), layers.Dense(8, kernel_initializer=shared)
        convex = [ConvexDense(8, kernel_initializer=shared) for _ in range(2)]
        for layer in (first, second, *convex):
            layer.build((None, 8))
        kernels = [array(layer.kernel) for layer in (first, second, *convex)]
        for i in range(4):
            for j in range(i):
                assert not np.any(kernels[i] == kernels[j])


def test_a_seed_reproduces_and_a_clone_starts_anew():
    drawn = [array(ICNNInit(seed=4)((9, 8))) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)
    initializer = ICNNInit(seed=4)
    np.testing.assert_array_equal(array(initializer((9, 8))), drawn[0])
    np.testing.assert_array_equal(array(initializer.clone()((9, 8))), drawn[0])
    assert not np.any(array(ICNNInit(seed=5)((9, 8))) == drawn[0])
    second = array(initializer((9, 8)))
    neighbour = array(ICNNInit(seed=5)((9, 8)))
    assert not np.any(second == neighbour)  # the second draw of seed 4 is not the first of seed 5


def test_kernel_and_bias_noise_of_one_seed_are_unrelated():
    kernel = np.log(array(ICNNInit(seed=4, bias_noise=0.5)((1, 5000))).ravel())
    bias = array(ICNNBias(1, bias_noise=0.5, seed=4)((5000,)))
    assert abs(np.corrcoef(kernel, bias)[0, 1]) < 5.0 / np.sqrt(5000)


def test_global_state_is_untouched_by_an_explicit_seed_and_rules_otherwise():
    keras.utils.set_random_seed(7)
    state = random.getstate()
    expected = array(keras.random.normal((4,)))
    keras.utils.set_random_seed(7)
    shared = icnn("relu", bias_noise=0.5, seed=1)
    layers.Dense(4, **shared).build((None, 4))
    ICNNInit(seed=keras.random.SeedGenerator(3))((3, 4))
    assert random.getstate() == state
    np.testing.assert_array_equal(array(keras.random.normal((4,))), expected)
    drawn = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        drawn.append([array(ICNNInit()((3, 4))) for _ in range(2)])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.any(drawn[0][0] == drawn[0][1])


CONFIGS = [
    ICNNInit(),
    ICNNInit(0.3, 2.0, 0.1, layers.LeakyReLU(0.1), "gamma", Softplus(0.5, 3.0), 9, layout="conv"),
    ICNNInit(fed_by="exponential", layout=(0, 2), skip_share=0.3),
    ICNNInit(layout="conv_transpose", strides=(2, 1), seed=keras.random.SeedGenerator(5)),
    ICNNInit(fan_in=12.5, distribution="two_point"),
    ICNNBias(),
    ICNNBias(64, 0.2, 3.0, 0.5, "elu", 3, skip_share=0.25),
]


@pytest.mark.parametrize("initializer", CONFIGS, ids=str)
def test_config_round_trips(initializer):
    config = initializer.get_config()
    again = type(initializer).from_config(config)
    assert again.get_config() == config
    full = keras.saving.serialize_keras_object(initializer)
    assert full["registered_name"] == f"convex_init>{type(initializer).__name__}"
    assert keras.saving.deserialize_keras_object(full).get_config() == config
    assert initializer.clone().get_config() == config
    if initializer._given_seed is None or isinstance(initializer._given_seed, int):
        assert pickle.loads(pickle.dumps(initializer)).get_config() == config
        assert copy.deepcopy(initializer).get_config() == config


def test_registered_names_are_found():
    assert isinstance(keras.initializers.get("convex_init>ICNNInit"), ICNNInit)
    assert isinstance(keras.initializers.get("convex_init>ICNNBias"), ICNNBias)
    assert isinstance(keras.constraints.get({"class_name": "convex_init>NonNeg", "config": {}}), NonNeg)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"correlation": 0.0}, "correlation"),
        ({"correlation": 1.0}, "correlation"),
        ({"variance": -1.0}, "variance"),
        ({"bias_noise": 1.0}, "bias_noise"),
        ({"skip_share": 1.0}, "skip_share"),
        ({"fan_in": 0}, "fan_in"),
        ({"distribution": "cauchy"}, "distribution"),
        ({"positivity": "cube"}, "positivity"),
        ({"positivity": "exp", "distribution": "two_point"}, "distribution 'two_point'.*projection"),
        ({"fed_by": "tanh"}, "concave"),
        ({"fed_by": "gelu"}, "decreases"),
        ({"fed_by": layers.ReLU(max_value=6.0)}, "max_value"),
    ],
    ids=str,
)
def test_a_bad_argument_is_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        ICNNInit(**arguments)
    shared = {"correlation", "variance", "bias_noise", "skip_share", "fan_in", "fed_by"}
    if set(arguments) <= shared:
        with pytest.raises(ValueError, match=said):
            ICNNBias(**arguments)


def test_a_bad_type_is_named():
    with pytest.raises(TypeError, match="seed"):
        ICNNInit(seed="zero")
    with pytest.raises(TypeError, match="fed_by must be"):
        ICNNInit(fed_by=3)


def test_a_custom_activation_works_but_cannot_be_saved():
    phi = custom(lambda s: np.maximum(s, 0.5 * s), bends=(0.0,), name="mine")
    np.testing.assert_allclose(array(ICNNBias(9, fed_by=phi)((2,))), solve(9, leaky_relu(0.5)).bias_mean, rtol=1e-6)
    with pytest.raises(ValueError, match=r"mine.*apply_"):
        ICNNInit(fed_by=phi).get_config()
    with pytest.raises(ValueError, match="custom"):
        ICNNInit(fed_by=lambda s: s)


@pytest.mark.parametrize("function", [ICNNInit, ICNNBias, icnn])
def test_the_old_word_for_what_feeds_a_layer_is_refused_with_the_new_one(function):
    with pytest.raises(TypeError, match="activation= is called fed_by="):
        function(activation="elu")
    with pytest.raises(TypeError, match=r"no argument variancs=; did you mean variance=\?"):
        function(variancs=1.0)


def test_a_convex_layer_is_told_what_feeds_it_beside_what_it_applies():
    """Keras' activation= is what the layer applies to its own output."""
    layer = ConvexDense(5, activation="relu", fed_by="elu")
    assert layer.activation is keras.activations.relu
    assert layer.kernel_initializer.fed_by == layer.bias_initializer.fed_by == as_activation("elu")
    again = ConvexDense.from_config(layer.get_config())
    assert again.kernel_initializer.fed_by == as_activation("elu")
    assert again.get_config() == layer.get_config()
    assert ConvexDense(5).kernel_initializer.fed_by == as_activation("relu")
    with pytest.raises(ValueError, match="fed_by belongs into the kernel_initializer"):
        ConvexDense(5, fed_by="elu", kernel_initializer=ICNNInit())
