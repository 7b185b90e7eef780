"""No random function of TensorFlow is certified in which a chord lies below the function."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from tests.tensorflow.random_functions import RandomFunction, lies_above_a_chord


@pytest.mark.parametrize("functions", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_random_functions(functions):
    counts: Counter[str] = Counter()
    for seed in range(functions):
        function = RandomFunction(seed)
        certified, above = bool(function.certificate()), lies_above_a_chord(function, np.random.default_rng(seed))
        assert not (certified and above), seed
        counts.update(certified=certified, above=above)
    # The claim would be empty if either kind were rare.
    assert counts["certified"] > 0.2 * functions
    assert counts["above"] > 0.2 * functions


@pytest.mark.parametrize(
    ("step", "is_above"),
    [
        (lambda w, z, x: tf.tanh(z), True),
        (lambda w, z, x: tf.where(-tf.math.log(z) > 0.0, -tf.math.log(z), tf.zeros_like(z)), True),
        (lambda w, z, x: tf.square(z), False),
    ],
)
def test_the_check_sees_a_violation(step, is_above):
    function = RandomFunction(0, steps=1)
    function.steps = [step]
    assert lies_above_a_chord(function, np.random.default_rng(0)) == is_above
