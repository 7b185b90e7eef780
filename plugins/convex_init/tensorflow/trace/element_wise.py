"""Rules for operations that act on each element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from convex_init.tensorflow.trace.lowering import Call, Rule
from convex_init_core.graph.compounds.patterns import number_in, shortest
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.programs.rules import compared, complement_of_erf, converted, is_finite, refused

_SAME: dict[str, tuple[str, dict[str, Any]]] = {
    **{name.capitalize(): (name, {}) for name in ("exp", "expm1", "log", "log1p", "square", "sqrt", "rsqrt", "abs")},
    **{name.capitalize(): (name, {}) for name in ("sign", "tanh", "sinh", "cosh", "asinh", "atan", "sin", "cos")},
    **{name.capitalize(): (name, {}) for name in ("tan", "erf", "floor", "ceil", "sigmoid", "relu", "selu")},
    **{"Softsign": ("softsign", {}), "Rint": ("round", {}), "Round": ("round", {}), "Neg": ("negate", {})},
    **{"Reciprocal": ("reciprocal", {}), "Inv": ("reciprocal", {})},
    **{"Add": ("add", {}), "AddV2": ("add", {}), "Sub": ("subtract", {}), "Mul": ("multiply", {})},
    **{"RealDiv": ("divide", {}), "Div": ("divide", {}), "Maximum": ("maximum", {}), "Minimum": ("minimum", {})},
    "Pow": ("power", {}),
    "Softplus": ("softplus", {"beta": 1.0, "threshold": math.inf}),
    "Elu": ("elu", {"alpha": 1.0, "scale": 1.0, "input_scale": 1.0}),
}
_RELATIONS = {
    **{"Greater": ">", "GreaterEqual": ">=", "Less": "<", "LessEqual": "<=", "Equal": "==", "NotEqual": "!="},
}
_IDENTITIES = ("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "CheckNumerics")


def _same(op: str, params: dict[str, Any]) -> Rule:
    def rule(call: Call) -> Node | Sequence[Node]:
        return call.make(op, *call.inputs, **params) if call.is_floating else call.opaque("works on integers")

    return rule


def _is_nan(call: Call) -> Node:
    return call.make("compare", *call.inputs, *call.inputs, relation="!=")


def _leaky_relu(call: Call) -> Node:
    return call.make("leaky_relu", *call.inputs, slope=shortest(call.read("alpha"), "float32"))


def _relu6(call: Call) -> Node:
    return call.make("minimum", call.make("relu", *call.inputs), call.number(6.0))


def _squared_difference(call: Call) -> Node | Sequence[Node]:
    return (
        call.make("square", call.make("subtract", *call.inputs))
        if call.is_floating
        else call.opaque("works on integers")
    )


def _add_n(call: Call) -> Node | Sequence[Node]:
    total, *others = call.inputs
    if not call.is_floating:
        return call.opaque("works on integers")
    for other in others:
        total = call.make("add", total, other)
    return total


def _bias_add(call: Call) -> Node:
    data, bias = call.inputs
    if call.read("data_format", "NHWC").startswith("NC"):
        bias = call.make("reshape", bias, shape=(bias.size, *(1,) * (len(data.shape) - 2)))
    return call.make("add", data, bias)


def _clip(call: Call) -> Node | Sequence[Node]:
    data, low, high = call.inputs
    numbers = number_in(low), number_in(high)
    if None in numbers or numbers[0] > numbers[1] or not call.is_floating:  # type: ignore[operator]
        return call.opaque("clips to bounds that are not known numbers in order")
    return call.make("minimum", call.make("maximum", data, low), high)


def _div_no_nan(call: Call) -> Node | Sequence[Node]:
    divisor = number_in(call.inputs[1])
    return call.make("divide", *call.inputs) if divisor else call.opaque("is 0 where the divisor is")


def _select(call: Call) -> Node | Sequence[Node]:
    which, yes, no = call.inputs
    if which.shape not in ((), call.shape) and call.step.name == "Select":
        return call.opaque("chooses whole rows")
    chosen = number_in(which)
    if chosen is not None and (taken := yes if chosen else no).shape == call.shape:
        call.unused.clear()  # the other is not taken
        return taken
    return call.make("where", which, yes, no)


def _cast(call: Call) -> Node | Sequence[Node]:
    return call.opaque("cuts digits off") if call.read("Truncate") else converted(call)


def _identity(call: Call) -> Sequence[Node]:
    return call.inputs


RULES: dict[str, Rule] = {
    **{name: _same(op, params) for name, (op, params) in _SAME.items()},
    **{name: compared(relation, "incompatible_shape_error") for name, relation in _RELATIONS.items()},
    **dict.fromkeys(_IDENTITIES, _identity),
    **dict.fromkeys(("LogicalAnd", "LogicalOr", "LogicalNot"), refused("works on truth values")),
    "IsFinite": is_finite,
    "IsNan": _is_nan,
    "LeakyRelu": _leaky_relu,
    "Relu6": _relu6,
    "Erfc": complement_of_erf,
    "SquaredDifference": _squared_difference,
    "AddN": _add_n,
    "BiasAdd": _bias_add,
    "ClipByValue": _clip,
    "DivNoNan": _div_no_nan,
    "Select": _select,
    "SelectV2": _select,
    "Cast": _cast,
}
"""By name of the operation."""
