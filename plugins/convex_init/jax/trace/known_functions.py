"""Functions of ``jax.nn`` and ``jax.numpy`` that the graph has operations for, known by what JAX makes of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from convex_init.jax.trace.element_wise import RULES as ELEMENT_WISE
from convex_init.jax.trace.lowering import Call, Lowering, Rule, bounds
from convex_init.jax.trace.moves import RULES as MOVES
from convex_init.jax.trace.products import RULES as PRODUCTS
from convex_init.jax.trace.program import LONGEST_LOOP, flat
from convex_init.jax.trace.reductions import RULES as REDUCTIONS
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.compounds.patterns import (
    APPROXIMATE_GELU,
    MARK,
    Family,
    Found,
    Pattern,
    Patterns,
    number_in,
)
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
    "cond": _refused("chooses a branch by numbers"),
    "while": _refused("is a loop whose length depends on numbers"),
    "scan": _refused(f"is a loop of more than {LONGEST_LOOP} steps"),
}
"""For every primitive that is understood, by its name."""

_Params = Callable[[float], Mapping[str, Any]]


def _none(number: float) -> Mapping[str, Any]:
    return {}


def _elu(alpha: float, inner: float) -> Mapping[str, Any]:
    return {"alpha": alpha, "scale": 1.0, "input_scale": inner}


# In the order in which they are looked for: a function comes after those that it is computed with.
_ELEMENT_WISE: tuple[tuple[str, Callable[..., Any], _Params], ...] = (
    ("relu", jax.nn.relu, _none),
    ("softplus", jax.nn.softplus, lambda number: {"beta": 1.0, "threshold": math.inf}),
    ("log_add_exp", jnp.logaddexp, _none),
    ("log_sigmoid", jax.nn.log_sigmoid, _none),
    ("leaky_relu", lambda x: jax.nn.leaky_relu(x, MARK), lambda slope: {"slope": slope}),
    ("elu", lambda x: jax.nn.elu(x, MARK), lambda alpha: _elu(alpha, 1.0)),
    ("elu", lambda x: jax.nn.celu(x, MARK), lambda alpha: _elu(alpha, 1.0 / alpha if alpha else math.inf)),
    ("selu", jax.nn.selu, _none),
    ("squareplus", lambda x: jax.nn.squareplus(x, MARK), lambda b: {"b": b}),
    ("sparse_plus", jax.nn.sparse_plus, _none),
    ("opaque", lambda x: jax.nn.gelu(x, approximate=True), lambda number: APPROXIMATE_GELU),
    ("gelu", lambda x: jax.nn.gelu(x, approximate=False), _none),
    ("silu", jax.nn.silu, _none),
    ("mish", jax.nn.mish, _none),
    ("softsign", jax.nn.soft_sign, _none),
    ("hardsigmoid", jax.nn.hard_sigmoid, _none),
    ("hardswish", jax.nn.hard_swish, _none),
)
_ALONG_AXES: tuple[tuple[str, Callable[..., Any], bool], ...] = (
    ("log_sum_exp", jax.nn.logsumexp, False),
    ("log_sum_exp", functools.partial(jax.nn.logsumexp, keepdims=True), True),
    ("norm", lambda x, axis: jnp.linalg.norm(x, axis=axis[0]), False),
    ("norm", lambda x, axis: jnp.linalg.norm(x, axis=axis[0], keepdims=True), True),
    ("softmax", jax.nn.softmax, True),
    ("log_softmax", jax.nn.log_softmax, True),
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
    if node.kind is not Kind.FLOATING or node.dtype[-1].isalpha():
        return None
    averaged = _averaged(*node.inputs) if node.name == "divide" else None
    return averaged or _patterns(node.dtype).match(node)


def _averaged(total: Node, count: Node) -> Found | None:
    """Return the mean, or the average over windows, that a sum of so many numbers becomes when it is divided."""
    inner, number = total.inputs[0] if total.name == "reshape" else total, number_in(count)
    if number is None or total.is_fixed or count.parameters:
        return None
    if inner.name == "multiply":  # as sums over windows are
        average, factor = inner.inputs
        return Found("average", {}, average.inputs) if average.name == "average" and factor.number == number else None
    if inner.name != "sum" or number != inner.inputs[0].size / max(inner.size, 1):
        return None
    axes, before = inner.params["axes"], inner.inputs[0].shape
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(before))
    if total.shape != (kept if total is not inner or inner.params["keepdims"] else inner.shape):
        return None
    keepdims = total is not inner or inner.params["keepdims"]
    return Found("mean", {"axes": axes, "keepdims": keepdims}, inner.inputs)


def _family(function: Callable[..., Any], known: Patterns) -> Callable[..., Graph]:
    def graph(shape: tuple[int, ...], dtype: str, axes: tuple[int, ...]) -> Graph:
        return _graph(lambda x: function(x, axis=axes), [(shape, dtype)], known)

    return graph


def _along(op: str, kept: bool) -> Callable[[tuple[int, ...]], Mapping[str, Any] | None]:
    def params(axes: tuple[int, ...]) -> Mapping[str, Any] | None:
        if op == "log_sum_exp":
            return {"axes": axes, "keepdims": kept}
        if len(axes) != 1:
            return None
        return {"order": 2.0, "axes": axes, "keepdims": kept} if op == "norm" else {"axis": axes[0]}

    return params


def _graph(function: Callable[..., Any], inputs: list[tuple[tuple[int, ...], str]], known: Patterns) -> Graph:
    program = flat(jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(*part) for part in inputs)), [None] * len(inputs))
    lowering = Lowering(Builder(bounds, known.match), RULES)
    for index, slot in enumerate(program.inputs):
        name = str(index)
        node = lowering.builder.leaf("input", slot.shape, slot.dtype, Place("input", name), name=name)
        lowering.nodes[slot] = lowering.builder.graph.inputs[name] = node
    lowering.lower(program)
    lowering.builder.graph.outputs["output"] = lowering.node(program.outputs[0])
    return lowering.builder.finished()
