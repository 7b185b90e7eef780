"""No random function of JAX is certified in which a chord lies below the function."""

from __future__ import annotations

import random
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax.trace import trace
from convex_init_core.convexity.judge import certificate_of, judge

ROWS, WIDTH = 256, 4


def weight(source, rng):
    raw = jnp.asarray(rng.normal(size=(WIDTH, WIDTH)), dtype=jnp.float32)
    number = source.choice([0.5, 1.0, 2.0, -1.0])
    maps = (
        lambda w: w,
        jnp.abs,
        jax.nn.softplus,
        lambda w: jax.nn.softplus(number * w) / number,
        lambda w: jnp.maximum(w, 0.0),
        lambda w: jnp.exp(w - 1) / WIDTH,
        lambda w: jnp.where(w < 0, jnp.exp(w), w),
        jnp.square,
        lambda w: jax.nn.elu(w) + 1,
        lambda w: jnp.clip(w, 0.0, 2.0),
        lambda w: -jnp.abs(w),
    )
    return raw, source.choice(maps)


def pieces(source, rng):
    """One step: a function of the value so far, the input and a raw weight."""
    raw, positive = weight(source, rng)
    c = source.choice([0.1, 0.5, 1.0, 1.5, 2.0, -0.5])
    k = source.randrange(WIDTH)
    steps = (
        lambda w, z, x: z @ positive(w),
        lambda w, z, x: z @ positive(w) + x @ w,
        lambda w, z, x: jnp.einsum("bi,oi->bo", z, positive(w)),
        lambda w, z, x: jax.vmap(lambda row: positive(w) @ row + w[0])(z),
        lambda w, z, x: jax.nn.relu(z + w[0]),
        lambda w, z, x: jnp.maximum(c, z),
        lambda w, z, x: jnp.minimum(z, c * x),
        lambda w, z, x: jax.nn.leaky_relu(z, c),
        lambda w, z, x: jax.nn.elu(z, c),
        lambda w, z, x: jax.nn.celu(z, abs(c)),
        lambda w, z, x: jax.nn.softplus(c * z) / c,
        lambda w, z, x: jax.nn.squareplus(z, abs(c)),
        lambda w, z, x: jax.nn.gelu(z),
        lambda w, z, x: jnp.tanh(z),
        lambda w, z, x: jax.nn.sigmoid(z),
        lambda w, z, x: jax.nn.log_sigmoid(z),
        lambda w, z, x: jnp.where(z > 0, z, c * z),
        lambda w, z, x: jnp.where(z > 0, z**2, c * z),
        lambda w, z, x: jnp.where(z >= c, z, c),
        lambda w, z, x: jax.lax.select_n(z > 0, -z, z),
        lambda w, z, x: z**2,
        lambda w, z, x: z * z,
        lambda w, z, x: z**3,
        lambda w, z, x: jnp.abs(z) ** 1.5,
        lambda w, z, x: jnp.abs(z - c),
        lambda w, z, x: jnp.sqrt(1 + z**2),
        lambda w, z, x: jnp.exp(0.3 * z),
        lambda w, z, x: jnp.log1p(jnp.exp(z)),
        lambda w, z, x: jnp.log(1.1 + jnp.abs(z)),
        lambda w, z, x: 1 / (1.1 + jnp.abs(z)),
        lambda w, z, x: c * z,
        lambda w, z, x: z / c,
        lambda w, z, x: c - z,
        lambda w, z, x: z + x,
        lambda w, z, x: z * jnp.abs(w[0]),
        lambda w, z, x: z * x,
        lambda w, z, x: z - jax.nn.relu(x),
        lambda w, z, x: jnp.logaddexp(z, x @ w),
        lambda w, z, x: jax.nn.logsumexp(z, axis=-1, keepdims=True) + c * x,
        lambda w, z, x: jnp.max(z, axis=-1, keepdims=True) + x,
        lambda w, z, x: jnp.min(z, axis=-1, keepdims=True) * jnp.ones(WIDTH),
        lambda w, z, x: jnp.linalg.norm(z, axis=-1, keepdims=True) + c * x,
        lambda w, z, x: z - z.mean(-1, keepdims=True),
        lambda w, z, x: jnp.var(z, axis=-1, keepdims=True) + x,
        lambda w, z, x: jnp.cumsum(z, axis=-1),
        lambda w, z, x: jax.lax.cummax(z, axis=1),
        lambda w, z, x: jnp.sort(z, axis=-1),
        lambda w, z, x: jnp.repeat(jax.lax.top_k(z, 2)[0], 2, axis=-1),
        lambda w, z, x: jnp.flip(z, -1),
        lambda w, z, x: z[:, jnp.array([k, 0, 1, k])],
        lambda w, z, x: jnp.concatenate([z[:, :2], x[:, 2:]], axis=-1),
        lambda w, z, x: z.at[:, k].set(x[:, 0]),
        lambda w, z, x: z.at[:, k].add(x[:, 0]),
        lambda w, z, x: jnp.pad(z, ((0, 0), (2, 2)), constant_values=c)[:, 1:5],
        lambda w, z, x: jax.lax.scan(lambda s, m: (jax.nn.relu(s @ m + x), None), z, positive(w)[None])[0],
        lambda w, z, x: jax.lax.cond(c > 1, lambda s: s, lambda s: -s, z),
        lambda w, z, x: jnp.floor(z),
        lambda w, z, x: jnp.clip(z, -c, c),
        lambda w, z, x: jax.nn.softmax(z) * c,
        lambda w, z, x: jax.lax.erf(z),
        lambda w, z, x: jax.nn.hard_swish(z),
        lambda w, z, x: jax.lax.stop_gradient(z) * c,
        # What only looks like something else: arguments, functions that are applied, types, places by numbers.
        lambda w, z, x: z.at[:, k].apply(jnp.sin),
        lambda w, z, x: z.at[:, k].apply(jnp.square),
        lambda w, z, x: jax.nn.gelu(z) - jax.nn.gelu(z, approximate=False) + z,
        lambda w, z, x: jnp.roll(z, (x.sum() > 0).astype(int), 1),
        lambda w, z, x: z.astype(jnp.float8_e4m3fn).astype(jnp.float32) * jnp.where(c > 1, 1, 0),
        lambda w, z, x: jnp.where(jnp.isfinite(jnp.exp(30 * z)), z, -z),
        lambda w, z, x: jax.lax.sort((z, x), dimension=1, num_keys=1)[c > 0.6],
        lambda w, z, x: jax.nn.relu(z) * (x[:, :1] - x[:, :1] + c),
        lambda w, z, x: (z - 1.0) * jax.nn.relu(w[0]) + w[1] * x[:, :1],
        lambda w, z, x: jax.lax.conv_general_dilated(
            z[:, None], positive(w)[:1, None, :3] * jnp.ones((1, 1, 1)), (1,), "SAME"
        )[:, 0],
    )
    return raw, source.choice(steps)


def random_function(seed):
    source, rng = random.Random(seed), np.random.default_rng(seed)
    chosen = [pieces(source, rng) for _ in range(source.randint(1, 4))]

    def function(weights, x):
        z = x
        for raw, (_, step) in zip(weights, chosen, strict=True):
            z = step(raw, z, x)
        return z

    return function, [raw for raw, _ in chosen]


def lies_above_a_chord(function, weights, rng):
    ends = [rng.normal(size=(ROWS, WIDTH)) * rng.choice([0.3, 1.0, 4.0], size=(ROWS, 1)) for _ in range(2)]
    low, high = (jnp.asarray(end, dtype=jnp.float32) for end in ends)
    with jax.disable_jit():  # a loop or a branch is compiled anew for each function
        values = [np.asarray(function(weights, x), dtype=np.float64) for x in (low, (low + high) / 2, high)]
    chord, scale = (values[0] + values[2]) / 2, np.max(np.abs(values), axis=0)
    with np.errstate(invalid="ignore"):
        excess = values[1] - chord
        return bool(np.any((excess > 1e-3 + 1e-4 * scale) & np.isfinite(scale)))


@pytest.mark.parametrize("functions", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_random_functions(functions):
    counts: Counter[str] = Counter()
    for seed in range(functions):
        function, weights = random_function(seed)
        graph = trace(function, weights, (jax.ShapeDtypeStruct((ROWS, WIDTH), "float32"),))
        certified = bool(certificate_of(graph, judge(graph)))
        above = lies_above_a_chord(function, weights, np.random.default_rng(seed))
        assert not (certified and above), seed
        counts.update(certified=certified, above=above)
    # The claim would be empty if either kind were rare.
    assert counts["certified"] > 0.15 * functions
    assert counts["above"] > 0.15 * functions
