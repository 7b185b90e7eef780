"""A plan needs shapes, not numbers: no machine could hold these parameters, in arrays or in a forward."""

from __future__ import annotations

import itertools
import tracemalloc

import jax
import jax.numpy as jnp
import pytest

from convex_init.jax import plan

WIDTH = 1_000_000  # a weight would be 4 TB
DEPTH = 4


def network() -> dict[str, list[dict[str, jax.Array]]]:
    widths = [8, *[WIDTH] * DEPTH, 1]
    return {"layers": [{"w": jnp.zeros(pair), "b": jnp.zeros(pair[1])} for pair in itertools.pairwise(widths)]}


def icnn(params, x):
    first, *others = params["layers"]
    s = x @ first["w"] + first["b"]
    for layer in others:
        s = jax.nn.relu(s) @ layer["w"] + layer["b"]
    return s


def softplus_icnn(params, x):
    first, *others = params["layers"]
    s = x @ first["w"] + first["b"]
    for layer in others:
        s = jax.nn.elu(s) @ jax.nn.softplus(layer["w"]) + layer["b"]
    return s


@pytest.mark.parametrize("function", [icnn, softplus_icnn])
@pytest.mark.parametrize("rows", [jax.ShapeDtypeStruct((16, 8), jnp.float32), jnp.ones((16, 8))], ids=["shape", "rows"])
def test_more_than_a_billion_parameters_are_planned_from_their_shapes(function, rows) -> None:
    shapes = jax.eval_shape(network)
    assert sum(leaf.size for leaf in jax.tree_util.tree_leaves(shapes)) > 1_000_000_000
    tracemalloc.start()
    try:
        made = plan((function, shapes), rows)
        _, peak = tracemalloc.get_traced_memory()  # NumPy's arrays, too; JAX's would be refused by the allocator
    finally:
        tracemalloc.stop()
    assert peak < 100_000_000
    assert all(array.size < WIDTH for array in jax.live_arrays())
    assert [layer.role for layer in made.layers] == ["free", *["positive"] * DEPTH]
    assert [layer.to_dict()["fan_in"] for layer in made.layers] == [8, *[WIDTH] * DEPTH]
