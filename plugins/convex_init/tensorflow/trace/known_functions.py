"""Functions that TensorFlow and libraries on it compute from simpler operations, known by what is made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from convex_init.tensorflow.trace.element_wise import RULES as ELEMENT_WISE
from convex_init.tensorflow.trace.lists import RULES as LISTS
from convex_init.tensorflow.trace.lowering import Lowering, Rule, bounds
from convex_init.tensorflow.trace.moves import RULES as MOVES
from convex_init.tensorflow.trace.products import RULES as PRODUCTS
from convex_init.tensorflow.trace.program import LONGEST_LOOP, flat
from convex_init.tensorflow.trace.reductions import RULES as REDUCTIONS
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.compounds.known_functions import (
    AlongAxes,
    ElementWise,
    graph_of_function,
    library,
    none,
    of_celu,
    of_elu,
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
    **LISTS,
    **dict.fromkeys(("StatelessIf", "StatelessCase"), refused("chooses a branch by numbers")),
    "StatelessWhile": refused(f"is a loop that may have more than {LONGEST_LOOP} steps"),
}
"""For every operation that is understood, by its name."""


def _log_add_exp(x: Any, y: Any) -> Any:
    difference = x - y
    known = tf.maximum(x, y) + tf.math.log1p(tf.math.exp(-tf.abs(difference)))
    return tf.where(tf.math.is_nan(difference), x + y, known)


def _sparse_plus(x: Any) -> Any:
    return tf.where(x <= -1, tf.zeros_like(x), tf.where(x < 1, (1 / 4) * tf.pow(x + 1, 2), x))


def _celu(x: Any) -> Any:
    return tf.maximum(x, 0.0) + MARK * tf.math.expm1(tf.minimum(x, 0.0) / MARK)


# In the order in which they are looked for: a function comes after those that it is computed with.
_ELEMENT_WISE: tuple[ElementWise, ...] = (
    ("relu", lambda x: tf.maximum(x, 0.0), none),
    ("log_add_exp", _log_add_exp, none),
    ("log_sigmoid", tf.math.log_sigmoid, none),
    ("elu", lambda x: tf.where(x > 0, tf.nn.elu(x), MARK * tf.nn.elu(x)), of_elu),
    ("elu", _celu, of_celu),
    ("squareplus", lambda x: (x + tf.sqrt(tf.square(x) + MARK)) / 2, lambda b: {"b": b}),
    ("sparse_plus", _sparse_plus, none),
    ("opaque", lambda x: tf.nn.gelu(x, approximate=True), lambda number: APPROXIMATE_GELU),
    ("gelu", lambda x: tf.nn.gelu(x, approximate=False), none),
    ("silu", tf.nn.silu, none),
    ("silu", lambda x: x * tf.sigmoid(x), none),
    ("mish", lambda x: x * tf.tanh(tf.math.softplus(x)), none),
    ("hardsigmoid", lambda x: tf.nn.relu6(x + 3.0) / 6.0, none),
    ("hardswish", lambda x: x * (tf.nn.relu6(x + 3.0) / 6.0), none),
)
_NORM = {kept: of_sums(kept, order=2.0) for kept in (True, False)}
_ALONG_AXES: tuple[AlongAxes, ...] = (
    ("log_sum_exp", lambda x, axis: tf.reduce_logsumexp(x, axis=[*axis], keepdims=True), of_sums(keepdims=True)),
    ("log_sum_exp", lambda x, axis: tf.reduce_logsumexp(x, axis=[*axis]), of_sums(keepdims=False)),
    ("norm", lambda x, axis: tf.norm(x, axis=axis[0], keepdims=True), _NORM[True]),
    ("norm", lambda x, axis: tf.norm(x, axis=axis[0]), _NORM[False]),
    ("norm", lambda x, axis: tf.sqrt(tf.reduce_sum(tf.square(x), axis=[*axis], keepdims=True)), _NORM[True]),
    ("norm", lambda x, axis: tf.sqrt(tf.reduce_sum(tf.square(x), axis=[*axis])), _NORM[False]),
)


@functools.lru_cache
def _patterns(dtype: str) -> Patterns:
    return library(_ELEMENT_WISE, _ALONG_AXES, dtype, _graph)


def recognised(node: Node) -> Found | None:
    """Return the function that a node completes, if there is one."""
    return _patterns(node.dtype).match(node) if node.kind is Kind.FLOATING and not node.dtype[-1].isalpha() else None


def _graph(function: Callable[..., Any], inputs: list[tuple[tuple[int, ...], str]], known: Patterns) -> Graph:
    traced = tf.function(function, autograph=False)
    concrete = traced.get_concrete_function(*(tf.TensorSpec(*part) for part in inputs))
    return graph_of_function(flat(concrete, {}), Lowering(Builder(bounds, known.match), RULES))
