"""Initializers of kernels and biases keep the moments of the core's recipes, in layers of flax and by themselves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax import icnn, icnn_bias, icnn_kernel
from convex_init_core import InitSettings, as_positivity, positive_recipe

KEY = jax.random.key(0)
MAPS = ("projection", "exp", "softplus", "square", "abs", "relu")
N = 300


def check(effective, statistics, axis=None):
    """The sample mean of so many independent weights lies within five of its deviations."""
    array = np.asarray(effective, np.float64)
    assert (array >= 0).all()
    spread = np.sqrt(statistics.weight_variance / array.size)
    assert array.mean() == pytest.approx(statistics.weight_mean, abs=5 * spread)


@pytest.mark.parametrize("positivity", MAPS)
def test_a_kernel_has_the_moments_of_its_recipe_behind_every_map(positivity):
    raw = icnn_kernel("softplus", positivity=positivity)(KEY, (N, 200))
    statistics = positive_recipe(N, "softplus", InitSettings(), positivity).statistics
    check(as_positivity(positivity).value(raw, jnp), statistics)


@pytest.mark.parametrize(
    ("shape", "axes", "fan_in"),
    [
        ((N, 150), {}, N),
        ((150, N), {"in_axis": 1, "out_axis": 0}, N),
        ((3, 5, 20, 60), {}, 300),  # a convolution: window, inputs, outputs
        ((7, 100, 40), {"batch_axis": 0}, 100),
        ((10, 15, 6, 20), {"in_axis": (0, 1), "out_axis": (2, 3)}, 150),
    ],
)
@pytest.mark.parametrize("matched", [False, True])
def test_the_fan_in_is_told_by_the_axes(shape, axes, fan_in, matched):
    kernel = icnn_kernel("relu", match_moments=matched, fan_in=fan_in, **axes)(KEY, shape)
    statistics = positive_recipe(fan_in, "relu", InitSettings()).statistics
    check(kernel, statistics)
    if matched:  # then every unit has the mean exactly
        of_unit = [axis for axis in range(len(shape)) if axis not in _outputs(shape, axes)]
        np.testing.assert_allclose(kernel.mean(tuple(of_unit)), statistics.weight_mean, rtol=1e-3)


def _outputs(shape, axes):
    given = (axes.get("out_axis", -1), axes.get("batch_axis", ()))
    return {axis % len(shape) for part in given for axis in ((part,) if isinstance(part, int) else part)}


def test_a_bias_is_the_centring_shift_and_may_be_noisy():
    statistics = positive_recipe(N, "relu", InitSettings(bias_noise=0.3)).statistics
    np.testing.assert_allclose(icnn_bias(N, "relu")(KEY, (5,)), positive_recipe(N, "relu", InitSettings()).bias.mean)
    noisy = np.asarray(icnn_bias(N, "relu", bias_noise=0.3)(KEY, (4000,)), np.float64)
    assert noisy.std() == pytest.approx(statistics.bias_std, rel=5 / np.sqrt(2 * 4000))


def test_the_signal_through_a_pair_keeps_its_moments():
    z = np.random.default_rng(0).normal(size=(2000, N)).astype(np.float32)
    pair = icnn("relu", fan_in=N, match_moments=True)
    s = np.maximum(z, 0) @ np.asarray(pair["kernel_init"](KEY, (N, 64))) + np.asarray(pair["bias_init"](KEY, (64,)))
    # Over units and samples: independent inputs have correlation 0, so what a pair of them shares is the mean's part.
    assert s.mean() == pytest.approx(0.0, abs=0.1)


def _layers():
    nnx = pytest.importorskip("flax.nnx", reason="flax cannot be imported", exc_type=ImportError)
    from flax import linen as nn

    rngs = nnx.Rngs(0)
    x, image = jnp.ones((2, N)), jnp.ones((1, 6, 6, 12))

    def of_linen(layer, x):
        made = layer.init(KEY, x)["params"]
        return made["kernel"], made["bias"]

    dense = lambda **pair: nnx.Linear(N, 90, **pair, rngs=rngs)  # noqa: E731
    conv = lambda **pair: nnx.Conv(12, 90, (5, 5), **pair, rngs=rngs)  # noqa: E731
    grouped = lambda **pair: nnx.Conv(12, 90, (5, 5), feature_group_count=3, **pair, rngs=rngs)  # noqa: E731
    return {
        "nnx.Linear": (N, lambda **pair: (dense(**pair).kernel[...], dense(**pair).bias[...])),
        "nnx.Conv": (300, lambda **pair: (conv(**pair).kernel[...], conv(**pair).bias[...])),
        "nnx.Conv in groups": (100, lambda **pair: (grouped(**pair).kernel[...], grouped(**pair).bias[...])),
        "linen.Dense": (N, lambda **pair: of_linen(nn.Dense(90, **pair), x)),
        "linen.Conv": (300, lambda **pair: of_linen(nn.Conv(90, (5, 5), **pair), image)),
    }


@pytest.mark.parametrize("name", ["nnx.Linear", "nnx.Conv", "nnx.Conv in groups", "linen.Dense", "linen.Conv"])
@pytest.mark.parametrize("positivity", MAPS)
def test_layers_of_flax_take_the_pair(name, positivity):
    fan_in, made = _layers()[name]
    kernel, bias = made(**icnn("elu", fan_in=fan_in, positivity=positivity))
    statistics = positive_recipe(fan_in, "elu", InitSettings(), positivity).statistics
    check(as_positivity(positivity).value(kernel, jnp), statistics)
    np.testing.assert_allclose(bias, statistics.bias_mean, rtol=1e-6)


def test_a_pair_with_another_fan_in_than_its_kernel_is_refused():
    with pytest.raises(ValueError, match="pass fan_in=784"):
        icnn("relu", fan_in=100)["kernel_init"](KEY, (784, 100))


def test_jit_vmap_and_precision():
    init = icnn_kernel("relu", positivity="softplus")
    eager, compiled = init(KEY, (64, 32)), jax.jit(lambda key: init(key, (64, 32)))(KEY)
    np.testing.assert_allclose(eager, compiled, rtol=1e-4, atol=1e-5)
    keys = jax.random.split(KEY, 3)
    np.testing.assert_allclose(
        jax.vmap(lambda key: init(key, (64, 32)))(keys)[1], init(keys[1], (64, 32)), rtol=1e-4, atol=1e-5
    )
    assert init(KEY, (64, 32), jnp.bfloat16).dtype == jnp.bfloat16
    with jax.enable_x64():
        assert init(KEY, (64, 32)).dtype == np.float64
        assert init(KEY, (64, 32), jnp.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: icnn_kernel("tanh"), ValueError, "tanh"),
        (lambda: icnn_kernel("relu", positivity="sigmoidal"), ValueError, "positivity"),
        (lambda: icnn_kernel("relu", correlation=1.5), ValueError, "correlation"),
        (lambda: icnn_kernel("relu", distribution="two_point", positivity="exp"), ValueError, "exactly 0"),
        (lambda: icnn_kernel("relu", method="isometric"), ValueError, "use apply on the whole model"),
        (lambda: icnn_kernel("relu", method="bounded_gain"), ValueError, "plan the model"),
        (lambda: icnn_bias(0, "relu"), ValueError, "fan_in"),
        (lambda: icnn("relu", fan_in=10, corelation=0.5), TypeError, "corelation"),
        (lambda: icnn_kernel("relu")(0, (10, 5)), TypeError, "key must be one key"),
        (lambda: icnn_kernel("relu", out_axis=-2)(KEY, (10, 5)), ValueError, "name every axis once"),
    ],
)
def test_what_cannot_be_is_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
