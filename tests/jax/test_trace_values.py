"""What is traced computes what the function computes, idiom by idiom."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from convex_init.jax.trace import trace
from tests.graph_evaluation import evaluated

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4)).astype(np.float32)
IMAGE = RNG.normal(size=(2, 6, 5, 4)).astype(np.float32)
PARAMS = {
    "w": RNG.normal(size=(4, 4)).astype(np.float32),
    "b": RNG.normal(size=4).astype(np.float32),
    "kernel": RNG.normal(size=(3, 2, 4, 6)).astype(np.float32),
    "grouped": RNG.normal(size=(3, 2, 2, 6)).astype(np.float32),
}


def convolution(data, kernel, layout=("NHWC", "HWIO", "NHWC"), strides=(1, 1), **how):
    return jax.lax.conv_general_dilated(data, kernel, strides, "VALID", dimension_numbers=layout, **how)


def looped(p, x):
    def step(carry, row):
        carry = jnp.tanh(carry @ p["w"] + row)
        return carry, carry * 2

    return jax.lax.scan(step, x[0], x)


def counted(p, x):
    return jax.lax.fori_loop(0, 5, lambda index, state: state * 0.5 + index, x)


@jax.custom_vjp
def straight_through(x):
    return x * 2


straight_through.defvjp(lambda x: (x * 2, None), lambda _, g: (g,))

# Function of parameters and one input; the operations that the graph must have, if it is not plain.
IDIOMS = {
    "dense": (lambda p, x: x @ p["w"] + p["b"], "contract add"),
    "dense of a vector": (lambda p, x: p["w"] @ x[0] + p["b"], "contract"),
    "einsum": (lambda p, x: jnp.einsum("bi,oi->ob", x, p["w"]), "contract"),
    "batched": (lambda p, x: jax.vmap(lambda row: p["w"] @ row + p["b"])(x), "contract add"),
    "outer": (lambda p, x: jnp.einsum("bi,bj->bij", x, x), "contract"),
    "relu": (lambda p, x: jax.nn.relu(x), "relu"),
    "relu by maximum": (lambda p, x: jnp.maximum(x, 0.0), "relu"),
    "relu by zeros": (lambda p, x: jnp.maximum(x, jnp.zeros_like(x)), "relu"),
    "relu of a wider result": (lambda p, x: jnp.maximum(x[:1], jnp.zeros((3, 4))), "maximum"),
    "relu6": (lambda p, x: jax.nn.relu6(x), "relu minimum"),
    "leaky_relu": (lambda p, x: jax.nn.leaky_relu(x, 0.3), "leaky_relu"),
    "elu": (lambda p, x: jax.nn.elu(x), "elu"),
    "elu of alpha": (lambda p, x: jax.nn.elu(x, 0.4), "elu"),
    "celu": (lambda p, x: jax.nn.celu(x, 0.7), "elu"),
    "selu": (lambda p, x: jax.nn.selu(x), "selu"),
    "softplus": (lambda p, x: jax.nn.softplus(x), "softplus"),
    "softplus under vmap": (lambda p, x: jax.vmap(jax.vmap(jax.nn.softplus))(x), "softplus"),
    "softplus by logaddexp": (lambda p, x: jnp.logaddexp(x, 0.0), "softplus"),
    "logaddexp": (lambda p, x: jnp.logaddexp(x, 2 * x), "log_add_exp"),
    "logaddexp of shapes": (lambda p, x: jnp.logaddexp(x, x[:1]), "log_add_exp"),
    "squareplus": (lambda p, x: jax.nn.squareplus(x, 3.0), "squareplus"),
    "sparse_plus": (lambda p, x: jax.nn.sparse_plus(x), "sparse_plus"),
    "gelu": (lambda p, x: jax.nn.gelu(x, approximate=False), "gelu"),
    "silu": (lambda p, x: jax.nn.silu(x), "silu"),
    "mish": (lambda p, x: jax.nn.mish(x), "mish"),
    "log_sigmoid": (lambda p, x: jax.nn.log_sigmoid(x), "log_sigmoid"),
    "sigmoid": (lambda p, x: jax.nn.sigmoid(x), "sigmoid"),
    "soft_sign": (lambda p, x: jax.nn.soft_sign(x), "softsign"),
    "hard_sigmoid": (lambda p, x: jax.nn.hard_sigmoid(x), "hardsigmoid"),
    "hard_swish": (lambda p, x: jax.nn.hard_swish(x), "hardswish"),
    "logsumexp": (lambda p, x: jax.nn.logsumexp(x, axis=-1), "log_sum_exp"),
    "logsumexp of everything": (lambda p, x: jax.nn.logsumexp(x), "log_sum_exp"),
    "logsumexp that keeps axes": (lambda p, x: jax.nn.logsumexp(x, axis=0, keepdims=True), "log_sum_exp"),
    "softmax": (lambda p, x: jax.nn.softmax(x), "softmax"),
    "log_softmax": (lambda p, x: jax.nn.log_softmax(x, axis=0), "log_softmax"),
    "norm": (lambda p, x: jnp.linalg.norm(x, axis=-1), "norm"),
    "norm of everything": (lambda p, x: jnp.linalg.norm(x), None),
    "norm of order 1": (lambda p, x: jnp.linalg.norm(x, 1, axis=-1), "abs sum"),
    "norm of order 3": (lambda p, x: jnp.linalg.norm(x, 3, axis=-1), None),
    "norm of order infinity": (lambda p, x: jnp.linalg.norm(x, jnp.inf, axis=-1), "abs max"),
    "mean": (lambda p, x: jnp.mean(x, axis=0, keepdims=True) * jnp.mean(x, axis=1, keepdims=True), "mean"),
    "variance": (lambda p, x: jnp.var(x, axis=-1), "square mean"),
    "deviation": (lambda p, x: jnp.std(x, axis=-1), None),
    "maximum along": (lambda p, x: x.max(-1) - x.min(0).sum(), "max min"),
    "where": (lambda p, x: jnp.where(x > 0, x, 0.1 * x), "where compare"),
    "where by a constant": (lambda p, x: jnp.where(p["w"][:3] > 0, x, -x), "where"),
    "clip": (lambda p, x: jnp.clip(x, -0.5, 0.5), "maximum minimum"),
    "powers": (lambda p, x: x**2 + x**3 + jnp.abs(x) ** 1.5 + jnp.abs(x) ** -1, "square power reciprocal"),
    "exponentials": (lambda p, x: jnp.exp(x) + jnp.exp2(x) + jnp.expm1(x) + jnp.log1p(x * x), "exp power expm1"),
    "more functions": (lambda p, x: jnp.cosh(x) + jnp.tanh(x) * jnp.sin(x) - jnp.arctan(x), None),
    "error function": (lambda p, x: jax.lax.erf(x) + jax.lax.erfc(x), "erf"),
    "rounding": (lambda p, x: jnp.floor(x) + jnp.ceil(x) + jnp.round(x) + jnp.sign(x), "floor ceil round sign"),
    "roots": (lambda p, x: jnp.sqrt(x * x) + jax.lax.rsqrt(1 + x * x), "sqrt rsqrt"),
    "indexing": (lambda p, x: x[1] + x[-1, 1:3].sum() + x[..., None].sum(), "slice"),
    "strides": (lambda p, x: jax.lax.slice_in_dim(x, 1, 4, 2, axis=1), "slice"),
    "unstacked": (lambda p, x: jnp.unstack(x, axis=1)[2], "slice"),
    "dynamic slices": (lambda p, x: jax.lax.dynamic_slice(x, (1, 7), (2, 3)), "slice"),
    "shapes": (lambda p, x: x.reshape(2, 6).T.reshape(3, 2, 2).transpose(2, 0, 1)[:, :, None], "transpose"),
    "broadcasts": (lambda p, x: jnp.broadcast_to(x[:, None], (3, 2, 4)) + jnp.tile(p["b"], 1), "broadcast"),
    "concatenation": (lambda p, x: jnp.concatenate([x, p["w"], jnp.stack([x[0], x[1]])]), "concatenate"),
    "padding": (lambda p, x: jnp.pad(x, ((1, 0), (2, 3)), constant_values=0.5), "pad"),
    "split": (lambda p, x: jnp.split(x, 2, axis=1)[1] * 3, "slice"),
    "cumulative": (lambda p, x: jnp.cumsum(x, axis=1), "cumulative_sum"),
    "cumulative log-sum-exp": (lambda p, x: jax.lax.cumlogsumexp(x, axis=1), "cumulative_log_sum_exp"),
    "sorted": (lambda p, x: jnp.sort(x, axis=0), "sort"),
    "largest": (lambda p, x: jax.lax.top_k(x, 2)[0], "largest"),
    "casts": (lambda p, x: (x.astype(jnp.float16) * 1).astype(jnp.float32), "cast"),
    "loop": (looped, "contract"),
    "counted loop": (counted, "multiply"),
    "checkpoint": (lambda p, x: jax.checkpoint(lambda y: jnp.sin(y) @ p["w"])(x), "contract"),
    "own gradient": (lambda p, x: straight_through(x), "multiply"),
    "stop_gradient": (lambda p, x: jax.lax.stop_gradient(x) * 2, "multiply"),
    "known branch": (lambda p, x: jax.lax.cond(p["b"][0] > 9, jnp.sin, jnp.cos, x), "cos"),
    "positive weights": (lambda p, x: x @ (jax.nn.softplus(p["w"]) / 4), "softplus divide contract"),
    "gradient": (lambda p, x: jax.grad(lambda y: jnp.sum((y @ p["w"]) ** 2))(x), "contract"),
}


@pytest.mark.parametrize("idiom", IDIOMS)
def test_idioms(idiom):
    function, wanted = IDIOMS[idiom]
    check(function, (X,), wanted)


def check(function, args, wanted=None):
    graph = trace(function, PARAMS, args)
    expected = jax.tree_util.tree_leaves(function(PARAMS, *args))
    found = evaluated(graph, {str(index): array for index, array in enumerate(args)}, np.asarray)
    for (name, array), value in zip(found.items(), expected, strict=True):
        assert array is not None, f"{name} is not known"
        np.testing.assert_allclose(array, value, rtol=1e-3 if wanted == "cast" else 2e-5, atol=2e-5)
    names = {node.name for node in graph}
    assert set((wanted or "").split()) <= names
    return graph


CONVOLUTIONS = {
    "plain": lambda p, x: convolution(x, p["kernel"]),
    "strides": lambda p, x: convolution(x, p["kernel"], strides=(2, 1)),
    "dilation": lambda p, x: convolution(x, p["kernel"], rhs_dilation=(1, 3)),
    "groups": lambda p, x: convolution(x, p["grouped"], feature_group_count=2),
    "channels first": lambda p, x: convolution(
        x.transpose(0, 3, 1, 2), p["kernel"].transpose(3, 2, 0, 1), ("NCHW", "OIHW", "NCHW")
    ),
    "other layout of results": lambda p, x: convolution(x, p["kernel"], ("NHWC", "HWIO", "CNHW")),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    graph = check(CONVOLUTIONS[name], (IMAGE,), "convolve")
    (node,) = (node for node in graph if node.name == "convolve")
    _, weight = node.inputs
    fan_in = math.prod(weight.shape[axis] for axis in node.params["weight_axes"][1:])
    assert fan_in == (12 if name == "groups" else 24)


def test_a_transposed_convolution_has_the_strides_of_its_output():
    def function(p, x):
        return jax.lax.conv_transpose(x, p["kernel"], (2, 3), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    graph = trace(function, PARAMS, (IMAGE,))
    (node,) = (node for node in graph if node.name == "convolve")
    assert node.params["transposed"]
    assert node.params["strides"] == (2, 3)
    assert node.inputs[1].shape[node.params["weight_axes"][1]] == IMAGE.shape[-1]


def test_pooling_keeps_its_kind():
    def function(p, x):
        top = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
        total = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")
        return top, total, total / 4, total / 3

    graph = trace(function, {}, (IMAGE,))
    top, total, average, other = graph.outputs.values()
    assert [node.name for node in (top, total, average, other)] == ["window_max", "multiply", "average", "divide"]
    assert [part.name for part in total.inputs] == ["average", "literal"]
    assert total.inputs[1].number == 4


MEANS = {
    "mean": (lambda x: jnp.mean(x, axis=1), {"axes": (1,), "keepdims": False}),
    "kept axes": (lambda x: jnp.mean(x, axis=0, keepdims=True), {"axes": (0,), "keepdims": True}),
    "written out": (lambda x: x.sum(1) / 4, {"axes": (1,), "keepdims": False}),
    "of everything": (lambda x: x.mean(), {"axes": (0, 1), "keepdims": False}),
    "by another number": (lambda x: x.sum(1) / 3, None),
    "of a concave signal's sum in another shape": (lambda x: x.sum(1).reshape(1, 3) / 4, None),
}


@pytest.mark.parametrize("name", MEANS)
def test_a_sum_over_its_count_is_a_mean(name):
    function, params = MEANS[name]
    node = trace(lambda p, x: function(x), {}, (X,)).outputs["output"]
    assert (node.params if node.name == "mean" else None) == params


MOVES = {
    "gather": lambda p, x: x[:, jnp.array([2, 0])],
    "rearrange": lambda p, x: jnp.flip(x, 0),
    "join": lambda p, x: x.at[1].set(p["b"]),
}


@pytest.mark.parametrize("op", MOVES)
def test_moves_that_the_graph_does_not_tell_in_full(op):
    node = trace(MOVES[op], PARAMS, (X,)).outputs["output"]
    assert node.name == op
    assert node.shape == MOVES[op](PARAMS, jnp.asarray(X)).shape


# What is not understood, or not of the graph's operations, and what the node says.
OPAQUE = {
    "has no rule": lambda p, x: jax.lax.cbrt(x),
    "branches": lambda p, x: jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x),
    "loop of unknown length": lambda p, x: jax.lax.while_loop(lambda s: s.sum() < 9, lambda s: s * 2 + 1, x),
    "long loop": lambda p, x: jax.lax.fori_loop(0, 65, lambda i, s: s * 2, x),
    "effect": lambda p, x: io_callback(np.ones_like, jax.ShapeDtypeStruct((4,), x.dtype), p["b"]) + x,
    "callback": lambda p, x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x),
    "precision": lambda p, x: jax.lax.reduce_precision(x, 5, 3),
    "product of all": lambda p, x: jnp.prod(x, axis=0),
    "whole numbers": lambda p, x: x.astype(jnp.int32).astype(jnp.float32),
    "index from the input": lambda p, x: x.at[jnp.argmax(x)].set(1.0),
    "number for what lies outside": lambda p, x: x.at[jnp.array([1, 9])].get(mode="fill", fill_value=7.0),
    "groups of a batch": lambda p, x: convolution(
        jnp.broadcast_to(x.sum(), (2, 6, 5, 4)), p["kernel"], batch_group_count=2
    ),
    "scatter_add": lambda p, x: jnp.zeros(4).at[jnp.array([0, 0, 1, 1])].add(x[0]),
    "order of another": lambda p, x: jax.lax.sort((x, x * 2), num_keys=1)[1],
}


@pytest.mark.parametrize("name", OPAQUE)
def test_what_is_not_understood_is_opaque(name):
    graph = trace(OPAQUE[name], PARAMS, (X,))
    assert any(node.name == "opaque" and not node.is_fixed for node in graph)
    assert all(node.params["why"] for node in graph if node.name == "opaque")


@pytest.mark.parametrize("changed", ["elu", "softplus", "leaky_relu", "logsumexp"])
def test_a_function_of_another_name_is_known_by_what_it_does(changed):
    """A function that passes for one of jax.nn's is read as what it is."""
    falsified = {
        "elu": lambda x: jnp.where(x > 0, x, 1.0 * jnp.expm1(jnp.where(x > 0, 0.5, x))),
        "softplus": lambda x: jnp.logaddexp(x, 0.0) + jnp.where(x > 1, -1.0, 0.0),
        "leaky_relu": lambda x: jnp.where(x >= 0, x, 0.2 * x[::-1]),
        "logsumexp": lambda x: jnp.log(jnp.abs(jnp.exp(x - x.max(0)).sum(0))) + x.max(0),
    }
    function = falsified[changed]
    function.__name__ = changed
    op = {"logsumexp": "log_sum_exp"}.get(changed, changed)
    graph = trace(lambda p, x: jax.jit(function)(x), {}, (X,))
    assert graph.outputs["output"].name != op
