"""Sums, differences, products and quotients, element by element, and what is made of them."""

from __future__ import annotations

import math
from typing import Any

from convex_init.torch.trace.lowering.call import Call, Rule
from convex_init_core.graph.nodes import Node

_RELATIONS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}
_RELATIONS |= {"greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "not_equal": "!="}
# In the order of torch's numbers for them
_REDUCTIONS = ("", "mean", "sum")


def scaled(call: Call, factor: float, node: Node) -> Node:
    """Add a step that multiplies by a number; none for 1."""
    return node if factor == 1.0 else call.step("multiply", call.literal(factor), node)


def _sum(operation: str) -> Rule:
    """``add`` and ``sub``, with ``alpha`` for the second."""

    def rule(call: Call) -> Node | str:
        first, second = call.operand("self"), call.operand("other")
        alpha = float(call["alpha"] if call.has("alpha") else 1.0)
        if alpha == -1.0:
            return call.result("subtract" if operation == "add" else "add", first, second)
        return call.result(operation, first, scaled(call, alpha, second))

    return rule


def _reversed_difference(call: Call) -> Node | str:
    first, second = call.operand("self"), call.operand("other")
    return call.result("subtract", second, scaled(call, float(call["alpha"]), first))


def _binary(operation: str, first: str = "self", second: str = "other") -> Rule:
    return lambda call: call.result(operation, call.operand(first), call.operand(second))


def _unary(operation: str) -> Rule:
    return lambda call: call.result(operation, call.operand("self"))


def _quotient(call: Call) -> Node | str:
    if call["rounding_mode"] is not None:
        return "rounds"
    return call.result("divide", call.operand("self"), call.operand("other"))


def _compared(call: Call) -> Node | str:
    first, second = call["self"], call["other"]
    nodes = [part if isinstance(part, Node) else call.literal(part) for part in (first, second)]
    return call.result("compare", *nodes, relation=_RELATIONS[call.signature.base])


def _interpolated(call: Call) -> Node | str:
    """``lerp``: ``(1 − w) a + w b``."""
    start, end, weight = call.operand("self"), call.operand("end"), call.operand("weight")
    rest = call.step("subtract", call.literal(1.0), weight)
    return call.result("add", call.step("multiply", rest, start), call.step("multiply", weight, end))


def _plus(operation: str) -> Rule:
    """``addcmul`` and ``addcdiv``: ``input + value · a × b``."""

    def rule(call: Call) -> Node | str:
        data, first, second = call.operand("self"), call.operand("tensor1"), call.operand("tensor2")
        value = call["value"]
        return call.result("add", data, scaled(call, float(value), call.step(operation, first, second)))

    return rule


def _hypotenuse(call: Call) -> Node | str:
    first, second = (call.operand(name) for name in ("self", "other"))
    squares = [call.step("multiply", part, part) for part in (first, second)]
    return call.result("sqrt", call.step("add", *squares))


def _loss(call: Call) -> Node | str:
    """A convex even function of a difference, perhaps summed."""
    given, target = call["self"], call["target"]
    shape = given.shape if len(given.shape) >= len(target.shape) else target.shape
    difference = call.step("subtract", call.fitted(given), call.fitted(target))
    reduction = _REDUCTIONS[int(call["reduction"])]
    operation, inputs, params, scale = _function_of(call, difference)
    if not reduction and scale == 1.0:
        return call.result(operation, *inputs, **params)
    value = call.step(operation, *inputs, **params)
    if not reduction:
        return call.result("multiply", call.literal(scale), value)
    value = scaled(call, scale, value)
    return call.result(reduction, value, axes=tuple(range(len(shape))), keepdims=False)


def _function_of(call: Call, difference: Node) -> tuple[str, tuple[Node, ...], dict[str, Any], float]:
    """The function of a loss: operation, inputs, parameters, and what its result is multiplied by."""
    if call.signature.base == "mse_loss":
        return "multiply", (difference, difference), {}, 1.0
    is_huber = call.signature.base == "huber_loss"
    delta = float(call["delta" if is_huber else "beta"])
    if delta == 0.0:
        return "abs", (difference,), {}, 1.0
    return "huber", (difference,), {"delta": delta}, 1.0 if is_huber else 1.0 / delta


def _log_of(base: float) -> Rule:
    return lambda call: call.result("divide", call.step("log", call.operand("self")), call.literal(math.log(base)))


ARITHMETIC: dict[str, Rule] = {
    "add": _sum("add"),
    "sub": _sum("subtract"),
    "subtract": _sum("subtract"),
    "rsub": _reversed_difference,
    "neg": _unary("negate"),
    **dict.fromkeys(("mul", "multiply"), _binary("multiply")),
    **dict.fromkeys(("div", "divide", "true_divide"), _quotient),
    "reciprocal": _unary("reciprocal"),
    **dict.fromkeys(_RELATIONS, _compared),
    "lerp": _interpolated,
    "addcmul": _plus("multiply"),
    "addcdiv": _plus("divide"),
    "hypot": _hypotenuse,
    **dict.fromkeys(("mse_loss", "huber_loss", "smooth_l1_loss"), _loss),
    "pow": _binary("power", "self", "exponent"),
    "exp2": lambda call: call.result("power", call.literal(2.0), call.operand("self")),
    "log2": _log_of(2.0),
    "log10": _log_of(10.0),
    **dict.fromkeys(("maximum",), _binary("maximum")),
    **dict.fromkeys(("minimum",), _binary("minimum")),
    "logaddexp": _binary("log_add_exp"),
}
"""Rules for element-wise operations of two arrays, and for those that are made of them."""
