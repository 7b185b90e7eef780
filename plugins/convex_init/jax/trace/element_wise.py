"""Rules for primitives that act on each element."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from convex_init.jax.trace.lowering import Call, Rule
from convex_init_core.graph.compounds.patterns import number_in
from convex_init_core.graph.nodes import Kind, Node
from convex_init_core.graph.programs.rules import compared, complement_of_erf, converted, is_finite, refused

_SAME = {
    **{name: name for name in ("exp", "expm1", "log", "log1p", "square", "sqrt", "rsqrt", "abs", "sign", "tanh")},
    **{name: name for name in ("sinh", "cosh", "asinh", "atan", "sin", "cos", "tan", "erf", "floor", "ceil")},
    **{"logistic": "sigmoid", "neg": "negate"},
    **{"add": "add", "add_any": "add", "sub": "subtract", "mul": "multiply", "div": "divide"},
    **{"max": "maximum", "min": "minimum"},
}
_RELATIONS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}
# With the parameters that say where the array lies, or what it is called.
_IDENTITIES = {
    "stop_gradient": (),
    "copy": (),
    "copy_p": (),
    "pvary": ("axes", "axis_name"),
    "sharding_constraint": ("layout", "context_mesh", "unconstrained_dims"),
    "layout_constraint": ("layout",),
    "mesh_cast": ("dst_sharding",),
    "device_put": ("devices", "srcs", "copy_semantics"),
    "name": ("name",),
    "optimization_barrier": (),
}


def _same(op: str) -> Rule:
    def rule(call: Call) -> Node | Sequence[Node]:
        if Kind.FLOATING not in (kinds := {part.kind for part in call.inputs}) or len(kinds) > 1:
            return _of_integers(call)
        if call.read("out_dtype") not in (None, call.inputs[0].dtype):
            return call.opaque("changes the type of its numbers")
        return call.make(op, *call.inputs)

    return rule


_of_integers = refused("works on integers")


def _integer_pow(call: Call) -> Node | Sequence[Node]:
    exponent = call.read("y")
    if call.inputs[0].kind is not Kind.FLOATING:
        return _of_integers(call)
    if exponent == 2:
        return call.make("square", *call.inputs)
    if exponent == -1:
        return call.make("reciprocal", *call.inputs)
    return call.make("power", *call.inputs, call.number(exponent))


def _pow(call: Call) -> Node | Sequence[Node]:
    base, exponent = call.inputs
    if base.kind is not Kind.FLOATING:
        return _of_integers(call)
    if exponent.kind is Kind.FLOATING:
        return call.make("power", base, exponent)
    number = number_in(exponent)
    return call.opaque("has no one exponent") if number is None else call.make("power", base, call.number(number))


def _exp2(call: Call) -> Node:
    return call.make("power", call.number(2.0), *call.inputs)


def _round(call: Call) -> Node | Sequence[Node]:
    if call.read("rounding_method") != jax.lax.RoundingMethod.TO_NEAREST_EVEN:
        return call.opaque("rounds halves away from zero")
    return call.make("round", *call.inputs)


def _clamp(call: Call) -> Node | Sequence[Node]:
    low, data, high = call.inputs
    if data.kind is not Kind.FLOATING:
        return _of_integers(call)
    return call.make("minimum", call.make("maximum", data, low), high)


def _select(call: Call) -> Node | Sequence[Node]:
    which, *cases = call.inputs
    chosen = number_in(which)
    if chosen is not None:
        call.unused.clear()  # the others are not taken
        return cases[int(chosen)]
    if len(cases) != 2 or which.kind is not Kind.BOOLEAN:
        return call.opaque("chooses by an integer")
    return call.make("where", which, cases[1], cases[0])


def _convert(call: Call) -> Node | Sequence[Node]:
    call.read("new_dtype")
    return converted(call)


def _identity(*names: str) -> Rule:
    def rule(call: Call) -> Sequence[Node]:
        call.unread -= {*names}
        return call.inputs

    return rule


RULES: dict[str, Rule] = {
    **{name: _same(op) for name, op in _SAME.items()},
    **{name: compared(relation) for name, relation in _RELATIONS.items()},
    **{name: _identity(*names) for name, names in _IDENTITIES.items()},
    **dict.fromkeys(("and", "or", "not", "xor"), refused("works on truth values or bits")),
    "is_finite": is_finite,
    "integer_pow": _integer_pow,
    "pow": _pow,
    "exp2": _exp2,
    "erfc": complement_of_erf,
    "round": _round,
    "clamp": _clamp,
    "select_n": _select,
    "convert_element_type": _convert,
}
"""By name of the primitive."""
