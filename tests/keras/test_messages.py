"""Calls of the Keras plug-in that cannot be done name the argument, the place and the remedy."""

import keras
import numpy as np
import pytest

import convex_init.keras as ck
from tests.messages import Refusal, assert_refused


def x(*shape):
    return np.random.default_rng(0).standard_normal(shape or (8, 4)).astype("float32")


def plain():
    layers = keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)
    return keras.Sequential([keras.Input((4,)), *layers])


class Never(keras.Model):
    """A layer of it is never called, and it has no input of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (keras.layers.Dense(units) for units in (8, 1, 3))

    def call(self, x):
        return self.b(keras.ops.relu(self.a(x)))


def made_by(call):
    """A model of two layers, and what it does with them."""

    class Written(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = keras.layers.Dense(8), keras.layers.Dense(1)

        def call(self, x):
            return call(self, x)

    def make():
        model = Written()
        model(x())
        return model

    return make


def name_of(model):
    return model.inputs[0].name


HERE = "test_messages.py:"

REFUSALS = {
    "a sine in the model": Refusal(
        lambda m: ck.plan(m, x()), (HERE, "sin"), model=made_by(lambda m, x: m.b(keras.ops.sin(m.a(x))))
    ),
    "a product in the model": Refusal(
        lambda m: ck.apply_(m, x()),
        ("multiplies two values", HERE),
        model=made_by(lambda m, x: m.b(m.a(x) * keras.ops.relu(m.a(x)))),
    ),
    "a layer that is not convex": Refusal(
        lambda m: ck.apply_(m, x()),
        ("anh in 't'",),
        model=lambda: keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(8), keras.layers.Activation("tanh", name="t"), keras.layers.Dense(1)]
        ),
    ),
    "an output that is none": Refusal(
        lambda m: ck.certify(m, x(), outputs="output.7"), ("outputs", "'output.7'"), model=plain
    ),
    "an output that is a number": Refusal(lambda m: ck.certify(m, x(), outputs=0), ("outputs", "0"), TypeError, plain),
    "a direction": Refusal(
        lambda m: ck.certify(m, x(), monotone={name_of(m): "up"}), ("monotone", "'non-decreasing'"), model=plain
    ),
    "a search by word": Refusal(lambda m: ck.certify(m, x(), search="yes"), ("search", "True"), TypeError, plain),
    "a pattern": Refusal(
        lambda m: ck.plan(m, x(), free="nope"),
        ("free=", "'nope'"),
        model=plain,
        remedy=lambda m: ck.plan(m, x(), free="dense*"),
    ),
    "an argument by a wrong name": Refusal(
        lambda m: ck.plan(m, x(), positiv="b"), ("positiv=", "positive="), TypeError, plain
    ),
    "a missing bias by word": Refusal(
        lambda m: ck.apply_(m, x(), register_missing_bias="x"), ("register_missing_bias",), TypeError, plain
    ),
    "no samples": Refusal(lambda m: ck.apply_(m, x()[:0]), ("example_inputs", "empty"), model=plain),
    "one sample": Refusal(lambda m: ck.signal_report(m, x()[:1]), ("two samples",), model=plain),
    "no model": Refusal(lambda: ck.plan(None, x()), ("model", "NoneType"), TypeError),
    "no model to certify": Refusal(lambda: ck.certify(None, x()), ("model", "NoneType"), TypeError),
    "no model to constrain": Refusal(lambda: ck.constrain_(None), ("model", "NoneType"), TypeError),
    "a map for what is there": Refusal(
        lambda m: ck.constrain_(m, x(), positivity="exp"), ("no positivity", "draws nothing"), TypeError, plain
    ),
    "no inputs": Refusal(lambda: ck.plan(Never()), ("unbuilt", "example_inputs"), remedy=lambda: ck.plan(Never(), x())),
    "another width": Refusal(lambda m: ck.plan(m, x(8, 5)), ("example_inputs", "(8, 5)"), model=plain),
    "certify another width": Refusal(lambda m: ck.certify(m, x(8, 5)), ("example_inputs", "(8, 5)"), model=plain),
    "a word": Refusal(lambda m: ck.plan(m, "abc"), ("example_inputs", "str"), TypeError, plain),
    "NaN": Refusal(lambda m: ck.apply_(m, x() * np.nan), ("example_inputs", "NaN"), model=plain),
    "NaN to certify": Refusal(lambda m: ck.certify(m, x() * np.nan), ("example_inputs", "NaN"), model=plain),
    "no samples to certify": Refusal(lambda m: ck.certify(m, x()[:0]), ("example_inputs", "empty"), model=plain),
    "entry": Refusal(lambda m: ck.plan(m, x(), entry="nope"), ("entry 'nope'", "'forward'"), model=plain),
    "a seed as a word": Refusal(lambda m: ck.apply_(m, x(), seed="0"), ("seed", "integer"), TypeError, plain),
    "a generator": Refusal(lambda m: ck.apply_(m, x(), generator=0), ("generator=", "seed="), TypeError, plain),
    "match_moments": Refusal(lambda: ck.ICNNInit(match_moments="yes"), ("match_moments",), TypeError),
    "an activation for a number": Refusal(
        lambda: ck.ICNNInit("relu"), ("correlation", "**icnn('relu')"), TypeError, remedy=lambda: ck.icnn("relu")
    ),
    "a shape": Refusal(lambda: ck.ICNNInit()(4), ("shape",), TypeError),
    "an equation": Refusal(lambda: ck.ICNNInit(layout="ab->")((4, 3)), ("layout", "'ab->'")),
    "strides": Refusal(lambda: ck.ICNNInit(layout="conv", strides=0), ("strides", "at least 1")),
    "a width": Refusal(lambda: ck.ICNN(4, "8"), ("hidden", "whole numbers"), TypeError),
    "a loss per sample": Refusal(lambda m: ck.signal_report(m, x(), lambda out: out), ("loss", "(8, 1)"), model=plain),
    "an input that is none": Refusal(lambda m: ck.certify(m, x(), "z"), ("convex_inputs", "'z'"), model=plain),
    "a model that is none": Refusal(lambda: ck.project_(None), ("model", "NoneType"), TypeError),
}


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called")
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_leads_on(name):
    assert_refused(REFUSALS[name], lambda model: [weight.tolist() for weight in model.get_weights()])


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called")
def test_numpys_numbers_are_sizes_and_seeds_and_one_width_is_a_layer():
    ck.ICNN(np.int64(4), np.array([8]), np.int32(1), seed=np.int64(0))
    ck.ICNN(5, 16, 1)
    ck.ConvexDense(np.int64(3))
    ck.apply_(plain(), x(), seed=np.int64(0))
    assert ck.plan(Never(), x()).layers
