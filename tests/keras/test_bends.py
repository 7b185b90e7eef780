"""The setting ``threshold`` through Keras' own layers: where the bends arrive, and what is refused."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexDense, apply_, plan
from convex_init_core.methods.bends.bend_spread import Bends
from tests.keras.arrays import array, normal, weights

SPREAD = {"method": "isometric", "threshold": 0.5}
ABOVE = 0.30854  # P(z > 0.5)


def chain(*steps, shape):
    """A ReLU before every step."""
    return keras.Sequential([keras.Input(shape), *(part for step in steps for part in (layers.ReLU(), step))])


def outputs_of(model, x):
    """What each affine layer of a chain passes on."""
    found = []
    for layer in model.layers:
        x = layer(x)
        if layer.weights:
            found.append(array(x))
    return found


@pytest.mark.parametrize("positivity", ["projection", "exp"])
@pytest.mark.parametrize(("variance", "depth"), [(1.0, 10), (4.0, 3)])
def test_units_are_on_above_the_threshold_and_outputs_are_centred(variance, depth, positivity):
    """With independent Gaussian inputs; five standard errors. Outputs have variance 1, whatever that of the layers.

    Of 1000 · 200 units a share of 0.309 is on: 5 √(0.21/2e5) = 0.0052. The 1000 · 10 outputs are sums of 20 features,
    of an excess kurtosis below 1: 5/√10000 = 0.05 for the mean, 5 √(3/10000) = 0.087 for the variance. Behind exp, each
    unit also gets 1e-3 of the mean of 200 features, which varies by 1/√400, in each of 10 layers: less than 1e-3.
    """
    model = chain(*(ConvexDense(units, positivity=positivity) for units in (*[200] * depth, 10)), shape=(200,))
    assert apply_(model, **SPREAD, variance=variance, seed=1) is model
    *_, hidden, outputs = outputs_of(model, math.sqrt(variance) * normal(1000, 200))
    assert (hidden > 0).mean() == pytest.approx(ABOVE, abs=0.0052 + 1e-3)
    assert outputs.mean() == pytest.approx(0.0, abs=0.051)
    assert outputs.var() == pytest.approx(1.0, rel=0.087 + 1e-3)


def test_a_stride_in_the_middle_divides_a_cnn_into_two_runs():
    """A unit at the end of a run is on where a unit of the signal before it is above the threshold.

    Independent Gaussian pixels, 50 · 12 · 64 of them: a share of 0.309 within 5 √(0.21/38400) = 0.012. The strided
    layer sums four features: an excess kurtosis of up to 10 is one of 2.5 then, of 50 · 12 · 16 numbers the mean is
    good to 5/√9600 = 0.051 and the variance to 5 √(4.5/9600) = 0.109.
    """
    convolutions = [layers.Conv2D(12, 3, strides=2 if place == 2 else 1, padding="same") for place in range(6)]
    model = keras.Sequential([*chain(*convolutions, shape=(8, 8, 12)).layers, layers.ReLU(), layers.Flatten()])
    model.add(layers.Dense(4))
    model.build((None, 8, 8, 12))
    apply_(model, **SPREAD, seed=1)
    gains = [layer.recipe.weight.gain for layer in plan(model, **SPREAD).layers]
    assert gains[:2] == [Bends(0.5, 2).gain] * 2
    assert gains[3:6] == [Bends(0.5, 3).gain] * 3
    found = outputs_of(model, normal(50, 8, 8, 12))
    assert (found[1] > 0).mean() == pytest.approx(ABOVE, abs=0.012)
    assert found[2].mean() == pytest.approx(0.0, abs=0.051)
    assert found[2].var() == pytest.approx(1.0, rel=0.109)
    assert (found[2] > 0.5).mean() == pytest.approx((found[5] > 0.0).mean(), abs=1e-3)


def test_a_functional_chain_and_models_within_models():
    for model in (
        ICNN(20, [30, 30, 30], 2, method="isometric", seed=1),
        keras.Sequential([keras.Input((20,)), ICNN(20, [30, 30, 30], 2, method="isometric", seed=1)]),
    ):
        apply_(model, **SPREAD, seed=2)
        biases = [array(variable) for variable in model.weights if "bias" in variable.path]
        assert biases[1] == pytest.approx(-Bends(0.5, 2).shift)
        assert biases[2] == pytest.approx(-Bends(0.5, 2).shift)
        kernel = [array(variable) for variable in model.weights if "kernel" in variable.path][1]
        assert kernel.max() == pytest.approx(Bends(0.5, 2).gain)


def twice_used():
    x = keras.Input((6,))
    shared = layers.Dense(6)
    s = layers.Dense(6)(x)
    for _ in range(2):
        s = shared(layers.ReLU()(s))
    return keras.Model(x, layers.Dense(2)(layers.ReLU()(s)))


def with_two_inputs():
    x, y = keras.Input((6,)), keras.Input((6,))
    s = layers.Add()([layers.Dense(6)(x), layers.Dense(6)(y)])
    return keras.Model([x, y], layers.Dense(2)(layers.ReLU()(s)))


def with_two_branches():
    s = layers.ReLU()(layers.Dense(6)(x := keras.Input((6,))))
    return keras.Model(x, [layers.Dense(6)(s), layers.Dense(6)(s)])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(6), layers.Dense(6)

    def call(self, x):
        return self.second(keras.ops.relu(self.first(x)))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 6), "float32"))
    return model


def three(kind="relu", **options):
    hidden = [layers.Dense(6, activation=kind, name=name, **options) for name in "ab"]
    return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(2, name="c", **options)])


def test_free_skips_leave_no_run_and_free_layers_may_be_summed():
    model = ICNN(20, [30, 30, 30], 2, skip=True, seed=1)
    recipes = [[layer.recipe for layer in plan(model, **chosen).layers] for chosen in (SPREAD, {"method": "isometric"})]
    assert recipes[0] == recipes[1]
    assert [layer.role for layer in plan(with_two_inputs(), **SPREAD).layers] == ["free", "free", "positive"]


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (three, {"threshold": -1}, "threshold must be at least 0"),
        (three, {"method": "log_normal"}, "threshold=0.5.*use method 'isometric'"),
        (lambda: three("elu"), {}, "'b': threshold=.*elu.*leave threshold out"),
        (three, {"fed_by": {"c": "softplus"}}, "'c': threshold=.*softplus.*leave threshold out"),
        (three, {"positive": ["c"]}, "threshold= needs every layer of a chain as it is, so positive= may not"),
        (three, {"exclude": ["c"]}, "so exclude= may not.*pass the part of the chain"),
        (lambda: three(use_bias=False), {}, "'b': threshold= needs a chain of layers, and it has no bias"),
        (twice_used, {}, "threshold= needs a chain of layers.*used more than once"),
        (with_two_branches, {}, "threshold= needs a chain of layers"),
        (subclassed, {"positive": ["*"]}, "so positive= may not"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(make, options, message):
    model = make()
    before = weights(model)
    for call in (plan, apply_):
        with pytest.raises(ValueError, match=message):
            call(model, **{**SPREAD, **options})
    assert all(np.array_equal(old, new) for old, new in zip(before, weights(model), strict=True))
    kernels = [v for v in model.trainable_variables if "kernel" in v.path]
    mine = [layer.kernel for layer in model._flatten_layers() if isinstance(layer, ConvexDense)]
    assert all(any(v is own for own in mine) or v.constraint is None for v in kernels)
