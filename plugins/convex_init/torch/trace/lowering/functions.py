"""Element-wise functions of one array."""

from __future__ import annotations

from convex_init.torch.trace.lowering.call import Call, Rule
from convex_init_core.graph.nodes import Node

_SAME_NAME = """
    relu exp expm1 abs log log1p sqrt rsqrt sigmoid tanh sinh cosh asinh atan sin cos tan erf selu silu mish hardswish
    hardsigmoid softshrink hardshrink sign floor ceil trunc frac square
""".split()  # noqa: SIM905
_OTHER_NAME = {
    "arcsinh": "asinh",
    "arctan": "atan",
    "fix": "trunc",
    "sgn": "sign",
    "log_sigmoid_forward": "log_sigmoid",
    "special_entr": "entropy",
    "special_expm1": "expm1",
}
# Parameters by the core's names, with torch's arguments.
_WITH_NUMBERS = {
    "leaky_relu": {"slope": "negative_slope"},
    "elu": {"alpha": "alpha", "scale": "scale", "input_scale": "input_scale"},
    "softplus": {"beta": "beta", "threshold": "threshold"},
    "threshold": {"at": "threshold", "value": "value"},
}


def _function(operation: str, *ignored: str) -> Rule:
    def rule(call: Call) -> Node | str:
        call.ignore(*ignored)
        return call.result(operation, call.operand("self"))

    return rule


def _with_numbers(operation: str) -> Rule:
    names = _WITH_NUMBERS[operation]

    def rule(call: Call) -> Node | str:
        params = {ours: float(call[theirs]) for ours, theirs in names.items()}
        return call.result(operation, call.operand("self"), **params)

    return rule


def _gelu(call: Call) -> Node | str:
    if call["approximate"] != "none":
        return "approximates gelu, which is neither convex nor concave: it goes down before it rises"
    return call.result("gelu", call.operand("self"))


def _round(call: Call) -> Node | str:
    return "rounds to decimals" if call["decimals"] else call.result("round", call.operand("self"))


def _celu(call: Call) -> Node | str:
    alpha = float(call["alpha"])
    if alpha == 0.0:
        return "divides by zero"
    return call.result("elu", call.operand("self"), alpha=alpha, scale=1.0, input_scale=1.0 / alpha)


def _prelu(call: Call) -> Node | str:
    return call.result("prelu", call.operand("self"), call.operand("weight"))


def _clamp(low: str, high: str) -> Rule:
    """The larger of a value and a bound, then the smaller of that and another."""

    def rule(call: Call) -> Node | str:
        value = call.operand("self")
        bounds = [("maximum", low), ("minimum", high)]
        given = [(operation, name) for operation, name in bounds if name and call[name] is not None]
        for operation, name in given[:-1]:
            value = call.step(operation, value, call.operand(name))
        for operation, name in given[-1:]:
            return call.result(operation, value, call.operand(name))
        return call.result("reshape", value)

    return rule


FUNCTIONS: dict[str, Rule] = {
    **{name: _function(name) for name in _SAME_NAME},
    **{theirs: _function(ours) for theirs, ours in _OTHER_NAME.items()},
    **{name: _with_numbers(name) for name in _WITH_NUMBERS},
    "gelu": _gelu,
    "round": _round,
    "celu": _celu,
    "_prelu_kernel": _prelu,
    **dict.fromkeys(("clamp", "clip"), _clamp("min", "max")),
    "hardtanh": _clamp("min_val", "max_val"),
    "clamp_min": _clamp("min", ""),
    "clamp_max": _clamp("", "max"),
}
"""Rules for element-wise functions."""
