"""What element-wise operations compute, on float64 arrays of NumPy: to judge functions on a grid and to invert maps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any]"

_ROOT_HALF = math.sqrt(0.5)
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_LAMBDA = 0.5  # of softshrink and hardshrink, whose other values are no operations here
_RELATIONS: dict[str, Callable[[Array, Array], Array]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def _compare(a: Array, b: Array, *, relation: str) -> Array:
    return _RELATIONS[relation](a, b)


def _where(condition: Array, if_true: Array, if_false: Array) -> Array:
    return np.where(np.asarray(condition) != 0, if_true, if_false)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _leaky_relu(x: Array, *, slope: float) -> Array:
    return np.where(x > 0.0, x, slope * x)


def _prelu(x: Array, slope: Array) -> Array:
    return np.where(x > 0.0, x, slope * x)


def _elu(x: Array, *, alpha: float, scale: float, input_scale: float) -> Array:
    return scale * np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0) * input_scale))


def _softplus(x: Array, *, beta: float, threshold: float) -> Array:
    return np.where(beta * x > threshold, x, np.logaddexp(0.0, beta * x) / beta)


def _squareplus(x: Array, *, b: float) -> Array:
    return 0.5 * (x + np.sqrt(np.square(x) + b))


def _sparse_plus(x: Array) -> Array:
    return np.where(x <= -1.0, 0.0, np.where(x < 1.0, 0.25 * np.square(x + 1.0), x))


def _threshold(x: Array, *, at: float, value: float) -> Array:
    return np.where(x <= at, value, x)  # NaN stays, as in torch


def _huber(x: Array, *, delta: float) -> Array:
    size = np.abs(x)
    return np.where(size <= delta, 0.5 * np.square(x), delta * (size - 0.5 * delta))


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -np.asarray(x, np.float64)))


def _log_sigmoid(x: Array) -> Array:
    return -np.logaddexp(0.0, -np.asarray(x, np.float64))


def _erf(x: Array) -> Array:
    values = np.asarray(x, np.float64)
    return np.array([math.erf(number) for number in values.ravel()], np.float64).reshape(values.shape)


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1.0 + _erf(x * _ROOT_HALF))


def _silu(x: Array) -> Array:
    return x * _sigmoid(x)


def _mish(x: Array) -> Array:
    return x * np.tanh(np.logaddexp(0.0, x))


def _selu(x: Array) -> Array:
    return _elu(x, alpha=_SELU_ALPHA, scale=_SELU_SCALE, input_scale=1.0)


def _hardsigmoid(x: Array) -> Array:
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


def _hardswish(x: Array) -> Array:
    return x * _hardsigmoid(x)


def _softsign(x: Array) -> Array:
    return x / (1.0 + np.abs(x))


def _softshrink(x: Array) -> Array:
    return np.sign(x) * np.maximum(np.abs(x) - _LAMBDA, 0.0)


def _hardshrink(x: Array) -> Array:
    return np.where(np.abs(x) > _LAMBDA, x, 0.0)


def _tanhshrink(x: Array) -> Array:
    return x - np.tanh(x)


def _entropy(x: Array) -> Array:
    inside = np.where(x > 0.0, x, 1.0)
    return np.where(x > 0.0, -inside * np.log(inside), np.where(x == 0.0, 0.0, -math.inf))


def _frac(x: Array) -> Array:
    return x - np.trunc(x)


def _rsqrt(x: Array) -> Array:
    return 1.0 / np.sqrt(x)


NUMPY: dict[str, Callable[..., Array]] = {
    **{"multiply": np.multiply, "divide": np.divide, "add": np.add, "subtract": np.subtract, "negate": np.negative},
    **{"compare": _compare, "where": _where, "maximum": np.maximum, "minimum": np.minimum},
    **{"power": np.power, "log_add_exp": np.logaddexp, "prelu": _prelu},
    **{"relu": _relu, "leaky_relu": _leaky_relu, "elu": _elu, "softplus": _softplus, "squareplus": _squareplus},
    **{"sparse_plus": _sparse_plus, "threshold": _threshold, "huber": _huber},
    **{"exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "square": np.square, "sqrt": np.sqrt},
    **{"rsqrt": _rsqrt, "reciprocal": np.reciprocal, "abs": np.abs, "sign": np.sign},
    **{"sigmoid": _sigmoid, "log_sigmoid": _log_sigmoid, "tanh": np.tanh, "sinh": np.sinh, "cosh": np.cosh},
    **{"asinh": np.arcsinh, "atan": np.arctan, "sin": np.sin, "cos": np.cos, "tan": np.tan, "erf": _erf},
    **{"gelu": _gelu, "silu": _silu, "mish": _mish, "selu": _selu, "hardswish": _hardswish},
    **{"hardsigmoid": _hardsigmoid, "softsign": _softsign, "softshrink": _softshrink, "hardshrink": _hardshrink},
    **{"tanhshrink": _tanhshrink, "entropy": _entropy, "round": np.round, "floor": np.floor, "ceil": np.ceil},
    **{"trunc": np.trunc, "frac": _frac},
}
"""By operation: one argument for each input, parameters by name."""
