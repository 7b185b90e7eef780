"""Averages of weights stay non-negative: under our NonNeg by itself, under Keras' own by a callback."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexityGuard, NonNeg, NonNegProjection, apply_, constrain_, project_
from convex_init.keras.constraints import averages
from tests.contract.convexity import convexity_violation
from tests.keras.arrays import array, network, normal

X = normal(128, 6)
Y = np.stack([X[:, 0] * X[:, 1], -np.abs(X[:, 2]), X[:, 3]], axis=1)  # pushes weights below 0
EMA = {"use_ema": True, "ema_momentum": 0.5}

WAYS = {
    "average": (EMA, []),
    "overwritten": ({**EMA, "ema_overwrite_frequency": 3}, []),
    "swapped for each test": (EMA, [lambda: keras.callbacks.SwapEMAWeights()]),
    "swapped for each epoch": (EMA, [lambda: keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]),
    "accumulated": ({**EMA, "gradient_accumulation_steps": 2}, []),
}


def of_kerass_own(model):
    for layer in model.layers[1:]:
        layer.kernel.constraint = layer.kernel_constraint = keras.constraints.NonNeg()
    return model


class Lowest(keras.callbacks.Callback):
    """The smallest constrained weight and average that training, testing and saving came to see."""

    def __init__(self):
        super().__init__()
        self.weight = self.average = np.inf

    def look(self, *_, **__):
        chosen = [layer.kernel for layer in self.model.layers[1:]]
        self.weight = min(self.weight, *(array(kernel).min() for kernel in chosen))
        for variable, average in averages(self.model.optimizer):
            if variable.constraint is not None:
                self.average = min(self.average, array(average).min())

    on_epoch_end = on_test_begin = on_test_batch_end = on_train_end = look


def fit(model, optimizer, callbacks=(), epochs=2):
    model.compile(optimizer, "mse")
    model.fit(X, Y, batch_size=32, epochs=epochs, verbose=0, validation_data=(X, Y), callbacks=[*callbacks])


@pytest.mark.parametrize("way", WAYS)
def test_our_constraint_reaches_the_averages(way):
    settings, callbacks = WAYS[way]
    model, seen = network(), Lowest()
    fit(model, keras.optimizers.SGD(0.1, **settings), [*(make() for make in callbacks), seen])
    assert seen.weight == 0.0  # the projection had something to do, and nothing is below
    assert seen.average == 0.0
    assert min(array(layer.kernel).min() for layer in model.layers[1:]) >= 0.0
    assert convexity_violation(lambda x: array(model(x.astype("float32"))), 6, segments=300) < 1e-5


def test_optimizers_within_optimizers():
    inner = keras.optimizers.SGD(0.1, **EMA)
    for optimizer in (
        keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0),
        keras.optimizers.MultiOptimizer(
            lambda variable, found={}: found.setdefault("all", keras.optimizers.SGD(0.1, **EMA))
        ),
    ):
        model = network()
        model.compile(optimizer, "mse")
        model.fit(X, Y, batch_size=32, epochs=1, verbose=0)
        pairs = list(averages(optimizer))
        assert len(pairs) == 6
        assert min(array(average).min() for variable, average in pairs if variable.constraint is not None) == 0.0


def test_free_weights_and_their_averages_are_left_alone():
    model = network()
    fit(model, keras.optimizers.SGD(0.1, **EMA))
    assert array(model.layers[0].kernel).min() < 0.0
    assert array(model.layers[1].bias).min() < 0.0


@pytest.mark.parametrize("way", ["average", "swapped for each epoch"])
def test_kerass_own_constraint_needs_the_callback(way):
    settings, callbacks = WAYS[way]
    bare = of_kerass_own(network())
    fit(bare, keras.optimizers.SGD(0.1, **settings), [make() for make in callbacks])
    assert min(array(layer.kernel).min() for layer in bare.layers[1:]) < 0.0
    model, seen = of_kerass_own(network()), Lowest()
    fit(model, keras.optimizers.SGD(0.1, **settings), [NonNegProjection(), *(make() for make in callbacks), seen])
    assert seen.weight == 0.0
    assert min(array(layer.kernel).min() for layer in model.layers[1:]) >= 0.0


@pytest.mark.parametrize("every_batch", [False, True])
def test_the_guard_stops_a_run_that_loses_convexity(every_batch):
    model = of_kerass_own(network())
    with pytest.raises(RuntimeError, match=r"end of training: .*kernel \(between -.*NonNegProjection\(\)"):
        fit(model, keras.optimizers.SGD(0.1, **EMA), [ConvexityGuard(every_batch=every_batch)])
    model = of_kerass_own(network())
    with pytest.warns(RuntimeWarning, match="end of training"):
        fit(model, keras.optimizers.SGD(0.1, **EMA), [ConvexityGuard("warn")])


def test_the_guard_sees_nan_behind_a_map_and_is_quiet_else():
    model = ICNN(6, [8], 3, positivity="exp", seed=1)
    fit(model, keras.optimizers.SGD(1e-3), [ConvexityGuard()], epochs=1)
    fit(network(), keras.optimizers.SGD(0.1, **EMA), [ConvexityGuard()], epochs=1)
    kernel = next(layer for layer in model.layers if layer.name == "positive_1").kernel
    kernel.assign(kernel * np.nan)
    with pytest.raises(RuntimeError, match=r"epoch 0: .*positive_1/effective_kernel \(between nan"):
        fit(model, keras.optimizers.SGD(1e-3), [ConvexityGuard()], epochs=1)


def test_project_():
    model = network()
    model.compile(keras.optimizers.SGD(0.1, **EMA), "mse")
    model.fit(X, Y, batch_size=64, epochs=1, verbose=0)
    pairs = list(averages(model.optimizer))
    free = array(model.layers[0].kernel)
    for variable, average in pairs:
        if variable.constraint is not None:
            variable.assign(variable - 0.1)
            average.assign(average - 0.1)
    kept = np.maximum(array(model.layers[1].kernel), 0.0)
    assert project_(model) is model
    for variable, average in pairs:
        if variable.constraint is not None:
            assert array(variable).min() == array(average).min() == 0.0
    np.testing.assert_array_equal(array(model.layers[1].kernel), kept)
    np.testing.assert_array_equal(array(model.layers[0].kernel), free)
    project_(model.layers[1])


def unbuilt():
    return keras.Sequential([layers.Dense(3, kernel_constraint=NonNeg())])


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: project_(unbuilt()), ValueError, "has not been built.*call it once"),
        (lambda: project_(keras.Sequential([keras.Input((3,)), layers.Dense(2)])), ValueError, r"no weight.*\*\*icnn"),
        (lambda: project_(None), TypeError, "Keras model or layer, got NoneType"),
        (lambda: ConvexityGuard("stop"), ValueError, "action must be 'raise' or 'warn', got 'stop'"),
    ],
)
def test_messages(call, error, said):
    with pytest.raises(error, match=said):
        call()


@pytest.mark.parametrize("callback", [ConvexityGuard, NonNegProjection])
def test_callbacks_refuse_a_model_without_such_weights(callback):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="no weight with a NonNeg constraint"):
        fit(model, "sgd", [callback()])


@pytest.mark.parametrize("through", [apply_, constrain_])
def test_kerass_own_constraint_becomes_ours(through):
    model = through(of_kerass_own(network()))
    assert all(type(layer.kernel.constraint) is NonNeg for layer in model.layers[1:])
    assert all(layer.kernel_constraint is layer.kernel.constraint for layer in model.layers[1:])
    seen = Lowest()
    fit(model, keras.optimizers.SGD(0.1, **EMA), [seen])
    assert min(seen.weight, seen.average) >= 0.0
