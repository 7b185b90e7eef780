"""Layers of a user's own that give ``ICNNInit`` to weights: what they lack is said, and what fits is quiet."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from convex_init.keras import ICNNBias, ICNNInit, NonNeg, apply_, check_initializers, icnn
from tests.keras.arrays import normal
from tests.keras.test_belonging import Late


class Own(layers.Layer):
    """A dense layer of which ``weights`` makes kernel and bias."""

    def __init__(self, make, units=3, **options):
        super().__init__(**options)
        self.make, self.units = make, units

    def build(self, shape):
        self.w, self.b = self.make(self, (shape[-1], self.units), (self.units,))

    def call(self, x):
        return keras.ops.matmul(x, self.w) + (0.0 if self.b is None else self.b)


def own(kernel=ICNNInit, bias=ICNNBias, constraint=NonNeg, attribute=""):
    def make(layer, shape, units):
        given = kernel()
        if attribute:
            setattr(layer, attribute, given)
        w = layer.add_weight(shape=shape, name="w", initializer=given, constraint=constraint and constraint())
        return w, bias and layer.add_weight(shape=units, name="b", initializer=bias())

    return make


def through_a_function(layer, shape, units):
    def initial(shape, dtype):
        return ICNNInit()(shape, dtype)

    return layer.add_weight(shape=shape, name="w", initializer=initial), None


def a_bare_variable(layer, shape, units):
    return keras.Variable(ICNNInit(), shape=shape, name="w"), None


OWN_LACKING = {
    "neither": (own(bias=None, constraint=None), "'w'.*no NonNeg", True),
    "constraint": (own(constraint=None), "'w'.*no NonNeg", True),
    "another constraint": (own(constraint=keras.constraints.UnitNorm), "'w'.*no NonNeg", True),
    "kept as an attribute": (own(constraint=None, attribute="kernel_initializer"), "'w'.*no NonNeg", True),
    "through a function": (through_a_function, "'w'.*no NonNeg", True),
    "bias": (own(bias=None), "'w'.*no bias.*ICNNBias", False),
    "zero bias": (own(bias=lambda: "zeros"), "'w'.*no bias.*ICNNBias", False),
    "a bare variable": (a_bare_variable, "'w'.*no NonNeg", False),
}


@pytest.mark.parametrize("late", [False, True], ids=["built", "traced"])
@pytest.mark.parametrize("name", OWN_LACKING)
def test_an_own_layer_lacks_what_it_does_not_give_to_its_weights(name, late, recwarn):
    make, said, warns = OWN_LACKING[name]
    layer = Own(make, name="mine")
    if late:
        model = Late(layers.Dense(4), layer)
        model(normal(2, 5))
    else:
        model = layer
        layer.build((None, 4))
    told = {str(each.message) for each in recwarn if "ICNNInit" in str(each.message)}  # drawn twice while traced
    assert len(told) == (warns or (late and name == "a bare variable"))
    assert all("mine has the ICNNInit kernel 'w'" in each for each in told)
    with pytest.raises(ValueError, match=rf"mine has the ICNNInit kernel {said}"):
        check_initializers(model)


class Gated(layers.Dense):
    """Keras' layer with a second kernel."""

    def build(self, shape):
        super().build(shape)
        self.gate = self.add_weight(shape=(shape[-1], self.units), name="gate", initializer=ICNNInit())


def test_a_second_kernel_of_a_layer_of_keras():
    layer = Gated(3, **icnn())
    with pytest.warns(UserWarning, match="'gate'.*no NonNeg"):
        layer.build((None, 4))
    with pytest.raises(ValueError, match="'gate'"):
        check_initializers(layer)


OWN_COMPLETE = {
    "both": own(),
    "by name": own(constraint=lambda: "non_neg"),
    "of an attribute": own(attribute="kernel_initializer"),
    "a map": own(kernel=lambda: ICNNInit(positivity="exp"), constraint=None),
    "a skip": own(kernel=lambda: ICNNInit(skip_share=0.5), bias=None),
}


@pytest.mark.parametrize("late", [False, True], ids=["built", "traced"])
@pytest.mark.parametrize("name", OWN_COMPLETE)
def test_an_own_layer_that_fits_is_quiet(name, late):
    """A warning is an error here."""
    layer = Own(OWN_COMPLETE[name])
    if late:
        Late(layers.Dense(4), layer)(normal(2, 5))
    else:
        layer.build((None, 4))
    check_initializers(layer)


def test_apply_puts_an_own_layer_right():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu")])
    with pytest.warns(UserWarning, match="has the ICNNInit kernel"):
        model.add(Own(own(bias=lambda: "zeros", constraint=None)))
    check_initializers(apply_(model, seed=0))
