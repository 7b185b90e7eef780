"""A plan of a Keras model: JAX and TensorFlow trace it and compute nothing, torch runs it; none copies the weights."""

from __future__ import annotations

import tracemalloc

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import plan

WIDTH = 2000
WEIGHT = 4 * WIDTH**2  # bytes
ROWS = 16


class Probe(layers.Layer):
    """Tell how many numbers it is given: none in a trace."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    def call(self, x):
        try:
            self.seen.append(bool(np.isfinite(keras.ops.convert_to_numpy(x)).all()))
        except Exception:  # what each backend raises for what has no numbers
            self.seen.append(False)
        return keras.ops.relu(x)


@pytest.mark.parametrize("given", [False, True], ids=["made inputs", "example inputs"])
def test_a_trace_has_no_numbers_and_weights_are_not_copied(given: bool) -> None:
    probes = [Probe() for _ in range(3)]
    parts = [part for probe in probes for part in (layers.Dense(WIDTH), probe)]
    model = keras.Sequential([keras.Input((WIDTH,)), *parts, layers.Dense(1)])
    for probe in probes:
        probe.seen.clear()
    inputs = (np.ones((ROWS, WIDTH), np.float32),) if given else ()
    tracemalloc.start()
    try:
        made = plan(model, *inputs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    at_once = 1 if keras.backend.backend() == "tensorflow" else 0  # whose arrays are read through a copy
    assert peak < (at_once + 0.8) * WEIGHT
    assert [layer.role for layer in made.layers] == ["free", *["positive"] * 3]
    seen = [one for probe in probes for one in probe.seen]
    assert seen
    assert any(seen) == all(seen) == (keras.backend.backend() == "torch")
