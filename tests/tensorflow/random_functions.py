"""Random functions of TensorFlow from allowed and forbidden pieces, and whether one of them lies above a chord."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from convex_init.tensorflow.trace import trace
from convex_init_core.convexity.certificate import Certificate
from convex_init_core.convexity.judge import certificate_of, judge

ROWS, WIDTH = 128, 4
Step = Callable[[Any, Any, Any], Any]
STATE = tf.Variable(np.ones((ROWS, WIDTH)))


def weight(source: random.Random, rng: np.random.Generator) -> tuple[tf.Variable, Callable[[Any], Any]]:
    raw, number = tf.Variable(rng.normal(size=(WIDTH, WIDTH))), source.choice([0.5, 1.0, 2.0, -1.0])
    maps: tuple[Callable[[Any], Any], ...] = (
        tf.identity,
        tf.abs,
        tf.nn.softplus,
        lambda w: tf.nn.softplus(number * w) / number,
        lambda w: tf.maximum(w, 0.0),
        lambda w: tf.exp(w - 1.0) / WIDTH,
        tf.square,
        lambda w: tf.nn.elu(w) + 1.0,
        lambda w: tf.clip_by_value(w, 0.0, 2.0),
        lambda w: -tf.abs(w),
        lambda w: tf.where(w < 0.0, tf.exp(w), w),
    )
    return raw, source.choice(maps)


def piece(source: random.Random, rng: np.random.Generator) -> tuple[tf.Variable, Step]:
    """One step: a function of a raw weight, the value so far and the input."""
    raw, positive = weight(source, rng)
    c = source.choice([0.1, 0.5, 1.0, 1.5, 2.0, -0.5])
    k = source.randrange(WIDTH)
    kinds = (_linear, _linear, _rising, _rising, _even, _rows, _moves, _several, _forbidden, _looks_like_another)
    return raw, source.choice(source.choice(kinds)(positive, c, k))


def _wide(row: Any) -> Any:
    return row * tf.ones((1, WIDTH), row.dtype)


def _linear(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    return (
        lambda w, z, x: z @ positive(w),
        lambda w, z, x: z @ positive(w) + x @ w,
        lambda w, z, x: tf.einsum("bi,oi->bo", z, positive(w)),
        lambda w, z, x: tf.tensordot(z, positive(w), [[1], [0]]) + w[0],
        lambda w, z, x: tf.linalg.matvec(positive(w)[None], z),
        lambda w, z, x: tf.linalg.matmul(z, positive(w), transpose_b=True),
        lambda w, z, x: tf.nn.bias_add(z @ positive(w), w[0]),
        lambda w, z, x: tf.nn.conv1d(z[:, :, None], positive(w)[:3, :1, None], 1, "SAME")[:, :, 0],
        lambda w, z, x: tf.concat([z, x], 1) @ tf.concat([positive(w), w], 0),
        lambda w, z, x: z + tf.nn.relu(z) @ positive(w),
    )


def _rising(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    return (
        lambda w, z, x: tf.nn.relu(z + w[0]),
        lambda w, z, x: tf.maximum(z, tf.constant(c, z.dtype)),
        lambda w, z, x: tf.nn.leaky_relu(z, c),
        lambda w, z, x: tf.nn.elu(z),
        lambda w, z, x: tf.nn.softplus(c * z) / c,
        lambda w, z, x: tf.exp(0.3 * z),
        lambda w, z, x: tf.math.log1p(tf.exp(z)),
        lambda w, z, x: -tf.math.log_sigmoid(-z),
        lambda w, z, x: tf.where(z > 0.0, z, c * z),
        lambda w, z, x: tf.where(z >= c, z, c * tf.ones_like(z)),
        lambda w, z, x: tf.where(z > 0.0, z, tf.exp(tf.minimum(z, 0.0)) - 1.0),
        lambda w, z, x: z * tf.cast(z > 0.0, z.dtype),
        lambda w, z, x: tf.nn.relu(z) ** abs(c),
        lambda w, z, x: (z + tf.sqrt(z * z + abs(c))) / 2.0,
    )


def _even(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    base = lambda w, z: z @ w + w[0]  # noqa: E731
    return (
        lambda w, z, x: tf.square(z),
        lambda w, z, x: z * z,
        lambda w, z, x: tf.abs(z - c),
        lambda w, z, x: tf.sqrt(1.0 + z**2),
        lambda w, z, x: tf.cosh(0.2 * z),
        lambda w, z, x: z**3,
        lambda w, z, x: tf.maximum(z, -z),
        lambda w, z, x: _wide(tf.reduce_sum((z @ (w @ tf.transpose(w))) * z, 1, keepdims=True)),
        lambda w, z, x: _wide(tf.reduce_sum(z * (z @ positive(w)), 1, keepdims=True)),
        lambda w, z, x: _wide(tf.reduce_sum(base(w, z) ** 2, 1, keepdims=True)),
        lambda w, z, x: _wide(tf.reduce_sum(base(w, z) * (z @ w), 1, keepdims=True)),
        lambda w, z, x: _wide(tf.einsum("bi,bi->b", base(w, z), base(w, z))[:, None]),
    )


def _rows(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    row = {"axis": 1, "keepdims": True}
    return (
        lambda w, z, x: tf.reduce_logsumexp(z, **row) + c * x,
        lambda w, z, x: tf.reduce_max(z, **row) + x,
        lambda w, z, x: _wide(tf.reduce_min(z, **row)),
        lambda w, z, x: tf.norm(z, **row) + c * x,
        lambda w, z, x: tf.math.reduce_variance(z, **row) + x,
        lambda w, z, x: z - tf.reduce_mean(z, **row),
        lambda w, z, x: tf.sort(z, axis=1),
        lambda w, z, x: _wide(tf.reduce_sum(tf.math.top_k(z, 2)[0], **row)),
        lambda w, z, x: tf.repeat(tf.math.top_k(z, 2)[0], 2, axis=1),
        lambda w, z, x: tf.reduce_max(z, **row) + tf.math.log(
            tf.reduce_sum(tf.exp(z - tf.reduce_max(z, **row)), **row)) + 0.0 * x,
        lambda w, z, x: tf.nn.softmax(z) * c,
        lambda w, z, x: -tf.nn.log_softmax(z),
    )  # fmt: skip


def _moves(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    return (
        lambda w, z, x: tf.reverse(z, [1]),
        lambda w, z, x: tf.gather(z, [k, 0, 1, k], axis=1),
        lambda w, z, x: tf.concat([z[:, :2], x[:, 2:]], 1),
        lambda w, z, x: tf.pad(z, [[0, 0], [2, 2]], constant_values=c)[:, 1:5],
        lambda w, z, x: tf.roll(z, 1, 1),
        lambda w, z, x: tf.cumsum(z, axis=1, reverse=c > 1.0, exclusive=c < 0.0),
        lambda w, z, x: tf.nn.max_pool1d(z[:, :, None], 2, 1, "SAME")[:, :, 0],
        lambda w, z, x: tf.nn.avg_pool1d(z[:, :, None], 2, 1, "SAME")[:, :, 0],
        lambda w, z, x: tf.tensor_scatter_nd_update(z, [[k]], x[:1]),
        lambda w, z, x: tf.stack([z, x], 1)[:, 0],
        lambda w, z, x: tf.concat([z, tf.tanh(z)], 1)[:, :WIDTH],
        lambda w, z, x: (
            tf.transpose(tf.reshape(z, (ROWS, 2, 2)), (0, 2, 1))[:, :, ::-1][:, 0][:, [0, 1, 0, 1]]
            if c > 5.0
            else tf.reshape(tf.transpose(tf.reshape(z, (ROWS, 2, 2)), (0, 2, 1)), (ROWS, WIDTH))
        ),
    )


def _several(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    mask = np.arange(WIDTH) % 2 == k % 2
    return (
        lambda w, z, x: z + x,
        lambda w, z, x: c - z,
        lambda w, z, x: z / c,
        lambda w, z, x: tf.minimum(z, c * x),
        lambda w, z, x: z * tf.abs(w[0]),
        lambda w, z, x: z * x,
        lambda w, z, x: z - tf.nn.relu(x),
        lambda w, z, x: tf.where(mask, z, x),
        lambda w, z, x: tf.where(mask, z, -z),
        lambda w, z, x: tf.add_n([z, x, z]),
        lambda w, z, x: tf.reduce_logsumexp(tf.stack([z, x @ w]), axis=0),
    )


def _forbidden(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    return (
        lambda w, z, x: tf.tanh(z),
        lambda w, z, x: tf.sigmoid(z),
        lambda w, z, x: tf.nn.gelu(z),
        lambda w, z, x: tf.nn.silu(z),
        lambda w, z, x: tf.floor(z),
        lambda w, z, x: tf.clip_by_value(z, -abs(c), abs(c)),
        lambda w, z, x: tf.math.log(1.1 + tf.abs(z)),
        lambda w, z, x: 1.0 / (1.1 + tf.abs(z)),
        lambda w, z, x: tf.math.erf(z),
        lambda w, z, x: tf.where(z > 0.0, z**2, c * z),
        lambda w, z, x: tf.nn.selu(z),
    )


def _looks_like_another(positive: Callable[[Any], Any], c: float, k: int) -> tuple[Step, ...]:
    """Arguments and places by numbers, state, types, what hides where something has no value, and honest forms."""

    def by_number(x: Any) -> Any:
        return tf.cast(tf.reduce_sum(x) > 0.0, tf.int32)

    def kept(w: Any, z: Any, x: Any) -> Any:
        STATE.assign(-tf.abs(z))
        return STATE + 0.0

    def changed(w: Any, z: Any, x: Any) -> Any:
        STATE.assign(-tf.ones_like(z))
        out = z * STATE
        STATE.assign(tf.ones_like(z))
        return out

    log = lambda z: -tf.math.log(z)  # noqa: E731
    return (
        kept,
        changed,
        lambda w, z, x: tf.roll(z, by_number(x), 1),
        lambda w, z, x: tf.raw_ops.ReverseV2(tensor=z, axis=[by_number(x)]),
        lambda w, z, x: tf.cond(tf.reduce_sum(x) > 3.0, lambda: -tf.abs(z), lambda: tf.abs(z)),
        lambda w, z, x: tf.where(tf.math.is_finite(tf.exp(300.0 * z)), z, -tf.abs(z)),
        lambda w, z, x: tf.where(log(z) > c, log(z), c * tf.ones_like(z)),
        lambda w, z, x: tf.where(log(z) <= c, c * tf.ones_like(z), log(z)),
        lambda w, z, x: tf.nn.max_pool1d(log(z)[:, :, None], 2, 1, "SAME")[:, :, 0],
        lambda w, z, x: tf.maximum(log(z), tf.constant(c, z.dtype)),
        lambda w, z, x: _wide(tf.math.top_k(log(z), 1)[0]),
        lambda w, z, x: tf.math.divide_no_nan(z, tf.nn.relu(z)),
        lambda w, z, x: tf.cast(tf.cast(z, tf.int32), z.dtype),
        lambda w, z, x: tf.cast(tf.saturate_cast(z, tf.int8), z.dtype),
        lambda w, z, x: tf.nn.gelu(z) - tf.nn.gelu(z, approximate=True) + z,
        lambda w, z, x: tf.nn.relu(z) * (x[:, :1] - x[:, :1] + c),
        lambda w, z, x: (z - 1.0) * tf.nn.relu(w[0]) + w[1] * x[:, :1],
        lambda w, z, x: z * (1.0 - tf.sigmoid(w[0])),
    )


class RandomFunction:
    """A random computation of x, an array of ROWS rows; ``variables`` are its weights by name.

    Args:
        seed: of all choices and weights.
        steps: at most so many pieces.
    """

    def __init__(self, seed: int, steps: int = 4) -> None:
        source, rng = random.Random(seed), np.random.default_rng(seed)
        made = [piece(source, rng) for _ in range(source.randint(1, steps))]
        self.steps = [step for _, step in made]
        self.raw = [raw for raw, _ in made]
        self.variables = {f"w{i}": raw for i, raw in enumerate(self.raw)} | {"state": STATE}

    def trail(self, x: Any) -> list[Any]:
        """All values that are made on the way."""
        found = [x]
        for raw, step in zip(self.raw, self.steps, strict=True):
            found.append(step(raw, found[-1], x))
        return found

    @tf.autograph.experimental.do_not_convert  # rewriting its source takes most of the time and changes nothing
    def __call__(self, x: Any) -> Any:
        return self.trail(x)[-1]

    def certificate(self) -> Certificate:
        graph = trace(self, self.variables, (tf.TensorSpec((ROWS, WIDTH), tf.float64),))
        return certificate_of(graph, judge(graph))


def lies_above_a_chord(function: RandomFunction, rng: np.random.Generator) -> bool:
    """Whether one of ROWS segments of many lengths is a counterexample, beyond the rounding of the largest value."""
    ends = rng.standard_normal((2, ROWS, WIDTH)) * 10.0 ** rng.uniform(-1.5, 1.0, (2, ROWS, 1))
    ends[1] = np.where(rng.uniform(size=(ROWS, 1)) < 0.5, ends[0] + ends[1], ends[1])
    points = (ends[0], ends[1], 0.5 * (ends[0] + ends[1]))
    trails = [[value.numpy() for value in function.trail(tf.constant(point))] for point in points]
    with np.errstate(all="ignore"):
        above = trails[2][-1] - 0.5 * (trails[0][-1] + trails[1][-1])
        sizes = [np.nan_to_num(np.abs(value), posinf=np.inf).max(axis=1) for trail in trails for value in trail]
        scale = np.max(sizes, axis=0) + 1.0
        return bool((np.nan_to_num(above / scale[:, None], nan=-1.0, posinf=-1.0, neginf=-1.0) > 1e-8).any())
