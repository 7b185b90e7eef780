"""The search for a counterexample finds small violations, and takes no rounding of a convex function for one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from convex_init.keras import certify
from tests.keras.arrays import normal

NARROW = keras.backend.backend() == "jax"  # has no float64 unless it is told to


class Function(keras.Model):
    def __init__(self, function, dtype="float32"):
        super().__init__(dtype=dtype)
        self.function = function

    def call(self, x):
        return self.function(x)


def wave(x):
    """Concave in parts; the calculus knows nothing of it."""
    return ops.sin(ops.sum(x, -1, keepdims=True))


SMALL = {
    "a small output": (lambda x: 3e-7 * wave(x), "float32"),
    "a much smaller one": (lambda x: 2e-8 * wave(x), "float32"),
    "beside one of order 1": (lambda x: ops.concatenate([ops.square(x), 3e-7 * wave(x)], -1), "float32"),
    "in float64": (lambda x: 1e-12 * wave(x), "float64"),
    "of a large value": (lambda x: 1e3 + 0.5 * wave(x), "float32"),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_violation_is_found(name):
    function, dtype = SMALL[name]
    if dtype == "float64" and NARROW:
        pytest.skip("JAX computes in float32")
    certificate = certify(Function(function, dtype), normal(4, 3).astype(dtype))
    found = certificate.violation
    assert certificate.verdict == "not convex"
    a, b = (next(iter(end.values())) for end in (found.a, found.b))
    rows = ops.convert_to_tensor(np.stack([a, b, 0.5 * (a + b)]).astype(dtype))
    values = ops.convert_to_numpy(function(rows)).astype(np.float64)[:, found.element]
    assert values[2] - 0.5 * (values[0] + values[1]) == pytest.approx(found.excess, rel=0.3)


def one(x):
    """1, of which the calculus knows nothing."""
    return ops.cos(1e-12 * ops.sum(x, -1, keepdims=True))


def kinks(x):
    return ops.sum(ops.relu(x) + ops.square(x), -1, keepdims=True)


ROUNDED = {
    "a small difference of values of order 1": (lambda x: (one(x) + 1e-4 * kinks(x)) - 1.0, "float32"),
    "of each element": (lambda x: (one(x) + 1e-4 * x) - 1.0, "float32"),
    "of products": (lambda x: 1e-3 * ops.sum(x, -1, keepdims=True) * one(x) + 1.0 - one(x), "float32"),
    "a sum of many": (lambda x: ops.sum(ops.tile(x, (1, 300)), -1, keepdims=True) * one(x), "float32"),
    "in bfloat16": (lambda x: kinks(x) * one(x), "bfloat16"),
    "mixed": (lambda x: kinks(x) * one(x), "mixed_bfloat16"),
    "in float16": (lambda x: kinks(x) * one(x), "float16"),
    "the last layer in float32": (lambda x: ops.cast(ops.cast(kinks(x) * one(x), "bfloat16"), "float32"), "float32"),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ROUNDED)
def test_rounding_is_no_violation(name, seed):
    function, dtype = ROUNDED[name]
    certificate = certify(Function(function, dtype), normal(4, 3), seed=seed)
    assert certificate.violation is None, certificate
    assert certificate.verdict != "not convex"
