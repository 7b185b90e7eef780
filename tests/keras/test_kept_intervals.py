"""Everything that convexity depends on stays where it must, on every backend: scales, slopes, gates, factors."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from convex_init.keras import (
    Between,
    ConvexityGuard,
    NonNeg,
    apply_,
    certify,
    constrain_,
    plan,
    project_,
)
from tests.keras.arrays import array, normal

X = normal(64, 4)
INF = np.inf


class Learnt(layers.Layer):
    """What a function makes of its inputs and a learnt variable."""

    def __init__(self, make, start=0.5, shape=(8,), **kwargs):
        super().__init__(**kwargs)
        self.make, self.start, self.shape = make, start, shape

    def build(self, *_):
        self.g = self.add_weight(shape=self.shape, initializer=keras.initializers.Constant(self.start), name="g")

    def call(self, inputs):
        return self.make(self.g, *(inputs if isinstance(inputs, list) else [inputs]))


def of(*inner):
    return keras.Sequential([keras.Input((4,)), layers.Dense(8), *inner, layers.Dense(1)])


def branched(make, **kwargs):
    """A value z, a ReLU layer of it, and what is made of both."""
    x = keras.Input((4,))
    z = layers.Dense(8, activation="relu")(x)
    other = layers.Dense(8, activation="relu")(z)
    return keras.Model(x, layers.Dense(1)(Learnt(make, name="learnt", **kwargs)([z, other])))


MODELS = {
    "scale": (lambda: of(layers.ReLU(), layers.BatchNormalization(name="n")), {"n/gamma": (0.0, INF)}),
    "slopes": (lambda: of(layers.PReLU(name="p"), layers.Dense(8), layers.ReLU()), {"p/alpha": (0.0, 1.0)}),
    "gate": (lambda: branched(lambda g, a, b: a + g * b), {"learnt/g": (0.0, INF)}),
    "lerp": (lambda: branched(lambda g, a, b: (1 - g) * a + g * b), {"learnt/g": (0.0, 1.0)}),
    "subtracted": (lambda: branched(lambda g, a, b: a - g * b, start=-0.5), {"learnt/g": (-INF, 0.0)}),
    "factor of a square": (lambda: branched(lambda g, a, b: a + g * ops.square(b)), {"learnt/g": (0.0, INF)}),
    "behind a map": (lambda: branched(lambda g, a, b: a + ops.softplus(g) * b), {}),
}


def kept(model):
    return {"/".join(each.name.split("/")[-2:]): each.interval for each in plan(model, X).kept if not each.drawn}


def step(model, optimizer, direction):
    """A step that takes every variable out of every interval."""
    variables = model.trainable_variables
    optimizer.apply([ops.full(variable.shape, -direction * 3.0) for variable in variables], variables)


@pytest.mark.parametrize("case", MODELS)
def test_a_model_stays_convex_whatever_its_steps_are(case):
    make, expected = MODELS[case]
    model = make()
    assert kept(model) == expected
    apply_(model, X, seed=0)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    for direction in (1.0, -10.0):
        step(model, optimizer, direction)
        certificate = certify(model, X, search=False)
        assert certificate, str(certificate)


@pytest.mark.parametrize("case", ["scale", "slopes", "gate", "lerp"])
def test_resuming_leaves_loaded_weights_and_keeps_them_convex(case, tmp_path):
    make, _ = MODELS[case]
    trained = apply_(make(), X, seed=0)
    trained.save_weights(tmp_path / "saved.weights.h5")
    model = make()
    model.load_weights(tmp_path / "saved.weights.h5")
    assert constrain_(model, X) is model
    before = [array(variable) for variable in model.variables]
    project_(model)
    assert all(np.array_equal(array(variable), old) for variable, old in zip(model.variables, before, strict=True))
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    step(model, optimizer, -1.0)
    assert certify(model, X, search=False)
    assert [type(variable.constraint) for variable in model.variables] == [
        type(variable.constraint) for variable in trained.variables
    ]


def test_numbers_outside_are_told_and_left_for_the_next_step():
    model = of(layers.ReLU())
    before = array(model.layers[-1].kernel)
    with pytest.warns(UserWarning, match=r"change what lies outside .*kernel \(between -.*kept in \[0, ∞\)"):
        constrain_(model)
    assert np.array_equal(array(model.layers[-1].kernel), before)
    with pytest.raises(TypeError, match="no variance: it draws nothing"):
        constrain_(model, variance=2.0)


def test_a_stricter_constraint_is_kept_and_a_looser_one_is_not():
    slopes = layers.PReLU(alpha_constraint=Between(0.1, 0.3))
    apply_(of(slopes), X, seed=0)
    assert (slopes.alpha.constraint.low, slopes.alpha.constraint.high) == (0.1, 0.3)
    slopes = layers.PReLU(alpha_constraint=NonNeg())
    apply_(of(slopes), X, seed=0)
    assert (slopes.alpha.constraint.low, slopes.alpha_constraint.high) == (0.0, 1.0)


def test_averages_and_the_guard_know_both_ends():
    model = apply_(of(layers.PReLU(name="p")), X, seed=0)
    model.compile(keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5), "mse")
    model.fit(X, -(X[:, :1] ** 2), verbose=0, epochs=3, callbacks=[ConvexityGuard(every_batch=True)])
    alpha = model.get_layer("p").alpha
    alpha.assign(ops.full(alpha.shape, 1.5))
    guard = ConvexityGuard()
    guard.set_model(model)
    with pytest.raises(RuntimeError, match=r"alpha \(between 1.5 and 1.5, must be in \[0, 1\]\)"):
        guard.on_epoch_end(0)
    assert array(project_(model).get_layer("p").alpha).max() == 1.0


def test_a_constraint_between_two_ends_survives_saving(tmp_path):
    model = apply_(of(layers.PReLU(name="p")), X, seed=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").get_layer("p").alpha.constraint
    assert (type(loaded), loaded.low, loaded.high) == (Between, 0.0, 1.0)
    assert np.allclose(array(loaded(ops.convert_to_tensor([-1.0, 0.5, 2.0]))), [0.0, 0.5, 1.0])
    assert np.isnan(array(loaded(ops.convert_to_tensor([np.nan])))).all()
    with pytest.raises(ValueError, match="low must be below high"):
        Between(1.0, 0.0)
