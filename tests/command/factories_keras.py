"""What ``MODULE:FACTORY`` can name, in Keras."""

from __future__ import annotations

import keras

import convex_init


def convex():
    return convex_init.keras.ICNN(4, [8, 8], 1, seed=0)


def wavy():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Activation(keras.ops.sin)(inputs))


def two_inputs():
    x, y = keras.Input((4,), name="x"), keras.Input((3,), name="y")
    return keras.Model([x, y], keras.layers.add([keras.layers.Dense(1)(x), keras.layers.Dense(1)(y)]))


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)

    def call(self, x):
        return self.last(self.first(x))
