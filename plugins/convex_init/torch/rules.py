"""Which rule of the calculus each of torch's operations follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from convex_init.torch.blocks import contraction, product_by_blocks
from convex_init.torch.calls import Call, nodes_in, value_of
from convex_init.torch.choices import chosen
from convex_init.torch.forms import quadratic_form
from convex_init.torch.recording import Node, constant_of, is_uninitialised
from convex_init_core.convexity import calculus
from convex_init_core.convexity import functions as convex_functions
from convex_init_core.convexity.calculus import ElementWise, Sign, Value
from convex_init_core.convexity.functions import FUNCTIONS

_PURE = """
    view _unsafe_view reshape _reshape_alias t transpose permute expand squeeze unsqueeze slice select alias detach
    clone contiguous flatten unflatten split split_with_sizes chunk unbind roll flip repeat tile pixel_shuffle
    pixel_unshuffle channel_shuffle unfold diagonal narrow movedim swapaxes lift_fresh lift_fresh_copy view_as
    unsafe_split unsafe_chunk reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d _to_copy to native_channel_shuffle rot90 view_copy expand_copy permute_copy diagonal_copy
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d
""".split()  # noqa: SIM905
MOVES = [
    *_PURE,
    *"""
    im2col sum mean cumsum avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d upsample_linear1d upsample_bilinear2d upsample_trilinear3d trace col2im
    """.split(),  # noqa: SIM905
]
"""Operations that move, repeat or drop elements, and sums with non-negative weights that do not depend on the input."""

_JOIN = ("cat", "stack", "hstack", "vstack")
_MATRIX_PRODUCTS = ("mm", "bmm", "mv", "dot", "matmul", "linear", "vdot", "inner")
_MADE_FROM_SHAPES = (
    *("zeros_like", "ones_like", "new_zeros", "new_ones", "new_full", "full_like"),
    *("empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty", "empty_permuted", "empty_quantized"),
)
# Draws that depend on no value but those of numbers and of constants.
_NOISE = {
    **dict.fromkeys(("rand", "rand_like", "bernoulli", "bernoulli_", "exponential_"), Sign.NON_NEGATIVE),
    **dict.fromkeys(("randn", "randn_like", "normal", "normal_", "uniform", "uniform_", "normal_functional"), Sign.ANY),
}
_ELEMENT_WISE = {
    **{
        name: name
        for name in ("relu", "exp", "expm1", "square", "abs", "cosh", "log", "log1p", "sqrt", "sigmoid", "tanh")
    },
    **{name: name for name in ("gelu", "silu", "mish", "selu", "sin", "cos", "tan", "erf", "sign", "round", "floor")},
    **{name: name for name in ("ceil", "trunc", "frac", "rsqrt", "hardswish", "hardsigmoid", "softshrink")},
    **{name: name for name in ("hardshrink", "tanhshrink", "sinh", "asinh", "atan")},
    "log_sigmoid_forward": "log_sigmoid",
    "special_expm1": "expm1",
    "special_entr": "entropy",
}
_POOLS = (
    *("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"),
    *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "max_pool1d_with_indices"),
    *("mkldnn_max_pool2d", "mkldnn_max_pool3d", "quantized_max_pool2d"),
)
_STATISTIC = "divides by a statistic of its own input, which no product of convex values allows, in eval() or not"
WHY_NOT = {
    **dict.fromkeys(
        ("native_layer_norm", "native_group_norm", "_fused_rms_norm", "layer_norm", "rms_norm"), _STATISTIC
    ),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_attention_math",
            "scaled_dot_product_attention",
            "_native_multi_head_attention",
            "_transformer_encoder_layer_fwd",
        ),
        "is attention, which multiplies values by weights that are made of the input",
    ),
    **dict.fromkeys(("prod", "cumprod"), "multiplies values that depend on the input"),
    **dict.fromkeys(
        ("median", "kthvalue", "nanmedian", "mode", "sort", "topk"),
        "picks by rank: only sums of the largest elements are convex",
    ),
    "glu": "multiplies two values that both depend on the input",
    "upsample_bicubic2d": "interpolates with negative coefficients",
    "_softmax": "is not convex in all its elements",
    "nan_to_num": "turns NaN into a number, where the value may not be defined",
    **dict.fromkeys(("fmax", "fmin"), "prefers a number to NaN, where the other value may not be defined"),
    "relu6": "its slope drops at 6",
}
"""Why well-known operations are refused; any other is refused because it has no rule."""


# A rule returns what is known of the first result of a call.
Rule: TypeAlias = Callable[[Call], Value]


def result_of(call: Call, index: int, made: Tensor) -> Value:
    """Return what the calculus knows of result number ``index`` of an operation.

    Args:
        call: the operation.
        index: which of the results.
        made: the result itself.
    """
    call.made = made
    if not call.known:
        return call.unknown("is a custom operation, which has no rule")
    if made.is_complex() or any(node.tensor is not None and node.tensor.is_complex() for node in call.nodes):
        return call.unknown("has complex numbers, for which there is no rule")
    if not made.is_floating_point() and call.nodes:  # indices, masks and counts: piecewise constant
        sign = Sign.NON_NEGATIVE if made.dtype == torch.bool else Sign.ANY
        return calculus.unknown(
            f"{call.at} makes whole numbers or truth values from the input", *call.values, sign=sign
        )
    if call.overload == "dtype" and call.base == "view":
        return call.unknown("reads memory as another type")
    if call.is_uninitialised:  # what looks empty may have been filled by a kernel that torch does not know
        return calculus.unknown(f"{call.at} makes a tensor that is used before a recorded operation has written to it")
    if call.name in _NOISE or call.base in _NOISE:
        return _noise(call)
    if call.random and not call.nodes:
        return calculus.constant()
    if call.base.endswith("_backward"):
        return call.unknown(
            "is the derivative of an operation: the gradient of a convex function is no convex function"
        )
    if index > 0 and call.base not in _EQUAL_RESULTS and not (call.base == "aminmax" and index == 1):
        return call.unknown(f"has no rule for its result number {index}")
    if call.base == "aminmax":
        return (calculus.minimum, calculus.maximum)[index]([call.value(0)], call.at)
    rule = _RULES.get(call.name) or _RULES.get(call.base)
    if rule is None or (call.random and call.base != "native_dropout"):
        return call.unknown(WHY_NOT.get(call.base, "has no rule"))
    return rule(call)


_EQUAL_RESULTS = {"split", "split_with_sizes", "chunk", "unbind", "unsafe_split", "unsafe_chunk"}


# Moves, joins and choices by place


def _noise(call: Call) -> Value:
    # The tensor that is overwritten, or whose shape is taken, does not matter; one with the law's parameters does.
    first = 0 if "bernoulli" in call.base and call.name == "bernoulli" else 1
    laws = call.nodes if call.name == "normal" else nodes_in(call.arguments[first:])
    if any(not node.value.is_constant for node in laws):
        return calculus.unknown(f"{call.at} draws from a law that depends on the input", *(n.value for n in laws))
    return calculus.constant(_NOISE.get(call.name, _NOISE.get(call.base, Sign.ANY)), reason=f"{call.at} is random")


def _first(call: Call) -> Value:
    if any(not node.fixed for node in nodes_in(call.arguments[1:])):
        return call.unknown("depends on more than its first argument")
    return call.value(0)


def _summed(call: Call) -> Value:
    """Sums and means; also of the largest elements, which is convex as a sum only."""
    return _sum_of_largest(call) or _sum_of_form(call) or _first(call)


def _sum_of_form(call: Call) -> Value | None:
    data, last = call[0], len(call[0].shape) - 1
    if data.value.curvature is not calculus.Curvature.UNKNOWN or call.base == "cumsum":
        return None
    if call["dim"] and not {-1, last} & set(call["dim"]):
        return None
    form = quadratic_form(data)
    if form is None:
        return None
    refusal = "" if form[1] else "its matrix has a negative eigenvalue"
    sign = Sign.NON_NEGATIVE if form[1] else Sign.ANY
    function = ElementWise("a quadratic form", convex=form[1], sign=sign, refusal=refusal)
    return calculus.apply(function, form[0].value, call.at)


def _sum_of_largest(call: Call) -> Value | None:
    data = call[0]
    dims = call["dim"] if call.base != "cumsum" else [call["dim"]]
    ranked, dim, most = _ranked(data)
    if ranked is None or dim is None:
        return None
    ndim = max(len(data.shape), 1)
    if dims is not None and len(dims) and dim not in [d % ndim for d in dims]:
        return None
    if call.base == "cumsum" and data.operation == "topk" and call["dim"] % ndim != dim:
        return None
    name = f"{call.at} of the {'largest' if most else 'smallest'}"
    return (calculus.maximum if most else calculus.minimum)([ranked.value], name)


def _ranked(node: Node) -> tuple[Node | None, int | None, bool]:
    """The data, the dimension and the direction if a node holds the k largest (or smallest), in order."""
    if node.index == 0 and node.operation == "topk":
        dim = node.args[2] if len(node.args) > 2 else node.keywords.get("dim", -1)
        most = node.args[3] if len(node.args) > 3 else node.keywords.get("largest", True)
        return node.args[0], dim % max(len(node.shape), 1), bool(most)
    if node.index == 0 and node.operation == "sort":
        names = {"dim": 1, "descending": 2} if "stable" not in node.keywords else {"dim": 2, "descending": 3}
        defaults = {"dim": -1, "descending": False}
        dim, most = (
            node.args[i] if len(node.args) > i else node.keywords.get(n, defaults[n]) for n, i in names.items()
        )
        return node.args[0], dim % max(len(node.shape), 1), bool(most)
    if node.operation == "slice" and len(node.args) > 1 and (len(node.args) < 5 or node.args[4] == 1):
        data, dim, most = _ranked(node.args[0])
        if data is not None and node.args[1] % len(node.shape) == dim and node.args[2] in (0, None):
            return data, dim, most
    return None, None, True


def _cumulated(call: Call) -> Value:
    if call[0].operation == "topk":
        sorted_ = call[0].args[4] if len(call[0].args) > 4 else call[0].keywords.get("sorted", True)
        if not sorted_:
            return _first(call)
    return _summed(call)


def _join(call: Call) -> Value:
    return calculus.side_by_side([value_of(node) for node in call[0]], call.at)


def _put(*places: int) -> Rule:
    """Some elements of the first argument are replaced by (or increased by) those of another; all else is constant."""

    def rule(call: Call) -> Value:
        empty = isinstance(call[0], Node) and is_uninitialised(call[0])
        moved = [*([] if empty else [call[0]]), *(call[place] for place in places)]
        if call["reduce"] is not None:
            return call.unknown("multiplies or averages where it writes")
        others = [node for node in call.nodes if not any(node is part for part in (call[0], *moved))]
        if any(not node.value.is_constant for node in others):
            return call.unknown("chooses places by a condition on the input")
        return calculus.side_by_side([value_of(part) for part in moved], call.at)

    return rule


def _scattered_by(call: Call) -> Value:
    """``index_add`` and ``scatter_add``: places from constants, ``alpha`` a number."""
    source = calculus.multiply(value_of(call["alpha"]), call.value(3), call.at) if call["alpha"] else call.value(3)
    if not call.value(2).is_constant:
        return call.unknown("chooses places by a condition on the input")
    return calculus.add([call.value(0), source], call.at)


def _with_zeros(call: Call) -> Value:
    """``tril``, ``diag_embed`` and others: elements of the first argument, and zeros."""
    return calculus.side_by_side([_first(call), calculus.constant(Sign.ZERO)], call.at)


def _choice(call: Call) -> Value:
    condition = call[0]
    if isinstance(condition, Node) and not condition.value.is_constant:
        if (written_out := chosen(condition, call[1], call[2])) is not None:
            return calculus.apply(written_out[0], written_out[1].value, call.at)
        return call.unknown("chooses by a condition on the input")
    return calculus.side_by_side([call.value(1), call.value(2)], call.at)


def _indexed(call: Call) -> Value:
    if any(not node.value.is_constant for node in nodes_in(call.arguments[1:])):
        return call.unknown("looks up places that depend on the input")
    return call.value(0)


def _padded(call: Call) -> Value:
    return calculus.side_by_side([call.value(0), call.value("value")], call.at)


def _copied(call: Call) -> Value:
    return call.value(1)


def _filled(call: Call) -> Value:
    return call.value(1) if len(call.arguments) > 1 else calculus.constant(Sign.ZERO)


def _from_shape(call: Call) -> Value:
    assert call.made is not None
    filled = nodes_in(call.arguments[1:])
    if any(not node.value.is_constant for node in filled):
        return calculus.side_by_side([node.value for node in filled], call.at)
    return constant_of(call.made, "a constant")[0]


# Sums and products


def _product(call: Call) -> Value:
    """Element by element."""
    a, b = call[0], call[1]
    if isinstance(a, Node) and a is b:
        return calculus.apply(FUNCTIONS["square"], _size_of(a), call.at)
    product = calculus.multiply(value_of(a), value_of(b), call.at)
    if product.curvature is calculus.Curvature.UNKNOWN:
        for mask, value in ((a, b), (b, a)):
            if (written_out := chosen(mask, value, 0.0)) is not None:  # x * (x > 0)
                return calculus.apply(written_out[0], written_out[1].value, call.at)
    return product


def _outer(call: Call) -> Value:
    return calculus.multiply(call.value(0), call.value(1), call.at)


def _map(call: Call, a: Any, b: Any) -> Value:
    """A product of two tensors that sums over one dimension."""
    if isinstance(a, Node) and a is b and call.base in ("dot", "vdot", "inner") and len(a.shape) == 1:
        return calculus.apply(FUNCTIONS["square"], a.value, call.at)
    product = calculus.multiply(value_of(a), value_of(b), call.at)
    if product.curvature is calculus.Curvature.UNKNOWN and isinstance(a, Node) and isinstance(b, Node):
        where = contraction(call.base, a, b, call)
        return product_by_blocks(a, b, where, call.at) or product if where else product
    return product


def _matrix_product(call: Call) -> Value:
    product = _map(call, call[0], call[1])
    return calculus.add([product, call.value(2)], call.at) if isinstance(call["bias"], Node) else product


def _product_plus(call: Call) -> Value:
    """``beta · input + alpha · (a × b)``."""
    scaled = calculus.multiply(call.value("alpha"), _map(call, call[1], call[2]), call.at)
    return calculus.add([calculus.multiply(call.value("beta"), call.value(0), call.at), scaled], call.at)


def _three_products(call: Call) -> Value:
    """``_trilinear``: a bilinear map."""
    return calculus.multiply(calculus.multiply(call.value(0), call.value(1), call.at), call.value(2), call.at)


def _plus_product(call: Call) -> Value:
    """``addcmul``: ``input + value · a · b``."""
    a, b = call[1], call[2]
    same = a is b and isinstance(a, Node)
    product = (
        calculus.apply(FUNCTIONS["square"], a.value, call.at)
        if same
        else calculus.multiply(value_of(a), value_of(b), call.at)
    )
    return calculus.add([call.value(0), calculus.multiply(call.value("value"), product, call.at)], call.at)


def _plus_quotient(call: Call) -> Value:
    """``addcdiv``: ``input + value · a / b``."""
    quotient = _divided(call, call.value(1), call.value(2))
    return calculus.add([call.value(0), calculus.multiply(call.value("value"), quotient, call.at)], call.at)


def _sum(sign: int) -> Rule:
    def rule(call: Call) -> Value:
        factor = sign * float(call["alpha"] if call["alpha"] is not None else 1)
        if call[0] is call[1] and isinstance(call[0], Node):  # x − x need not be constant for the calculus
            if factor == -1.0:
                return calculus.constant(Sign.ZERO)
            return calculus.multiply(value_of(1.0 + factor), call.value(0), call.at)
        return calculus.add([call.value(0), calculus.multiply(value_of(factor), call.value(1), call.at)], call.at)

    return rule


def _reversed_difference(call: Call) -> Value:
    factor = float(call["alpha"])
    return calculus.add([call.value(1), calculus.multiply(value_of(-factor), call.value(0), call.at)], call.at)


def _interpolated(call: Call) -> Value:
    """``lerp``: ``a + w (b − a)``, a mixture for constant w in [0, 1]."""
    a, b, weight = call.value(0), call.value(1), call[2]
    if isinstance(weight, Node):
        if not weight.value.is_constant:
            return call.unknown("mixes by a weight that depends on the input")
        low, high = weight.bounds or (-1.0, 2.0)
    else:
        low = high = float(weight)
    ours = Sign.NON_NEGATIVE if high <= 1.0 else Sign.NON_POSITIVE if low >= 1.0 else Sign.ANY
    theirs = Sign.NON_NEGATIVE if low >= 0.0 else Sign.NON_POSITIVE if high <= 0.0 else Sign.ANY
    parts = [calculus.multiply(calculus.constant(sign), part, call.at) for sign, part in ((ours, a), (theirs, b))]
    return calculus.add(parts, call.at)


def _quotient(call: Call) -> Value:
    if call["rounding_mode"] is not None:
        return call.unknown("rounds")
    return _divided(call, call.value(0), call.value(1))


def _divided(call: Call, above: Value, below: Value) -> Value:
    if not below.is_constant:
        if above.is_constant:
            inverse = calculus.apply(_inverse(below), below, call.at)
            return calculus.multiply(above, inverse, call.at)
        return call.unknown("divides by a value that depends on the input")
    divisor = call[2] if call.base == "addcdiv" else call[1]
    if 0.0 in ((divisor.bounds or ()) if isinstance(divisor, Node) else (float(divisor),)):
        return call.unknown("divides by zero")
    return calculus.multiply(below, above, call.at)  # a number has the sign of its inverse


def _inverse(value: Value) -> ElementWise:
    return convex_functions.power(-1.0, value.sign) if value.sign.is_non_negative else FUNCTIONS["reciprocal"]


def _reciprocal(call: Call) -> Value:
    return calculus.apply(_inverse(call.value(0)), call.value(0), call.at)


# Extremes, norms and functions of a whole


def _maximum(call: Call) -> Value:
    for a, b in (call.nodes, call.nodes[::-1]) if len(call.nodes) == 2 else ():
        if b.operation == "neg" and b.inputs[0] is a:
            return calculus.apply(FUNCTIONS["abs"], a.value, call.at)
    return calculus.maximum(call.values, call.at)


def _clamp(low: int | None, high: int | None) -> Rule:
    def rule(call: Call) -> Value:
        value = call.value(0)
        if low is not None and call[low] is not None:
            value = calculus.maximum([value, call.value(low)], call.at)
        if high is not None and call[high] is not None:
            value = calculus.minimum([value, call.value(high)], call.at)
        return value

    return rule


def _norm(call: Call) -> Value:
    order = call["ord"] if call["ord"] is not None else call["p"]
    order = 2 if order is None else order
    if isinstance(order, (int, float)) and order >= 1:
        return calculus.norm(_size_of(call[0]), call.at)
    return call.unknown(f"is no norm for order {order}")


def _distance(call: Call) -> Value:
    """``_cdist_forward`` and ``dist``: a norm of a difference."""
    difference = calculus.add([call.value(0), calculus.negate(call.value(1))], call.at)
    return calculus.norm(difference, call.at) if float(call["p"]) >= 1 else call.unknown("is no norm")


def _loss(name: str) -> Rule:
    """A convex even function of a difference, perhaps summed."""

    def rule(call: Call) -> Value:
        difference = calculus.add([call.value(0), calculus.negate(call.value(1))], call.at)
        return calculus.apply(FUNCTIONS[name], difference, call.at)

    return rule


def _log_sum_exp(call: Call) -> Value:
    function = ElementWise("log-sum-exp", convex=True, increasing=True)
    values = call.values if call.base.startswith("logaddexp") else [call.value(0)]
    return calculus.apply(function, calculus.side_by_side(values, call.at), call.at)


def _log_softmax(call: Call) -> Value:
    # x_i − log Σ exp x: concave in x, but not monotone in it.
    function = ElementWise("log-softmax", concave=True, sign=Sign.NON_POSITIVE)
    return calculus.apply(function, call.value(0), call.at)


def _softmax(call: Call) -> Value:
    return calculus.unknown(f"{call.at} {WHY_NOT['_softmax']}", *call.values, sign=Sign.NON_NEGATIVE)


def _spread(root: bool) -> Rule:
    return lambda call: calculus.spread(call.value(0), call.at, root=root)


def _hypotenuse(call: Call) -> Value:
    squares = [calculus.apply(FUNCTIONS["square"], value, call.at) for value in (call.value(0), call.value(1))]
    return calculus.apply(FUNCTIONS["sqrt"], calculus.add(squares, call.at), call.at)


# Element-wise functions with parameters


def _element_wise(function: ElementWise) -> Rule:
    seen = _size_of if function.even else value_of
    return lambda call: calculus.apply(function, seen(call[0]), call.at)


def _size_of(part: Any) -> Value:
    """What is known of ``|x|``, for functions that look at no more: of a leaky ReLU of an affine value it is convex."""
    value = value_of(part)
    is_folded = isinstance(part, Node) and part.operation.rstrip("_") in ("leaky_relu", "_prelu_kernel")
    if is_folded and value.curvature.is_convex and part.args[0].value.curvature is calculus.Curvature.AFFINE:
        monotone = dict.fromkeys(value.monotone, calculus.Monotonicity.ANY)
        return replace(value, sign=Sign.NON_NEGATIVE, monotone=monotone)  # max(s, −αs) for a slope α in [0, 1]
    return value


def _with_numbers(function: Callable[..., ElementWise], *names: str) -> Rule:
    """An element-wise function with parameters that are Python numbers."""
    return lambda call: calculus.apply(function(*(float(call[name]) for name in names)), call.value(0), call.at)


def _prelu(call: Call) -> Value:
    slope = call[1]
    if slope.bounds is None:
        return call.unknown(f"has slopes {slope.value.label} that are not known to lie in [0, 1]")
    function = convex_functions.leaky_relu(slope.bounds[0], slope.bounds[1], "prelu")
    return calculus.apply(function, call.value(0), call.at)


def _power(call: Call) -> Value:
    base, exponent = call[0], call[1]
    if isinstance(exponent, Node):
        if isinstance(base, (int, float)):
            return calculus.apply(convex_functions.exponential(float(base)), exponent.value, call.at)
        if exponent.bounds is None or exponent.bounds[0] != exponent.bounds[1]:
            return call.unknown("has a variable exponent")
        exponent = exponent.bounds[0]
    value = value_of(base)
    if float(exponent) == 1.0:
        return value
    function = convex_functions.power(float(exponent), value.sign)
    return calculus.apply(function, _size_of(base) if function.even else value, call.at)


def _batch_norm(call: Call) -> Value:
    scale, shift, mean, variance = call[1], call[2], call["running_mean"], call["running_var"]
    if not isinstance(mean, Node):
        return call.unknown(_STATISTIC)
    if call["training"]:
        return call.unknown("divides by a statistic of the batch; call model.eval()")
    margin = call["eps"] if call["eps"] is not None else call["epsilon"]
    floor = variance.bounds[0] + float(margin) if variance.bounds is not None else 0.0
    if not variance.value.is_constant or floor <= 0.0:
        return call.unknown("divides by the root of a variance that is not known to be positive")
    result = call.value(0) if not isinstance(scale, Node) else calculus.multiply(scale.value, call.value(0), call.at)
    centred = calculus.multiply(calculus.constant(Sign.ANY), mean.value, call.at)
    return calculus.add([result, centred, *([shift.value] if isinstance(shift, Node) else [])], call.at)


def _dropout(call: Call) -> Value:
    # For each draw of the mask, a product with non-negative numbers.
    return calculus.multiply(calculus.constant(Sign.NON_NEGATIVE, "a dropout mask"), call.value(0), call.at)


def _average_pool(call: Call) -> Value:
    divisor = call["divisor_override"]
    scale = calculus.constant(Sign.NON_NEGATIVE) if divisor is None else value_of(divisor)
    return calculus.multiply(scale, call.value(0), call.at)


def _all(names: Iterable[str], rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


_RULES: dict[str, Rule] = {
    **_all(MOVES, _first),
    **_all(("sum", "mean"), _summed),
    "cumsum": _cumulated,
    **_all(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _average_pool),
    **_all(_JOIN, _join),
    **_all(("mul", "multiply"), _product),
    **_all(("outer", "ger"), _outer),
    **_all((*_MATRIX_PRODUCTS, "convolution", "_convolution"), _matrix_product),
    **_all(_MADE_FROM_SHAPES, _from_shape),
    **{name: _element_wise(FUNCTIONS[function]) for name, function in _ELEMENT_WISE.items()},
    **_all(("addmm", "baddbmm", "addmv", "addbmm", "addr"), _product_plus),
    "_trilinear": _three_products,
    "addcmul": _plus_product,
    "addcdiv": _plus_quotient,
    "neg": lambda call: calculus.negate(call.value(0)),
    "add": _sum(1),
    "sub": _sum(-1),
    "rsub": _reversed_difference,
    "lerp": _interpolated,
    **_all(("div", "divide", "true_divide"), _quotient),
    "reciprocal": _reciprocal,
    **_all(("maximum", "max", "amax", "cummax"), _maximum),
    **_all(("minimum", "min", "amin", "cummin"), lambda call: calculus.minimum(call.values, call.at)),
    **_all(_POOLS, lambda call: calculus.maximum([call.value(0)], call.at)),
    **_all(("clamp", "hardtanh"), _clamp(1, 2)),
    "clamp_min": _clamp(1, None),
    "clamp_max": _clamp(None, 1),
    "leaky_relu": _with_numbers(convex_functions.leaky_relu, "negative_slope"),
    "elu": _with_numbers(convex_functions.elu, "alpha", "scale", "input_scale"),
    "celu": _with_numbers(convex_functions.celu, "alpha"),
    "softplus": _with_numbers(convex_functions.softplus, "beta", "threshold"),
    "threshold": _with_numbers(convex_functions.threshold, "threshold", "value"),
    "_prelu_kernel": _prelu,
    "pow": _power,
    "exp2": _element_wise(convex_functions.exponential(2.0)),
    **_all(("linalg_vector_norm", "norm"), _norm),
    **_all(("_cdist_forward", "dist"), _distance),
    **_all(("logsumexp", "logaddexp", "logaddexp2", "_logcumsumexp", "logcumsumexp"), _log_sum_exp),
    **_all(("huber_loss", "smooth_l1_loss"), _loss("huber")),
    "mse_loss": _loss("square"),
    "_log_softmax": _log_softmax,
    "_softmax": _softmax,
    "var": _spread(False),
    "std": _spread(True),
    "hypot": _hypotenuse,
    **_all(("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"), _batch_norm),
    **_all(("cudnn_batch_norm", "miopen_batch_norm"), _batch_norm),
    "native_dropout": _dropout,
    "where": _choice,
    **_all(("index", "index_select", "gather", "take", "take_along_dim", "embedding"), _indexed),
    "constant_pad_nd": _padded,
    "copy": _copied,
    **_all(("fill", "zero"), _filled),
    **_all(("masked_fill", "index_put", "_index_put_impl"), _put(2)),
    **_all(("scatter", "index_copy", "index_fill"), _put(3)),
    **_all(("slice_scatter", "select_scatter", "diagonal_scatter"), _put(1)),
    **_all(("index_add", "scatter_add"), _scattered_by),
    **_all(("tril", "triu", "diag_embed", "diag"), _with_zeros),
}
