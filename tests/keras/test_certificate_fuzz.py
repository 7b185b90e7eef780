"""Random functions of Keras: none that is seen to violate convexity gets a certificate."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from convex_init.keras import certify
from tests.keras.arrays import array

UNARY = (
    *(ops.relu, ops.softplus, ops.elu, ops.abs, ops.square, ops.tanh, ops.selu, ops.negative, ops.log_sigmoid),
    *(ops.squareplus, ops.sparse_plus, ops.celu, ops.leaky_relu, ops.relu6, ops.hard_tanh, ops.silu, ops.sign),
    lambda z: ops.exp(0.2 * z),
    lambda z: ops.sqrt(ops.square(z) + 1.0),
    lambda z: ops.log(1.0 + ops.exp(z)),
    lambda z: ops.clip(z, -1.0, 1.0),
    lambda z: ops.maximum(z, 0.1 * z),
    lambda z: ops.max(z, axis=-1, keepdims=True) + z,
    lambda z: ops.flip(ops.cumsum(z, axis=-1), -1),
    lambda z: z - ops.mean(z, axis=-1, keepdims=True),
    lambda z: ops.sqrt(ops.sum(ops.square(z), axis=-1, keepdims=True)) * ops.ones((1, 4)),
    lambda z: ops.logsumexp(z, axis=-1, keepdims=True) - z,
    lambda z: ops.concatenate([z[:, 2:], z[:, :2]], axis=-1) / 2.0,
    lambda z: ops.power(z, 2),
    lambda z: ops.where(np.array([True, False, True, False]), z, -z),
)
BINARY = (ops.add, ops.subtract, ops.maximum, ops.minimum, ops.multiply, ops.logaddexp)


def random_graph(rng, x):
    made = [x]
    for _ in range(rng.integers(1, 6)):
        kind = rng.random()
        if kind < 0.3:
            kernel = np.abs(rng.normal(size=(4, 4))) if rng.random() < 0.8 else rng.normal(size=(4, 4))
            z = ops.matmul(made[-1], (0.5 * kernel).astype("float32"))
        elif kind < 0.75:
            z = UNARY[rng.integers(len(UNARY))](made[-1])
        else:
            z = BINARY[rng.integers(len(BINARY))](made[-1], made[rng.integers(len(made))])
        made.append(z)
    return made[-1]


def test_no_certificate_for_a_random_graph_with_a_violation():
    rng = np.random.default_rng(0)
    counts = np.zeros(3, dtype=int)
    for _ in range(60):
        x = keras.Input((4,))
        model = keras.Model(x, random_graph(rng, x))
        a, b = rng.normal(size=(2, 256, 4)) * 10.0 ** rng.uniform(-1.0, 0.8, (2, 256, 1))
        values = [array(model(point.astype("float32"))).astype("float64") for point in (a, b, 0.5 * (a + b))]
        with np.errstate(invalid="ignore"):
            above = values[2] - 0.5 * (values[0] + values[1])
        # Rounding of float32; values on the way are at most some hundred times the result's, see the pieces above.
        slack = 1e-3 * np.maximum.reduce([np.abs(value) for value in values]) + 1e-3
        violated = bool((above > slack)[np.isfinite(above)].any())
        certificate = certify(model, search=False)
        assert not (certificate and violated), str(certificate)
        counts += [1, bool(certificate), violated]
    assert counts[1] > 12
    assert counts[2] > 12
