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


REFUSALS = {
    "no inputs": Refusal(lambda: ck.plan(Never()), ("unbuilt", "example_inputs"), remedy=lambda: ck.plan(Never(), x())),
    "another width": Refusal(lambda m: ck.plan(m, x(8, 5)), ("example_inputs", "(8, 5)"), model=plain),
    "certify another width": Refusal(lambda m: ck.certify(m, x(8, 5)), ("example_inputs", "(8, 5)"), model=plain),
    "a word": Refusal(lambda m: ck.plan(m, "abc"), ("example_inputs", "str"), TypeError, plain),
    "NaN": Refusal(lambda m: ck.apply_(m, x() * np.nan), ("example_inputs", "NaN"), model=plain),
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
