"""The judge's word on functions of JAX: convex ones are proved, and what only looks convex is not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from convex_init.jax.trace import trace
from convex_init_core.convexity.judge import certificate_of, judge

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 4)).astype(np.float32)
PARAMS = {
    "free": jnp.asarray(RNG.normal(size=(4, 4)), dtype=jnp.float32),
    "positive": jnp.abs(jnp.asarray(RNG.normal(size=(4, 4)), dtype=jnp.float32)),
    "bias": jnp.asarray(RNG.normal(size=4), dtype=jnp.float32),
}


def certificate(function, x=X):
    graph = trace(function, PARAMS, (x,))
    return certificate_of(graph, judge(graph))


def layers(p, x, act=jax.nn.relu, weight=lambda p: p["positive"]):
    z = act(x @ p["free"] + p["bias"])
    return act(z @ weight(p) + x @ p["free"])


def huber(x, edge=1.0):
    return jnp.where(x > edge, x - 0.5, jnp.where(x < -edge, -x - 0.5, 0.5 * x * x))


def expected_relu(x, density=1.0):
    """The mean of a ReLU of a noisy value."""
    half = 0.5 * x * (1.0 + jax.lax.erf(x / np.sqrt(2.0)))
    return half + density * jnp.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)


CONVEX = {
    "clamped weights": layers,
    "huber in three pieces": lambda p, x: huber(x @ p["free"]) @ p["positive"],
    "layers with a ReLU smoothed by noise": lambda p, x: layers(p, x, expected_relu),
    "gelu and a density": lambda p, x: jax.nn.gelu(x, approximate=False) + jax.scipy.stats.norm.pdf(x),
    "softplus weights": lambda p, x: layers(p, x, jax.nn.softplus, lambda p: jax.nn.softplus(p["free"]) / 4),
    "squared weights": lambda p, x: layers(p, x, jax.nn.elu, lambda p: p["free"] ** 2),
    "relu weights": lambda p, x: layers(p, x, jax.nn.leaky_relu, lambda p: jnp.maximum(p["free"], 0.0)),
    "under vmap and jit": lambda p, x: jax.jit(jax.vmap(lambda row: layers(p, row)))(x),
    "scanned layers": lambda p, x: jax.lax.scan(
        lambda z, w: (jax.nn.relu(z @ w + x @ p["free"]), None), x, jnp.stack([p["positive"]] * 3)
    )[0],
    "rematerialised": lambda p, x: jax.checkpoint(lambda z: layers(p, z))(x),
    "logsumexp": lambda p, x: jax.nn.logsumexp(x @ p["free"], axis=-1),
    "norm": lambda p, x: jnp.linalg.norm(x @ p["free"], axis=-1) + jnp.linalg.norm(x, 1, axis=-1),
    "squares": lambda p, x: jnp.sum((x @ p["free"]) ** 2, axis=-1) + jnp.var(x, axis=-1),
    "pooled": lambda p, x: jax.lax.reduce_window(jax.nn.relu(x), -jnp.inf, jax.lax.max, (1, 2), (1, 2), "VALID").sum(
        -1
    ),
    "gradient of an affine function": lambda p, x: jax.grad(lambda y: (y @ p["free"]).sum())(x) * x,
    "maximum of pieces": lambda p, x: jnp.max(x @ p["free"] + p["bias"], axis=-1),
    "masked by a constant": lambda p, x: jnp.where(p["bias"] > 0, x, 0.0),
    "convolution": lambda p, x: jax.lax.conv_general_dilated(
        jax.nn.relu(x)[:, None], p["positive"][:, :1, None][..., 0][..., None], (1,), "SAME"
    ),
    "transposed convolution": lambda p, x: jax.lax.conv_transpose(
        jax.nn.relu(x)[..., None], p["positive"][:3, None, :2], (2,), "SAME", dimension_numbers=("NHC", "HIO", "NHC")
    ),
}
NOT_CONVEX = {
    "huber that jumps": lambda p, x: huber(x, 1.1),
    "huber of what is convex": lambda p, x: huber(jax.nn.elu(x)),
    "a ReLU smoothed too little": lambda p, x: expected_relu(x, 0.9),
    "free weights": lambda p, x: layers(p, x, weight=lambda p: p["free"]),
    "concave activation": lambda p, x: layers(p, x, jax.nn.tanh),
    "gelu": lambda p, x: jax.nn.gelu(x),
    "negated": lambda p, x: -layers(p, x),
    "softplus of another sign": lambda p, x: -jax.nn.softplus(-layers(p, x)),
    "squareplus of a negative number": lambda p, x: jax.nn.squareplus(x, -1.0),
    "leaky relu with a large slope": lambda p, x: jax.nn.leaky_relu(x, 1.5),
    "elu with a large alpha": lambda p, x: jax.nn.elu(x, 2.0),
    "square of what changes sign": lambda p, x: jnp.square(layers(p, x) - 1.0),
    "odd power": lambda p, x: x**3,
    "difference": lambda p, x: jax.nn.relu(x) - jax.nn.softplus(x),
    "product of inputs": lambda p, x: x[:, :1] * x[:, 1:2],
    "branch by numbers": lambda p, x: jax.lax.cond(x.sum() > 0, lambda y: y, lambda y: -y, x),
    "loop by numbers": lambda p, x: jax.lax.while_loop(lambda y: y.sum() < 3, lambda y: 2 * y + 1, x),
    "rounded": lambda p, x: jax.lax.reduce_precision(x, 5, 2) * 1.0,
    "whole numbers": lambda p, x: x - x.astype(jnp.int32),
    "remainder": lambda p, x: x % 1.0,
    "floor in a branch": lambda p, x: jnp.where(x > 0, jnp.floor(x), 0.0),
    "finite or not": lambda p, x: jnp.where(jnp.isfinite(jnp.exp(x * 50)), x, -jnp.abs(x)),
    "not a number or not": lambda p, x: jnp.where(jnp.isnan(1 / jax.nn.relu(x) - jnp.inf), x, -jnp.abs(x)),
    "as long as it differs from itself": lambda p, x: jnp.where(jnp.log(x) != jnp.log(x), -x, -jnp.abs(x)),
    "a place that depends on the input": lambda p, x: jnp.take_along_axis(x, jnp.argmin(x, 1, keepdims=True), 1),
    "sorted": lambda p, x: jnp.sort(x, axis=1)[:, 1],
    "smallest": lambda p, x: jnp.min(x, axis=1),
    "log of exponents by a wrong shift": lambda p, x: (
        jnp.log(jnp.exp(x - x.min(1, keepdims=True)).sum(1)) + 2 * x.min(1)
    ),
    "softmax": lambda p, x: jax.nn.softmax(x),
    "normalised": lambda p, x: x / jnp.linalg.norm(x, axis=-1, keepdims=True),
    "callback": lambda p, x: jax.pure_callback(lambda a: -np.abs(a), jax.ShapeDtypeStruct(x.shape, x.dtype), x),
    "number for what lies outside": lambda p, x: jnp.abs(x)[jnp.array([0, 9])].at[0].min(0.5),
    "deviation": lambda p, x: -jnp.std(x, axis=-1),
    "bits": lambda p, x: jax.lax.bitcast_convert_type(x, jnp.int32).astype(jnp.float32),
    "product": lambda p, x: jnp.prod(jax.nn.relu(x), axis=-1),
    "cumulative product": lambda p, x: jnp.cumprod(jax.nn.relu(x), axis=-1),
    "gradient": lambda p, x: jax.grad(lambda y: jnp.sum(jnp.sin(y)))(x),
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_functions_are_certified(name):
    assert str(certificate(CONVEX[name])) == "convex"


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_others_are_not(name):
    assert not certificate(NOT_CONVEX[name])


def test_a_forward_with_its_own_gradient_is_judged_by_its_forward():
    @jax.custom_vjp
    def passed(x):
        return -jnp.abs(x)

    passed.defvjp(lambda x: (passed(x), None), lambda _, g: (g,))
    assert not certificate(lambda p, x: passed(x))


def test_a_state_outside_is_not_a_constant():
    """What a callback without arguments returns may depend on the input through what another one stored."""
    stored = []
    shape = jax.ShapeDtypeStruct(X.shape, X.dtype)

    def function(p, x):
        io_callback(lambda a: stored.append(-np.abs(a)), None, x, ordered=True)
        return io_callback(lambda: stored[-1], shape, ordered=True)

    assert not certificate(function)


def test_no_numbers_no_signs():
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), PARAMS)
    graph = trace(layers, shapes, (X,))
    assert not certificate_of(graph, judge(graph))
    assert certificate_of(graph, judge(graph, assume_non_negative=["positive"]))
