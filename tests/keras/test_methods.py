"""The methods of initialisation through Keras' own layers: isometric kernels, and matched moments."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexConv2D, ConvexDense, ICNNBias, ICNNInit, apply_, icnn, plan
from convex_init_core import InitSettings, positive_recipe
from tests.contract.isometry import assert_isometric, assert_same_signal
from tests.keras.arrays import array, normal

MAPS = ("exp", "softplus", "square", "relu", "abs")


@pytest.mark.parametrize(("inputs", "units"), [(60, 60), (60, 20), (60, 13), (60, 90), (60, 1)])
@pytest.mark.parametrize("positivity", ["projection", *MAPS])
def test_dense_kernels(positivity, inputs, units):
    layer = ConvexDense(units, positivity=positivity, kernel_initializer=ICNNInit(method="isometric", seed=1))
    layer.build((None, inputs))
    assert_isometric(array(layer.effective_kernel).T)


def test_a_padded_convolution_passes_every_pixel_on():
    layer = ConvexConv2D(6, 3, padding="same", kernel_initializer=ICNNInit(method="isometric", seed=1))
    x = np.abs(normal(2, 5, 5, 6))
    assert_same_signal(array(layer(x)).reshape(-1, 6), x.reshape(-1, 6))


@pytest.mark.parametrize(
    ("make", "layout", "channels"),
    [
        (lambda options: layers.Conv2D(8, 3, padding="same", groups=2, **options), "conv", 8),
        (lambda options: layers.DepthwiseConv2D(3, padding="same", **options), "depthwise", 4),
        (lambda options: layers.EinsumDense("abc,cd->abd", 4, bias_axes="d", **options), "abc,cd->abd", 4),
    ],
    ids=["grouped", "depthwise", "einsum"],
)
def test_other_layouts_pass_the_signal_on(make, layout, channels):
    if layout == "abc,cd->abd":
        layer = layers.EinsumDense(layout, (None, 4), bias_axes="d", **icnn(layout=layout, method="isometric", seed=2))
        x = np.abs(normal(2, 5, channels))
    else:
        layer = make(icnn(layout=layout, method="isometric", seed=2))
        x = np.abs(normal(2, 5, 5, channels))
    assert_same_signal(array(layer(x)).reshape(-1, channels), x.reshape(-1, channels))


def test_a_transposed_convolution_repeats_every_pixel():
    options = icnn(layout="conv_transpose", strides=2, method="isometric", seed=2)
    layer = layers.Conv2DTranspose(4, 2, strides=2, **options)
    x = np.abs(normal(2, 3, 3, 4))
    assert_same_signal(array(layer(x)).reshape(-1, 4), x.repeat(2, 1).repeat(2, 2).reshape(-1, 4))


@pytest.mark.parametrize(("channels", "filters"), [(4, 8), (6, 3)])
def test_a_transposed_convolution_reads_every_channel(channels, filters):
    """With a stride of the kernel's size each tap makes an output pixel of its own, as a dense layer would."""
    options = icnn(layout="conv_transpose", strides=2, method="isometric", seed=2)
    layer = layers.Conv2DTranspose(filters, 2, strides=2, **options)
    layer.build((None, 3, 3, channels))
    dense = array(ICNNInit(method="isometric", seed=2)((channels, filters)))
    for tap in np.ndindex(2, 2):
        kernel = array(layer.kernel)[tap]  # [filters, channels]
        assert_isometric(kernel)
        np.testing.assert_allclose(kernel.sum(1), dense.sum(0), rtol=1e-6)  # channels that one filter sums
        np.testing.assert_allclose(sorted(kernel.sum(0)), sorted(dense.sum(1)), rtol=1e-6)


def test_signal_and_gradient_pass_any_depth_through_icnn_and_apply():
    for use_apply in (False, True):
        model = ICNN(20, [64] * 30, 1, method="log_normal" if use_apply else "isometric", seed=1)
        if use_apply:
            apply_(model, method="isometric", seed=2)
            assert {type(layer.recipe.weight).__name__ for layer in plan(model, method="isometric").layers} == {
                "Normal",
                "Isometric",
            }
        x = normal(16, 20)
        features = keras.Model(model.input, [model.get_layer("free").output, model.get_layer("positive_29").output])
        first, last = (array(out) for out in features(x))
        assert_same_signal(last, np.maximum(first, 0.0))


def test_a_seed_generator_gives_as_many_weights_as_are_asked_for():
    initializer = ICNNInit(method="isometric", seed=keras.random.SeedGenerator(3))
    assert len({array(initializer((30, 30))).tobytes() for _ in range(300)}) == 300


def test_seeds_configs_and_refusals():
    initializer = ICNNInit(method="isometric", seed=4)
    again = ICNNInit.from_config(initializer.get_config())
    kernel = array(initializer((30, 30)))
    np.testing.assert_array_equal(kernel, array(again((30, 30))))
    assert not np.array_equal(kernel, array(initializer((30, 30))))
    assert ICNNInit.from_config(ICNNInit(match_moments=True).get_config()).settings.match_moments
    generated = ICNNInit(method="isometric", seed=keras.random.SeedGenerator(3))
    assert not np.array_equal(array(generated((30, 30))), array(generated((30, 30))))
    with pytest.raises(ValueError, match="method 'orthogonal' is unknown"):
        ICNNInit(method="orthogonal")
    with pytest.raises(ValueError, match=r"bias_noise.*isometric"):
        ICNNInit(method="isometric", bias_noise=0.5)
    with pytest.raises(ValueError, match="ICNNInit kernel"):
        ICNNBias(method="isometric", fan_in=3)((3,))


def test_a_saved_model_keeps_its_method(tmp_path):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(5, **icnn(method="isometric", seed=1))])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].kernel_initializer.settings == InitSettings(method="isometric", skip_share=0.0)


@pytest.mark.parametrize("positivity", ["projection", "exp"])
@pytest.mark.parametrize("shape", [(784, 50), (3, 3, 20, 30)])
def test_every_unit_has_exactly_the_moments(shape, positivity):
    layout = "dense" if len(shape) == 2 else "conv"
    initializer = ICNNInit(match_moments=True, seed=1, layout=layout, positivity=positivity)
    raw = array(initializer(shape)).astype("float64")
    fan_in = int(np.prod(shape[:-1]))
    recipe = positive_recipe(fan_in, "relu", InitSettings(match_moments=True), positivity)
    weights = initializer.positivity.value(raw).reshape(-1, shape[-1])
    assert weights.mean(0) == pytest.approx(recipe.statistics.weight_mean, rel=1e-4)
    assert weights.var(0) == pytest.approx(recipe.statistics.weight_variance, rel=1e-3)


def test_the_plan_warns_of_a_depth_that_the_method_is_not_known_to_carry():
    paper = {"method": "log_normal"}
    with pytest.warns(
        UserWarning, match="carry a signal through 4 positive layers, and there are 6 in a row"
    ) as caught:
        decided = plan(ICNN(4, [6] * 6, 1, seed=1), **paper)
    assert str(decided).endswith(decided.advice)
    assert caught[0].filename == __file__
    assert not plan(ICNN(4, [6] * 6, 1, skip=True, seed=1), **paper).advice
    with pytest.warns(UserWarning, match="free skips is known to carry 10 positive layers, and there are 11"):
        assert plan(ICNN(4, [6] * 11, 1, skip=True, seed=1), **paper).advice
    assert not plan(ICNN(4, [6] * 6, 1, seed=1), method="isometric").advice
