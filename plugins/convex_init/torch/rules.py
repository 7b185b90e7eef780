"""Which rule of the calculus each of torch's operations follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

from convex_init.torch.recording import Node
from convex_init_core import calculus
from convex_init_core.calculus import ElementWise, Sign, Value

# A rule sees the operation's arguments, with nodes for tensors, its place for messages, and the result that it made.
Rule: TypeAlias = Callable[[list[Any], dict[str, Any], str, Tensor], Value]

MOVES = """
    view _unsafe_view reshape _reshape_alias t transpose permute expand squeeze unsqueeze slice select alias detach
    clone contiguous flatten unflatten split split_with_sizes chunk unbind roll flip repeat tile pixel_shuffle
    pixel_unshuffle channel_shuffle unfold diagonal narrow movedim swapaxes lift_fresh lift_fresh_copy im2col view_as
    unsafe_split unsafe_chunk reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d sum mean cumsum avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d
    upsample_trilinear3d
""".split()  # noqa: SIM905
"""Operations that move, repeat or drop elements, and sums with non-negative weights that do not depend on the input."""

_JOIN = ("cat", "stack", "hstack", "vstack")
_PRODUCTS = (
    "mm",
    "bmm",
    "mv",
    "dot",
    "matmul",
    "mul",
    "multiply",
    "convolution",
    "linear",
    "outer",
    "ger",
    "vdot",
    "inner",
)
_MADE_FROM_SHAPES = (
    *("zeros_like", "ones_like", "new_zeros", "new_ones", "new_full", "full_like"),
    *("empty_like", "new_empty", "empty_strided"),
)
_NOISE = {
    **dict.fromkeys(("rand", "rand_like", "uniform", "bernoulli"), Sign.NON_NEGATIVE),
    **dict.fromkeys(("randn", "randn_like", "normal", "normal_", "uniform_"), Sign.ANY),
}
_ELEMENT_WISE = {
    **{
        name: name
        for name in ("relu", "exp", "expm1", "square", "abs", "cosh", "log", "log1p", "sqrt", "sigmoid", "tanh")
    },
    **{name: name for name in ("gelu", "silu", "mish", "selu", "sin", "cos", "erf", "sign", "round", "floor", "ceil")},
    **{name: name for name in ("reciprocal", "rsqrt", "hardswish", "hardsigmoid")},
    "log_sigmoid_forward": "log_sigmoid",
    "special_expm1": "expm1",
}


def result_of(
    name: str, args: list[Any], kwargs: dict[str, Any], at: str, index: int, made: Tensor, random: bool
) -> Value:
    """Return what the calculus knows of result number ``index`` of the ATen operation ``name``.

    Args:
        name: without overload.
        args: positional arguments, each tensor replaced by its :class:`Node`.
        kwargs: keyword arguments, likewise.
        at: the operation and its place, for messages.
        index: which of the results.
        made: the result itself, for its dtype.
        random: whether the operation draws random numbers.
    """
    nodes = _nodes((args, kwargs))
    if not made.is_floating_point():
        return _no_number(nodes, at)
    base = name.rstrip("_") if name not in _RULES and name not in _NOISE else name
    if base in _NOISE:
        return calculus.constant(_NOISE[base], reason=f"{at} is random")
    if index > 0 and base not in _EQUAL_RESULTS:
        return calculus.unknown(f"{at}: its result number {index} has no rule", *(node.value for node in nodes))
    rule = _RULES.get(base)
    if rule is None or (random and base not in ("native_dropout",)):
        return calculus.unknown(f"{at} has no rule", *(node.value for node in nodes))
    return rule(args, kwargs, at, made)


_EQUAL_RESULTS = {"split", "split_with_sizes", "chunk", "unbind", "unsafe_split", "unsafe_chunk"}


def _no_number(nodes: list[Node], at: str) -> Value:
    """Indices, masks and counts: piecewise constant in the input, which is neither convex nor concave."""
    return calculus.unknown(f"{at} makes whole numbers or truth values from the input", *(n.value for n in nodes))


def _nodes(tree: Any) -> list[Node]:
    if isinstance(tree, Node):
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [node for part in tree for node in _nodes(part)]
    if isinstance(tree, dict):
        return [node for part in tree.values() for node in _nodes(part)]
    return []


def _value(operand: Any) -> Value:
    """The value of an operand, which may be a Python number."""
    if isinstance(operand, Node):
        return operand.value
    number = float(operand)
    sign = Sign.NON_NEGATIVE if number >= 0.0 else Sign.NON_POSITIVE if number <= 0.0 else Sign.ANY
    return calculus.constant(sign, f"the number {number:g}")


def _argument(args: list[Any], kwargs: dict[str, Any], place: int, name: str, default: Any = None) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _first(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    others = [node for node in _nodes((args[1:], kwargs)) if not node.fixed]
    if others:
        return calculus.unknown(
            f"{at} depends on more than its first argument", *(n.value for n in _nodes((args, kwargs)))
        )
    return _value(args[0])


def _join(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    return calculus.side_by_side([_value(node) for node in args[0]], at)


def _element_wise(function: ElementWise) -> Rule:
    def rule(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
        return calculus.apply(function, _value(args[0]), at)

    return rule


def _product(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    a, b = args[0], args[1]
    if isinstance(a, Node) and a is b and made.ndim and _is_element_wise(at):
        return calculus.apply(calculus.FUNCTIONS["square"], a.value, at)
    product = calculus.multiply(_value(a), _value(b), at)
    bias = _argument(args, kwargs, 2, "bias")
    return calculus.add([product, _value(bias)], at) if isinstance(bias, Node) else product


def _is_element_wise(at: str) -> bool:
    return at.startswith(("mul", "multiply"))


def _product_plus(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    """``beta · input + alpha · (a × b)``."""
    product = calculus.multiply(_value(args[1]), _value(args[2]), at)
    scaled = calculus.multiply(_value(kwargs.get("alpha", 1)), product, at)
    return calculus.add([calculus.multiply(_value(kwargs.get("beta", 1)), _value(args[0]), at), scaled], at)


def _sum(sign: int) -> Rule:
    def rule(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
        factor = sign * float(_argument(args, kwargs, 2, "alpha", 1))
        return calculus.add([_value(args[0]), calculus.multiply(_value(factor), _value(args[1]), at)], at)

    return rule


def _reversed_difference(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    factor = float(_argument(args, kwargs, 2, "alpha", 1))
    return calculus.add([_value(args[1]), calculus.multiply(_value(-factor), _value(args[0]), at)], at)


def _quotient(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    below = _value(args[1])
    if _argument(args, kwargs, 2, "rounding_mode") is not None:
        return calculus.unknown(f"{at} rounds", *(node.value for node in _nodes(args)))
    if not below.is_constant:
        return calculus.unknown(f"{at} divides by a value that depends on the input", _value(args[0]), below)
    return calculus.multiply(calculus.constant(below.sign, below.label, below.reason), _value(args[0]), at)


def _extreme(which: Callable[..., Value]) -> Rule:
    def rule(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
        return which([_value(node) for node in _nodes(args)], at)

    return rule


def _clamp(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    low, high = _argument(args, kwargs, 1, "min"), _argument(args, kwargs, 2, "max")
    value = _value(args[0])
    if low is not None:
        value = calculus.maximum([value, _value(low)], at)
    if high is not None:
        value = calculus.minimum([value, _value(high)], at)
    return value


def _clamp_max(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    return calculus.minimum([_value(args[0]), _value(args[1])], at)


def _activation(
    name: str, allowed: Callable[[list[Any], dict[str, Any]], bool], sign: Sign = Sign.ANY, refusal: str = ""
) -> Rule:
    """An activation that is convex and non-decreasing for some of its parameters only."""

    def rule(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
        fits = allowed(args, kwargs)
        function = ElementWise(name, convex=fits, increasing=fits, sign=sign, refusal="" if fits else refusal)
        return calculus.apply(function, _value(args[0]), at)

    return rule


def _prelu(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    bounds = args[1].bounds
    fits = bounds is not None and bounds[0] >= 0.0 and bounds[1] <= 1.0
    refusal = "" if fits else f"its slopes {args[1].value.label} are not known to lie in [0, 1]"
    return calculus.apply(ElementWise("prelu", convex=fits, increasing=fits, refusal=refusal), _value(args[0]), at)


def _power(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    value, exponent = _value(args[0]), args[1]
    if isinstance(exponent, Node) or not isinstance(args[0], Node):
        return calculus.unknown(f"{at} has a variable exponent", *(node.value for node in _nodes(args)))
    p = float(exponent)
    if p == 1.0:
        return value
    if p >= 2.0 and p % 2.0 == 0.0:
        function = ElementWise(
            f"power {p:g}", convex=True, increasing_from_zero=True, even=True, sign=Sign.NON_NEGATIVE
        )
    elif p > 1.0 and value.sign is Sign.NON_NEGATIVE:
        function = ElementWise(f"power {p:g}", convex=True, increasing=True, sign=Sign.NON_NEGATIVE)
    elif 0.0 < p < 1.0 and value.sign is Sign.NON_NEGATIVE:
        function = ElementWise(f"power {p:g}", concave=True, increasing=True, sign=Sign.NON_NEGATIVE)
    else:
        function = ElementWise(f"power {p:g}", refusal="for arguments of both signs")
    return calculus.apply(function, value, at)


def _norm(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    p = _argument(args, kwargs, 1, "ord", 2)
    if isinstance(p, (int, float)) and p >= 1:
        return calculus.norm(_value(args[0]), at)
    return calculus.unknown(f"{at} is no norm for order {p}", _value(args[0]))


def _log_sum_exp(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    return calculus.apply(ElementWise("log-sum-exp", convex=True, increasing=True), _value(args[0]), at)


def _log_softmax(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    # x_i − log Σ exp x: concave in x, but not monotone in it.
    function = ElementWise("log-softmax", concave=True, sign=Sign.NON_POSITIVE)
    return calculus.apply(function, _value(args[0]), at)


def _batch_norm(training: int | None) -> Rule:
    def rule(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
        x, scale, shift, mean = (args[i] for i in range(4))
        if (training is not None and bool(args[training])) or not isinstance(mean, Node):
            return calculus.unknown(f"{at} divides by a statistic of the batch; call model.eval()", _value(x))
        result = _value(x)
        if isinstance(scale, Node):  # the variance under the root is positive, whatever its number
            result = calculus.multiply(scale.value, result, at)
        moved = [node.value for node in (shift, mean) if isinstance(node, Node)]
        centred = [calculus.constant(Sign.ANY) if value.is_constant else value for value in moved]
        return calculus.add([result, *centred], at)

    return rule


def _dropout(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    # For each draw of the mask, a product with non-negative numbers.
    return calculus.multiply(calculus.constant(Sign.NON_NEGATIVE, "a dropout mask"), _value(args[0]), at)


def _choice(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    condition = args[0]
    if isinstance(condition, Node) and not condition.value.is_constant:
        return calculus.unknown(f"{at} chooses by a condition on the input", *(n.value for n in _nodes(args)))
    return calculus.side_by_side([_value(args[1]), _value(args[2])], at)


def _indexed(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    indices = _nodes(args[1:])
    if any(not node.value.is_constant for node in indices):
        return calculus.unknown(f"{at} looks up places that depend on the input", *(n.value for n in _nodes(args)))
    return _value(args[0])


def _padded(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    return calculus.side_by_side([_value(args[0]), _value(_argument(args, kwargs, 2, "value", 0.0))], at)


def _copied(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    return _value(args[1])


def _filled(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    return _value(args[1]) if len(args) > 1 else calculus.constant(Sign.NON_NEGATIVE)


def _from_shape(args: list[Any], kwargs: dict[str, Any], at: str, made: Tensor) -> Value:
    return calculus.constant(Sign.ANY if "empty" in at else Sign.NON_NEGATIVE if bool((made >= 0).all()) else Sign.ANY)


def _leaky(args: list[Any], kwargs: dict[str, Any]) -> bool:
    return 0.0 <= float(_argument(args, kwargs, 1, "negative_slope", 0.01)) <= 1.0


def _elu(args: list[Any], kwargs: dict[str, Any]) -> bool:
    # α, the scale of the positive side, and the scale inside the exponential: the slope must not drop at 0.
    alpha, scale, inner = (
        float(_argument(args, kwargs, i, n, 1.0)) for i, n in ((1, "alpha"), (2, "scale"), (3, "input_scale"))
    )
    return scale > 0.0 and inner > 0.0 and 0.0 <= alpha * inner <= 1.0


def _softplus(args: list[Any], kwargs: dict[str, Any]) -> bool:
    # As in the core: a low threshold is a visible downward jump.
    beta, threshold = (
        float(_argument(args, kwargs, 1, "beta", 1.0)),
        float(_argument(args, kwargs, 2, "threshold", 20.0)),
    )
    return beta > 0.0 and threshold >= 14.0


def _threshold(args: list[Any], kwargs: dict[str, Any]) -> bool:
    return float(args[1]) == 0.0 and float(args[2]) == 0.0


_RULES: dict[str, Rule] = {
    **dict.fromkeys(MOVES, _first),
    **dict.fromkeys(_JOIN, _join),
    **dict.fromkeys(_PRODUCTS, _product),
    **dict.fromkeys(_MADE_FROM_SHAPES, _from_shape),
    **{name: _element_wise(calculus.FUNCTIONS[function]) for name, function in _ELEMENT_WISE.items()},
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "addbmm"), _product_plus),
    "_to_copy": _first,
    "to": _first,
    "neg": lambda args, kwargs, at, made: calculus.negate(_value(args[0])),
    "add": _sum(1),
    "sub": _sum(-1),
    "rsub": _reversed_difference,
    "div": _quotient,
    "divide": _quotient,
    "true_divide": _quotient,
    **dict.fromkeys(("maximum", "max", "amax", "fmax"), _extreme(calculus.maximum)),
    **dict.fromkeys(("minimum", "min", "amin", "fmin"), _extreme(calculus.minimum)),
    **dict.fromkeys(
        ("max_pool1d", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "adaptive_max_pool2d"),
        lambda args, kwargs, at, made: calculus.maximum([_value(args[0])], at),
    ),
    "clamp": _clamp,
    "hardtanh": _clamp,
    "clamp_min": lambda args, kwargs, at, made: calculus.maximum([_value(args[0]), _value(args[1])], at),
    "clamp_max": _clamp_max,
    "leaky_relu": _activation("leaky_relu", _leaky, refusal="its slope lies outside [0, 1]"),
    "elu": _activation("elu", _elu, refusal="its slope drops at 0"),
    "celu": _activation("celu", lambda args, kwargs: float(_argument(args, kwargs, 1, "alpha", 1.0)) > 0.0),
    "softplus": _activation("softplus", _softplus, Sign.NON_NEGATIVE, "its threshold makes it jump down"),
    "threshold": _activation("threshold", _threshold, Sign.NON_NEGATIVE, "it jumps"),
    "_prelu_kernel": _prelu,
    "pow": _power,
    "linalg_vector_norm": _norm,
    "logsumexp": _log_sum_exp,
    "_log_softmax": _log_softmax,
    "native_batch_norm": _batch_norm(5),
    "_native_batch_norm_legit": _batch_norm(5),
    "_native_batch_norm_legit_no_training": _batch_norm(None),
    "cudnn_batch_norm": _batch_norm(5),
    "native_dropout": _dropout,
    "where": _choice,
    **dict.fromkeys(("index", "index_select", "gather", "take_along_dim"), _indexed),
    "constant_pad_nd": _padded,
    "copy_": _copied,
    **dict.fromkeys(("fill_", "zero_"), _filled),
}
