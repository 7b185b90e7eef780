"""Functions of ``jax.nn`` and ``jax.numpy`` that the graph has operations for, known by what JAX makes of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from convex_init.jax.trace.element_wise import RULES as ELEMENT_WISE
from convex_init.jax.trace.lowering import Lowering, Rule, bounds
from convex_init.jax.trace.moves import RULES as MOVES
from convex_init.jax.trace.products import RULES as PRODUCTS
from convex_init.jax.trace.program import LONGEST_LOOP, flat
from convex_init.jax.trace.reductions import RULES as REDUCTIONS
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.compounds.known_functions import (
    AlongAxes,
    ElementWise,
    averaged,
    graph_of_function,
    library,
    none,
    of_celu,
    of_elu,
    of_one_axis,
    of_sums,
)
from convex_init_core.graph.compounds.patterns import APPROXIMATE_GELU, MARK, Found, Patterns
from convex_init_core.graph.nodes import Graph, Kind, Node
from convex_init_core.graph.programs.rules import refused

RULES: dict[str, Rule] = {
    **ELEMENT_WISE,
    **MOVES,
    **PRODUCTS,
    **REDUCTIONS,
    "cond": refused("chooses a branch by numbers"),
    "while": refused("is a loop whose length depends on numbers"),
    "scan": refused(f"is a loop of more than {LONGEST_LOOP} steps"),
}
"""For every primitive that is understood, by its name."""


def _of_norm(keepdims: bool) -> Callable[[tuple[int, ...]], Mapping[str, Any] | None]:
    params = of_sums(keepdims, order=2.0)
    return lambda axes: params(axes) if len(axes) == 1 else None


# In the order in which they are looked for: a function comes after those that it is computed with.
_ELEMENT_WISE: tuple[ElementWise, ...] = (
    ("relu", jax.nn.relu, none),
    ("softplus", jax.nn.softplus, lambda number: {"beta": 1.0, "threshold": math.inf}),
    ("log_add_exp", jnp.logaddexp, none),
    ("log_sigmoid", jax.nn.log_sigmoid, none),
    ("leaky_relu", lambda x: jax.nn.leaky_relu(x, MARK), lambda slope: {"slope": slope}),
    ("elu", lambda x: jax.nn.elu(x, MARK), of_elu),
    ("elu", lambda x: jax.nn.celu(x, MARK), of_celu),
    ("selu", jax.nn.selu, none),
    ("squareplus", lambda x: jax.nn.squareplus(x, MARK), lambda b: {"b": b}),
    ("sparse_plus", jax.nn.sparse_plus, none),
    ("opaque", lambda x: jax.nn.gelu(x, approximate=True), lambda number: APPROXIMATE_GELU),
    ("gelu", lambda x: jax.nn.gelu(x, approximate=False), none),
    ("silu", jax.nn.silu, none),
    ("mish", jax.nn.mish, none),
    ("softsign", jax.nn.soft_sign, none),
    ("hardsigmoid", jax.nn.hard_sigmoid, none),
    ("hardswish", jax.nn.hard_swish, none),
)
_ALONG_AXES: tuple[AlongAxes, ...] = (
    ("log_sum_exp", jax.nn.logsumexp, of_sums(keepdims=False)),
    ("log_sum_exp", functools.partial(jax.nn.logsumexp, keepdims=True), of_sums(keepdims=True)),
    ("norm", lambda x, axis: jnp.linalg.norm(x, axis=axis[0]), _of_norm(keepdims=False)),
    ("norm", lambda x, axis: jnp.linalg.norm(x, axis=axis[0], keepdims=True), _of_norm(keepdims=True)),
    ("softmax", jax.nn.softmax, of_one_axis),
    ("log_softmax", jax.nn.log_softmax, of_one_axis),
)


@functools.lru_cache
def _patterns(dtype: str) -> Patterns:
    return library(_ELEMENT_WISE, _ALONG_AXES, dtype, _graph)


def recognised(node: Node) -> Found | None:
    """Return the function that a node completes, if there is one."""
    if node.kind is not Kind.FLOATING or node.dtype[-1].isalpha():
        return None
    return (averaged(*node.inputs) if node.name == "divide" else None) or _patterns(node.dtype).match(node)


def _graph(function: Callable[..., Any], inputs: list[tuple[tuple[int, ...], str]], known: Patterns) -> Graph:
    program = flat(jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(*part) for part in inputs)), [None] * len(inputs))
    return graph_of_function(program, Lowering(Builder(bounds, known.match), RULES))
