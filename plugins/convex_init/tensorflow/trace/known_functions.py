"""Functions that TensorFlow and libraries on it compute from simpler operations, known by what is made of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from convex_init.tensorflow.trace.element_wise import RULES as ELEMENT_WISE
from convex_init.tensorflow.trace.lists import RULES as LISTS
from convex_init.tensorflow.trace.lowering import Call, Lowering, Rule, bounds
from convex_init.tensorflow.trace.moves import RULES as MOVES
from convex_init.tensorflow.trace.products import RULES as PRODUCTS
from convex_init.tensorflow.trace.program import LONGEST_LOOP, flat
from convex_init.tensorflow.trace.reductions import RULES as REDUCTIONS
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.compounds.patterns import APPROXIMATE_GELU, MARK, Family, Found, Pattern, Patterns
from convex_init_core.graph.nodes import Graph, Kind, Node, Place


def _refused(why: str) -> Rule:
    def rule(call: Call) -> Sequence[Node]:
        call.unread.clear()
        return call.opaque(why)

    return rule


RULES: dict[str, Rule] = {
    **ELEMENT_WISE,
    **MOVES,
    **PRODUCTS,
    **REDUCTIONS,
    **LISTS,
    **dict.fromkeys(("StatelessIf", "StatelessCase"), _refused("chooses a branch by numbers")),
    "StatelessWhile": _refused(f"is a loop that may have more than {LONGEST_LOOP} steps"),
}
"""For every operation that is understood, by its name."""

_Params = Callable[[float], Mapping[str, Any]]


def _none(number: float) -> Mapping[str, Any]:
    return {}


def _elu(alpha: float, inner: float) -> Mapping[str, Any]:
    return {"alpha": alpha, "scale": 1.0, "input_scale": inner}


def _log_add_exp(x: Any, y: Any) -> Any:
    difference = x - y
    known = tf.maximum(x, y) + tf.math.log1p(tf.math.exp(-tf.abs(difference)))
    return tf.where(tf.math.is_nan(difference), x + y, known)


def _sparse_plus(x: Any) -> Any:
    return tf.where(x <= -1, tf.zeros_like(x), tf.where(x < 1, (1 / 4) * tf.pow(x + 1, 2), x))


def _celu(x: Any) -> Any:
    return tf.maximum(x, 0.0) + MARK * tf.math.expm1(tf.minimum(x, 0.0) / MARK)


# In the order in which they are looked for: a function comes after those that it is computed with.
_ELEMENT_WISE: tuple[tuple[str, Callable[..., Any], _Params], ...] = (
    ("relu", lambda x: tf.maximum(x, 0.0), _none),
    ("log_add_exp", _log_add_exp, _none),
    ("log_sigmoid", tf.math.log_sigmoid, _none),
    ("elu", lambda x: tf.where(x > 0, tf.nn.elu(x), MARK * tf.nn.elu(x)), lambda alpha: _elu(alpha, 1.0)),
    ("elu", _celu, lambda alpha: _elu(alpha, 1.0 / alpha if alpha else math.inf)),
    ("squareplus", lambda x: (x + tf.sqrt(tf.square(x) + MARK)) / 2, lambda b: {"b": b}),
    ("sparse_plus", _sparse_plus, _none),
    ("opaque", lambda x: tf.nn.gelu(x, approximate=True), lambda number: APPROXIMATE_GELU),
    ("gelu", lambda x: tf.nn.gelu(x, approximate=False), _none),
    ("silu", tf.nn.silu, _none),
    ("silu", lambda x: x * tf.sigmoid(x), _none),
    ("mish", lambda x: x * tf.tanh(tf.math.softplus(x)), _none),
    ("hardsigmoid", lambda x: tf.nn.relu6(x + 3.0) / 6.0, _none),
    ("hardswish", lambda x: x * (tf.nn.relu6(x + 3.0) / 6.0), _none),
)
_ALONG_AXES: tuple[tuple[str, Callable[..., Any], bool], ...] = (
    ("log_sum_exp", functools.partial(tf.reduce_logsumexp, keepdims=True), True),
    ("log_sum_exp", tf.reduce_logsumexp, False),
    ("norm", lambda x, axis: tf.norm(x, axis=axis[0], keepdims=True), True),
    ("norm", lambda x, axis: tf.norm(x, axis=axis[0]), False),
    ("norm", lambda x, axis: tf.sqrt(tf.reduce_sum(tf.square(x), axis=axis, keepdims=True)), True),
    ("norm", lambda x, axis: tf.sqrt(tf.reduce_sum(tf.square(x), axis=axis)), False),
)


@functools.lru_cache
def _patterns(dtype: str) -> Patterns:
    known, simple = Patterns(), Patterns()
    for op, function, params in _ELEMENT_WISE:
        count = 2 if op == "log_add_exp" else 1
        simple.add(found := Pattern(op, _graph(function, [((3,), dtype)] * count, simple), params))
        known.add(found)
    known.add(*(Family(op, _family(function, simple), _along(op, kept), dtype) for op, function, kept in _ALONG_AXES))
    return known


def recognised(node: Node) -> Found | None:
    """Return the function that a node completes, if there is one."""
    return _patterns(node.dtype).match(node) if node.kind is Kind.FLOATING and not node.dtype[-1].isalpha() else None


def _family(function: Callable[..., Any], known: Patterns) -> Callable[..., Graph]:
    def graph(shape: tuple[int, ...], dtype: str, axes: tuple[int, ...]) -> Graph:
        return _graph(lambda x: function(x, axis=list(axes)), [(shape, dtype)], known)

    return graph


def _along(op: str, kept: bool) -> Callable[[tuple[int, ...]], Mapping[str, Any]]:
    def params(axes: tuple[int, ...]) -> Mapping[str, Any]:
        along = {"axes": axes, "keepdims": kept}
        return {"order": 2.0, **along} if op == "norm" else along

    return params


def _graph(function: Callable[..., Any], inputs: list[tuple[tuple[int, ...], str]], known: Patterns) -> Graph:
    traced = tf.function(function, autograph=False)
    concrete = traced.get_concrete_function(*(tf.TensorSpec(*part) for part in inputs))
    program = flat(concrete, {})
    lowering = Lowering(Builder(bounds, known.match), RULES)
    for index, slot in enumerate(program.inputs):
        name = str(index)
        node = lowering.builder.leaf("input", slot.shape, slot.dtype, Place("input", name), name=name)
        lowering.nodes[slot] = lowering.builder.graph.inputs[name] = node
    lowering.lower(program)
    lowering.builder.graph.outputs["output"] = lowering.nodes[program.outputs[0]]
    return lowering.builder.finished()
