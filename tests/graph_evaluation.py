"""What a graph computes, with NumPy: the strongest test of a tracer is that this equals what the model returned."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_erf = np.vectorize(math.erf, otypes=[float])


def evaluated(graph, inputs, numbers):
    """Values of the outputs by name, or ``None`` for those that depend on what the graph does not tell.

    ``inputs``: arrays by name; ``numbers``: from the handle of a constant to an array.
    """
    values = {}
    for node in graph:
        known = None
        if node.is_fixed and node.constant.handle is not None:
            known = np.asarray(numbers(node.constant.handle), dtype=np.float64)
        if node.name == "input":
            values[node] = np.asarray(inputs[node.params["name"]], dtype=np.float64)
        elif node.inputs and node.name in _FUNCTIONS and all(part in values for part in node.inputs):
            values[node] = _FUNCTIONS[node.name](node, *(values[part] for part in node.inputs))
            if known is not None:  # a constant has its operation and its numbers, which must agree
                np.testing.assert_allclose(values[node], known, rtol=1e-5, atol=1e-6)
        elif known is not None:
            values[node] = known if node.inputs else np.broadcast_to(known, node.shape)
        assert node not in values or values[node].shape == node.shape, (node, values[node].shape)
    return {name: values.get(node) for name, node in graph.outputs.items()}


def _extreme(function):
    return lambda node, x: function(x, axis=node.params["axes"], keepdims=node.params["keepdims"])


def _log_sum_exp(x, axes, keepdims):
    top = x.max(axis=axes, keepdims=True)
    made = np.log(np.exp(x - top).sum(axis=axes, keepdims=True)) + top
    return made if keepdims else np.squeeze(made, axis=axes)


def _contract(node, a, b):
    (of_a, of_b), (batch_a, batch_b) = node.params["axes"], node.params["batch"]
    free_a = [axis for axis in range(a.ndim) if axis not in (*of_a, *batch_a)]
    free_b = [axis for axis in range(b.ndim) if axis not in (*of_b, *batch_b)]
    letters = iter(range(50))
    names_a, names_b = [0] * a.ndim, [0] * b.ndim
    for first, second in ((batch_a, batch_b), (of_a, of_b)):
        for i, j in zip(first, second, strict=True):
            names_a[i] = names_b[j] = next(letters)
    for names, free in ((names_a, free_a), (names_b, free_b)):
        for axis in free:
            names[axis] = next(letters)
    out = [names_a[i] for i in (*batch_a, *free_a)] + [names_b[j] for j in free_b]
    return np.einsum(a, names_a, b, names_b, out)


def _convolve(node, data, weight):
    """Valid convolutions: padding is not in the graph, so tests use none."""
    params = node.params
    data = data.transpose(params["data_axes"])
    weight = weight.transpose(params["weight_axes"])
    strides, dilation, groups = params["strides"], params["dilation"], params["groups"]
    assert not params["transposed"]
    window = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilation, strict=True)]
    axes = tuple(range(2, data.ndim))
    seen = sliding_window_view(data, window, axis=axes)
    seen = seen[(slice(None), slice(None), *(slice(None, None, step) for step in strides))]
    seen = seen[(..., *(slice(None, None, step) for step in dilation))]
    parts = []
    for data_part, weight_part in zip(np.split(seen, groups, axis=1), np.split(weight, groups, axis=0), strict=True):
        summed = ([1, *range(data.ndim, seen.ndim)], [1, *range(2, weight.ndim)])
        parts.append(np.moveaxis(np.tensordot(data_part, weight_part, summed), -1, 1))
    return np.concatenate(parts, axis=1).transpose(np.argsort(params["data_axes"]))


def _norm(node, x):
    order, axes, keepdims = node.params["order"], node.params["axes"], node.params["keepdims"]
    if math.isinf(order):
        return np.abs(x).max(axis=axes, keepdims=keepdims)
    return (np.abs(x) ** order).sum(axis=axes, keepdims=keepdims) ** (1 / order)


def _largest(node, x):
    axis, ends = node.params["axis"], np.sort(x, axis=node.params["axis"])
    ends = ends if node.params["smallest"] else np.flip(ends, axis)
    return np.take(ends, range(node.params["k"]), axis=axis)


def _slice(node, x):
    ends = zip(node.params["starts"], node.params["stops"], node.params["steps"], strict=True)
    return x[tuple(slice(*part) for part in ends)]


def _softplus(node, x):
    beta, threshold = node.params["beta"], node.params["threshold"]
    return np.where(beta * x > threshold, x, np.logaddexp(0.0, beta * x) / beta)


def _elu(node, x):
    alpha, scale, inner = (node.params[name] for name in ("alpha", "scale", "input_scale"))
    return scale * np.where(x > 0, x, alpha * np.expm1(inner * np.minimum(x, 0)))


def _plain(function):
    return lambda node, *arrays: np.asarray(function(*arrays), dtype=np.float64)


def _sigmoid(x):
    return np.exp(-np.logaddexp(0.0, -x))


def _gelu(x):
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


_SELU = 1.6732632423543772, 1.0507009873554805
_RELATIONS = {
    **{">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal},
    **{"==": np.equal, "!=": np.not_equal},
}
_FUNCTIONS = {
    "reshape": lambda node, x: x.reshape(node.shape),
    "transpose": lambda node, x: x.transpose(node.params["axes"]),
    "broadcast": lambda node, x: np.broadcast_to(x, node.shape),
    "slice": _slice,
    "cast": lambda node, x: x,
    "concatenate": lambda node, *parts: np.concatenate(parts, axis=node.params["axis"]),
    "stack": lambda node, *parts: np.stack(parts, axis=node.params["axis"]),
    "pad": lambda node, x, value: np.pad(x, node.params["widths"], constant_values=value.item()),
    "sum": _extreme(np.sum),
    "mean": _extreme(np.mean),
    "max": _extreme(np.max),
    "min": _extreme(np.min),
    "variance": _extreme(np.var),
    "standard_deviation": _extreme(np.std),
    "cumulative_sum": lambda node, x: np.cumsum(x, axis=node.params["axis"]),
    "contract": _contract,
    "convolve": _convolve,
    "compare": lambda node, a, b: _RELATIONS[node.params["relation"]](a, b).astype(float),
    "where": _plain(lambda which, yes, no: np.where(which != 0, yes, no)),
    "sort": lambda node, x: (
        np.flip(np.sort(x, axis=node.params["axis"]), node.params["axis"])
        if node.params["descending"]
        else np.sort(x, axis=node.params["axis"])
    ),
    "largest": _largest,
    "norm": _norm,
    "log_sum_exp": lambda node, x: _log_sum_exp(x, node.params["axes"], node.params["keepdims"]),
    "cumulative_log_sum_exp": lambda node, x: np.logaddexp.accumulate(x, axis=node.params["axis"]),
    "log_softmax": lambda node, x: x - _log_sum_exp(x, (node.params["axis"],), True),
    "softmax": lambda node, x: np.exp(x - _log_sum_exp(x, (node.params["axis"],), True)),
    "leaky_relu": lambda node, x: np.where(x > 0, x, node.params["slope"] * x),
    "elu": _elu,
    "softplus": _softplus,
    "squareplus": lambda node, x: (x + np.sqrt(x * x + node.params["b"])) / 2,
    **{
        name: _plain(function)
        for name, function in {
            **{"multiply": np.multiply, "divide": np.divide, "add": np.add, "subtract": np.subtract},
            **{"negate": np.negative, "maximum": np.maximum, "minimum": np.minimum, "power": np.power},
            **{"log_add_exp": np.logaddexp, "prelu": lambda x, slope: np.where(x > 0, x, slope * x)},
            **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "square", "sqrt", "abs")},
            **{name: getattr(np, name) for name in ("sign", "tanh", "sinh", "cosh", "sin", "cos", "tan")},
            **{name: getattr(np, name) for name in ("floor", "ceil", "trunc", "reciprocal")},
            **{"asinh": np.arcsinh, "atan": np.arctan, "round": np.rint, "rsqrt": lambda x: 1 / np.sqrt(x)},
            **{"relu": lambda x: np.maximum(x, 0), "sigmoid": _sigmoid, "erf": _erf, "gelu": _gelu},
            "log_sigmoid": lambda x: -np.logaddexp(0.0, -x),
            "silu": lambda x: x * _sigmoid(x),
            "mish": lambda x: x * np.tanh(np.logaddexp(0.0, x)),
            "selu": lambda x: _SELU[1] * np.where(x > 0, x, _SELU[0] * np.expm1(np.minimum(x, 0))),
            "softsign": lambda x: x / (1 + np.abs(x)),
            "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
            "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
            "sparse_plus": lambda x: np.where(x <= -1, 0.0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
        }.items()
    },
}
