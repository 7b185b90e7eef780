"""Which rule of the calculus each of Keras' operations follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from convex_init_core.convexity import calculus
from convex_init_core.convexity import functions as convex_functions
from convex_init_core.convexity.calculus import ElementWise, Sign, Value
from convex_init_core.convexity.functions import FUNCTIONS

_MOVES = """
    Cast SaturateCast ConvertToTensor StopGradient Copy Identity Reshape Transpose Permute ExpandDims Squeeze Flip
    Fliplr Flipud Roll Moveaxis Swapaxes Ravel Repeat Tile BroadcastTo Split ArraySplit Hsplit Vsplit Dsplit Unstack
    Slice Diagonal ExtractPatches CropImages Unfold Fold DepthToSpace SpaceToDepth Rot90 Rearrange RGBToGrayscale
    Sum Mean Cumsum Trace AveragePool AdaptiveAveragePool GetItem Take TakeAlongAxis
""".split()  # noqa: SIM905
_WITH_ZEROS = ("Tril", "Triu", "Diag", "Diagflat")
_JOINS = ("Concatenate", "Stack", "Hstack", "Vstack", "Dstack", "Append")
_PRODUCTS = ("Matmul", "Dot", "Vdot", "Inner", "Outer", "Tensordot", "Einsum", "Conv", "DepthwiseConv", "ConvTranspose")
_ELEMENT_WISE = {
    **dict.fromkeys(("Absolute", "Fabs"), "abs"),
    **{name.title(): name for name in ("relu", "softplus", "exp", "expm1", "square", "cosh", "log", "log1p", "sqrt")},
    **{name.title(): name for name in ("squareplus", "sigmoid", "tanh", "gelu", "silu", "selu", "sin", "cos", "tan")},
    **{name.title(): name for name in ("sinh", "softsign", "erf", "sign", "round", "floor", "ceil", "trunc", "rsqrt")},
    **{"SparsePlus": "sparse_plus", "LogSigmoid": "log_sigmoid", "HardSigmoid": "hardsigmoid", "HardSilu": "hardswish"},
    **{"SoftShrink": "softshrink", "HardShrink": "hardshrink", "TanhShrink": "tanhshrink"},
    **{"Arctan": "atan", "Arcsinh": "asinh"},
}
_WHY_NOT = {
    **dict.fromkeys(
        ("LayerNorm", "RMSNorm", "Normalize", "Moments"), "divides by a statistic of its own input, in every mode"
    ),
    "DotProductAttention": "is attention, which multiplies values by weights that are made of the input",
    "Softmax": "is not convex in all its elements",
    **dict.fromkeys(("Sort", "TopK", "Median"), "picks by rank: only sums of the largest elements are convex"),
    **dict.fromkeys(("Prod", "Cumprod", "Glu"), "multiplies values that depend on the input"),
}


@dataclass(frozen=True)
class Step:
    """One operation of a Keras graph as the rules see it.

    Attributes:
        operation: Keras' operation, whose attributes are its parameters.
        name: its class.
        at: name and place, for messages.
        arguments: what is known of its arguments, tensors and numbers alike, flattened and in order; ``None`` for
            anything else.
        same: whether the first two arguments are the same tensor.
        made_by: the step that made the first argument, if it was an operation.
        bounds: smallest and largest number of each argument that is a constant; ``None`` otherwise.
    """

    operation: Any
    name: str
    at: str
    arguments: list[Value | None]
    same: bool = False
    made_by: Step | None = None
    bounds: list[tuple[float, float] | None] = field(default_factory=list)

    @property
    def operands(self) -> list[Value]:
        """The arguments that are tensors or numbers."""
        return [value for value in self.arguments if value is not None]

    def unknown(self, why: str) -> Value:
        """A value of which nothing is known, because the operation ``why``."""
        return calculus.unknown(f"{self.at} {why}", *self.operands)

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter of the operation."""
        return getattr(self.operation, name, default)


Rule: TypeAlias = Callable[[Step], Value]


def result_of(step: Step, index: int, floating: bool, truth: bool) -> Value:
    """Return what the calculus knows of result number ``index`` of an operation.

    Args:
        step: the operation.
        index: which of the results.
        floating: whether the result holds floating-point numbers.
        truth: whether it holds truth values.
    """
    if not type(step.operation).__module__.startswith("keras."):
        return step.unknown("is a custom operation, which has no rule")
    if not floating:
        sign = Sign.NON_NEGATIVE if truth else Sign.ANY
        return calculus.unknown(
            f"{step.at} makes whole numbers or truth values from the input", *step.operands, sign=sign
        )
    if index > 0 and step.name not in ("Split", "ArraySplit", "Hsplit", "Vsplit", "Dsplit", "Unstack"):
        return step.unknown(f"has no rule for its result number {index}")
    rule = _RULES.get(step.name)
    return step.unknown(_WHY_NOT.get(step.name, "has no rule")) if rule is None else rule(step)


def _first(step: Step) -> Value:
    if any(not value.is_constant for value in step.operands[1:]):
        return step.unknown("depends on more than its first argument")
    return step.operands[0]


def _summed(step: Step) -> Value:
    source, axis = step.made_by, step.get("axis")
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    if source is not None and source.name == "TopK" and (axis is None or -1 in axes):
        return calculus.maximum([source.operands[0]], f"{step.at} of the largest")
    return _first(step)


def _average(step: Step) -> Value:
    weights = step.operands[1] if len(step.operands) > 1 else None
    if weights is None:
        return step.operands[0]
    if not weights.sign.is_non_negative:  # their sum, which divides, may have any sign
        return step.unknown("weighs by numbers that are not known to be non-negative")
    return calculus.multiply(weights, step.operands[0], step.at)


def _joined(step: Step) -> Value:
    return calculus.side_by_side(step.operands, step.at)


def _with_zeros(step: Step) -> Value:
    return calculus.side_by_side([_first(step), calculus.constant(Sign.ZERO)], step.at)


def _padded(step: Step) -> Value:
    if str(step.get("mode", "constant")) != "constant":
        return step.operands[0]
    filled = step.operands[1:] or [calculus.constant(Sign.ZERO)]
    return calculus.side_by_side([step.operands[0], *filled], step.at)


def _product(step: Step) -> Value:
    if len(step.operands) == 1:
        return step.operands[0]
    if step.same and step.name in ("Multiply", "Vdot") and len(step.operands) == 2:
        return calculus.apply(FUNCTIONS["square"], step.operands[0], step.at)
    result = step.operands[0]
    for factor in step.operands[1:]:
        result = calculus.multiply(result, factor, step.at)
    return result


def _quotient(step: Step) -> Value:
    above, below = step.operands
    bounds = step.bounds[1]
    if not below.is_constant or (bounds is not None and 0.0 in bounds):
        return step.unknown("divides by zero or by a value that depends on the input")
    return calculus.multiply(below, above, step.at)


def _sum(step: Step) -> Value:
    return calculus.add(step.operands, step.at)


def _difference(step: Step) -> Value:
    return calculus.add([step.operands[0], calculus.negate(step.operands[1])], step.at)


def _clip(step: Step) -> Value:
    low, high = _limit(step.get("x_min"), -math.inf), _limit(step.get("x_max"), math.inf)
    value = step.operands[0] if low is None else calculus.maximum([step.operands[0], low], step.at)
    return value if high is None else calculus.minimum([value, high], step.at)


def _largest(step: Step) -> Value:
    initial = _limit(step.get("initial"), -math.inf)
    return calculus.maximum([*step.operands, *([] if initial is None else [initial])], step.at)


def _smallest(step: Step) -> Value:
    initial = _limit(step.get("initial"), math.inf)
    return calculus.minimum([*step.operands, *([] if initial is None else [initial])], step.at)


def _limit(number: Any, neutral: float) -> Value | None:
    """A bound that is a parameter of an operation; ``None`` for none."""
    if number is None or (isinstance(number, float) and number == neutral):
        return None
    if not isinstance(number, (int, float)):
        return calculus.constant(Sign.ANY)
    return calculus.numbers(number, number, f"the number {number:g}")


def _choice(step: Step) -> Value:
    if len(step.operands) != 3 or not step.operands[0].is_constant:
        return step.unknown("chooses by a condition on the input")
    return calculus.side_by_side(step.operands[1:], step.at)


def _power(step: Step) -> Value:
    base, bounds = step.operands[0], step.bounds[1]
    if base.is_constant and step.bounds[0] is not None and step.bounds[0][0] == step.bounds[0][1]:
        return calculus.apply(convex_functions.exponential(step.bounds[0][0]), step.operands[1], step.at)
    if bounds is None or bounds[0] != bounds[1]:
        return step.unknown("has a variable exponent")
    return base if bounds[0] == 1.0 else calculus.apply(convex_functions.power(bounds[0], base.sign), base, step.at)


def _norm(step: Step) -> Value:
    order, axis = step.get("ord"), step.get("axis")
    if order in (None, "euclidean") or (isinstance(order, (int, float)) and order >= 1 and _is_one(axis)):
        return calculus.norm(step.operands[0], step.at)
    return step.unknown(f"of order {order} over axis {axis} has no rule")


def _is_one(axis: Any) -> bool:
    return isinstance(axis, int) or (isinstance(axis, (list, tuple)) and len(axis) == 1)


def _log_sum_exp(step: Step) -> Value:
    function = ElementWise("log-sum-exp", convex=True, increasing=True)
    return calculus.apply(function, calculus.side_by_side(step.operands, step.at), step.at)


def _log_softmax(step: Step) -> Value:
    return calculus.apply(ElementWise("log-softmax", concave=True, sign=Sign.NON_POSITIVE), step.operands[0], step.at)


def _hypotenuse(step: Step) -> Value:
    squares = [calculus.apply(FUNCTIONS["square"], value, step.at) for value in step.operands]
    return calculus.apply(FUNCTIONS["sqrt"], calculus.add(squares, step.at), step.at)


def _distance(step: Step) -> Value:
    return calculus.norm(_difference(step), step.at)


def _batch_norm(step: Step) -> Value:
    """Arguments: x, mean, variance and, if there are any, offset and scale."""
    x, mean, offset, scale = (step.arguments[i] if i < len(step.arguments) else None for i in (0, 1, 3, 4))
    assert x is not None
    assert mean is not None
    variance = step.bounds[2]
    if variance is None or variance[0] + float(step.get("epsilon", 0.0)) <= 0.0:
        return step.unknown("divides by the root of a variance that is not known to be positive")
    scaled = x if scale is None else calculus.multiply(scale, x, step.at)
    centred = calculus.multiply(calculus.constant(Sign.ANY), mean, step.at)
    return calculus.add([scaled, centred, *([] if offset is None else [offset])], step.at)


def _relu(step: Step) -> Value:
    """Keras' own ``ReLU``, with a slope, a ceiling and a threshold."""
    if step.get("threshold"):
        return step.unknown("jumps at its threshold")
    function = FUNCTIONS["relu"]
    if step.get("negative_slope"):
        function = convex_functions.leaky_relu(float(step.get("negative_slope")))
    value = calculus.apply(function, step.operands[0], step.at)
    ceiling = _limit(step.get("max_value"), math.inf)
    return value if ceiling is None else calculus.minimum([value, ceiling], step.at)


def _resized(step: Step) -> Value:
    fits = str(step.get("interpolation")) in ("nearest", "bilinear") and not step.get("pad_to_aspect_ratio")
    return _first(step) if fits else step.unknown("interpolates with weights of both signs, or pads")


def _element_wise(function: ElementWise) -> Rule:
    return lambda step: calculus.apply(function, step.operands[0], step.at)


def _with_numbers(function: Callable[..., ElementWise], *names: str) -> Rule:
    return lambda step: calculus.apply(function(*(float(step.get(name)) for name in names)), step.operands[0], step.at)


def _negative(step: Step) -> Value:
    return calculus.negate(step.operands[0])


def _all(names: Iterable[str], rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


_RULES: dict[str, Rule] = {
    **_all(_MOVES, _first),
    **_all(("Sum", "Mean"), _summed),
    "Average": _average,
    **_all(_JOINS, _joined),
    **_all(_WITH_ZEROS, _with_zeros),
    "Pad": _padded,
    **_all((*_PRODUCTS, "Multiply", "SeparableConv"), _product),
    **_all(("Divide", "TrueDivide"), _quotient),
    "Add": _sum,
    "Subtract": _difference,
    "Negative": _negative,
    **_all(("Maximum", "Max", "Amax", "MaxPool", "AdaptiveMaxPool"), _largest),
    **_all(("Minimum", "Min", "Amin"), _smallest),
    "Clip": _clip,
    "Relu6": lambda step: calculus.minimum(
        [calculus.apply(FUNCTIONS["relu"], step.operands[0], step.at), calculus.numbers(6.0, 6.0, "6")], step.at
    ),
    "Where": _choice,
    "Power": _power,
    "Norm": _norm,
    "CDist": _distance,
    **_all(("Logsumexp", "Logaddexp", "Logaddexp2"), _log_sum_exp),
    "LogSoftmax": _log_softmax,
    "Hypot": _hypotenuse,
    "Var": lambda step: calculus.spread(step.operands[0], step.at, root=False),
    "Std": lambda step: calculus.spread(step.operands[0], step.at, root=True),
    "BatchNorm": _batch_norm,
    "ReLU": _relu,
    "LeakyRelu": _with_numbers(convex_functions.leaky_relu, "negative_slope"),
    "Elu": _with_numbers(convex_functions.elu, "alpha"),
    "Celu": _with_numbers(convex_functions.celu, "alpha"),
    "Threshold": _with_numbers(convex_functions.threshold, "threshold", "default_value"),
    "Exp2": _element_wise(convex_functions.exponential(2.0)),
    "Resize": _resized,
    **{name: _element_wise(FUNCTIONS[function]) for name, function in _ELEMENT_WISE.items()},
}
