"""The named activations: which there are, and which an input-convex network may not use."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from convex_init_core import checks
from convex_init_core.theory.activation import Activation, ArrayFunction, Bend, FloatArray, custom


def _identity(s: FloatArray) -> FloatArray:
    return s


def _one(s: FloatArray) -> FloatArray:
    return np.ones_like(s)


def _leaky(s: FloatArray, slope: float) -> FloatArray:
    return np.where(s > 0.0, s, slope * s)


def _leaky_derivative(s: FloatArray, slope: float) -> FloatArray:
    return np.where(s > 0.0, 1.0, slope)


def _exponential_left(s: FloatArray, alpha: float, width: float) -> FloatArray:
    return np.where(s > 0.0, s, alpha * np.expm1(np.minimum(s, 0.0) / width))


def _exponential_left_derivative(s: FloatArray, alpha: float, width: float) -> FloatArray:
    return np.where(s > 0.0, 1.0, alpha / width * np.exp(np.minimum(s, 0.0) / width))


def _softplus(s: FloatArray, beta: float, threshold: float) -> FloatArray:
    return np.where(beta * s > threshold, s, np.logaddexp(0.0, beta * s) / beta)


def _softplus_derivative(s: FloatArray, beta: float, threshold: float) -> FloatArray:
    return np.where(beta * s > threshold, 1.0, np.exp(-np.logaddexp(0.0, -beta * s)))


def _squared_softplus(s: FloatArray, beta: float, threshold: float) -> FloatArray:
    return np.square(_softplus(s, beta, threshold))


def _squared_softplus_derivative(s: FloatArray, beta: float, threshold: float) -> FloatArray:
    return 2.0 * _softplus(s, beta, threshold) * _softplus_derivative(s, beta, threshold)


def identity() -> Activation:
    """``φ(s) = s``: no activation between two layers, or the raw input of the first."""
    return Activation("identity", _identity, _one, negative_slope=1.0)


def relu() -> Activation:
    """``φ(s) = max(s, 0)``."""
    return Activation(
        "relu",
        partial(_leaky, slope=0.0),
        partial(_leaky_derivative, slope=0.0),
        bends=(Bend(0.0),),
        negative_slope=0.0,
    )


def leaky_relu(negative_slope: float = 0.01, *, name: str = "leaky_relu") -> Activation:
    """``φ(s) = max(s, αs)`` with α = ``negative_slope`` in [0, 1].

    Raises:
        ValueError: for α < 0 (decreasing on s < 0) or α > 1 (the slope drops at 0: not convex).
    """
    slope = checks.real("negative_slope", negative_slope)
    if slope < 0.0:
        raise ValueError(f"negative_slope must be at least 0, got {slope:g}: {name} would decrease on s < 0")
    if slope > 1.0:
        raise ValueError(f"negative_slope must be at most 1, got {slope:g}: {name} would not be convex at 0")
    return Activation(
        name,
        partial(_leaky, slope=slope),
        partial(_leaky_derivative, slope=slope),
        parameters=(("negative_slope", slope),),
        bends=(Bend(0.0),) if slope < 1.0 else (),
        negative_slope=slope,
    )


def prelu(negative_slope: float = 0.25) -> Activation:
    """Parametric ReLU at the current value of its learnt slope; see :func:`leaky_relu`."""
    return leaky_relu(negative_slope, name="prelu")


def elu(alpha: float = 1.0) -> Activation:
    """``φ(s) = s`` for s > 0, else ``α(exp(s) − 1)``, with α in [0, 1].

    Raises:
        ValueError: for α < 0 (decreasing) or α > 1 (the slope drops from α to 1 at 0: not convex, as in SELU).
    """
    value = checks.non_negative("alpha", alpha)
    if value > 1.0:
        raise ValueError(f"alpha must be at most 1, got {value:g}: elu's slope would drop to 1 at 0, not convex")
    return Activation(
        "elu",
        partial(_exponential_left, alpha=value, width=1.0),
        partial(_exponential_left_derivative, alpha=value, width=1.0),
        parameters=(("alpha", value),),
        bends=(Bend(0.0), Bend(0.0, 1.0)),
    )


def celu(alpha: float = 1.0) -> Activation:
    """``φ(s) = s`` for s > 0, else ``α(exp(s/α) − 1)``, with α > 0; convex for every such α.

    Raises:
        ValueError: for α ≤ 0.
    """
    value = checks.positive("alpha", alpha)
    return Activation(
        "celu",
        partial(_exponential_left, alpha=value, width=value),
        partial(_exponential_left_derivative, alpha=value, width=value),
        parameters=(("alpha", value),),
        bends=(Bend(0.0), Bend(0.0, value)),
    )


def _threshold(value: float) -> float:
    return math.inf if value == math.inf else checks.real("threshold", value)


def _softplus_bends(beta: float, threshold: float) -> tuple[Bend, ...]:
    # Above its threshold the function is replaced by s, a drop of log1p(exp(-threshold))/beta. It breaks convexity
    # unless it is lost in the rounding of a float32 network.
    drop = float(np.logaddexp(0.0, -threshold))
    if drop > float(np.finfo(np.float32).eps) * max(threshold, 1.0):
        raise ValueError(
            f"threshold must be at least 14, got {threshold:g}: softplus would drop by {drop / beta:.2g} at "
            f"s = {threshold / beta:g} and not be convex; frameworks use 20"
        )
    turn = Bend(0.0, 1.0 / beta)
    return (turn, Bend(threshold / beta)) if math.isfinite(threshold) else (turn,)


def softplus(beta: float = 1.0, threshold: float = 20.0) -> Activation:
    """``φ(s) = log(1 + exp(βs))/β`` with β > 0, replaced by ``s`` where ``βs > threshold`` (``inf``: nowhere).

    Raises:
        ValueError: for β ≤ 0, or a threshold so low that the replacement is a visible downward jump (not convex).
    """
    b, t = checks.positive("beta", beta), _threshold(threshold)
    return Activation(
        "softplus",
        partial(_softplus, beta=b, threshold=t),
        partial(_softplus_derivative, beta=b, threshold=t),
        parameters=(("beta", b), ("threshold", t)),
        bends=_softplus_bends(b, t),
    )


def squared_softplus(beta: float = 1.0, threshold: float = 20.0) -> Activation:
    """``φ(s) = softplus(s)²``; parameters and errors as for :func:`softplus`."""
    b, t = checks.positive("beta", beta), _threshold(threshold)
    return Activation(
        "squared_softplus",
        partial(_squared_softplus, beta=b, threshold=t),
        partial(_squared_softplus_derivative, beta=b, threshold=t),
        parameters=(("beta", b), ("threshold", t)),
        bends=_softplus_bends(b, t),
    )


def square() -> Activation:
    """``φ(s) = s²``: convex, but non-decreasing only on s ≥ 0, so refused behind a signed pre-activation."""
    return Activation(
        "square",
        np.square,
        partial(np.multiply, 2.0),
        refusal="square decreases on s < 0, and pre-activations take both signs",
    )


FACTORIES: dict[str, Callable[..., Activation]] = {
    "identity": identity,
    "linear": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "elu": elu,
    "celu": celu,
    "softplus": softplus,
    "squared_softplus": squared_softplus,
    "square": square,
}
"""Usable activations by name."""

NOT_CONVEX: dict[str, str] = {
    "tanh": "it is concave on s > 0",
    "sigmoid": "it is concave on s > 0",
    "gelu": "it decreases below s = −0.75 and is concave beyond |s| = 1.41",
    "silu": "it decreases below s = −1.28 and is concave beyond |s| = 2.40",
    "swish": "it decreases below s = −1.28 and is concave beyond |s| = 2.40",
    "mish": "it decreases below s = −1.19 and is concave on both far sides",
    "selu": "its slope drops from 1.76 to 1.05 at 0",
    "relu6": "its slope drops from 1 to 0 at s = 6",
    "hardtanh": "its slope drops from 1 to 0 at its upper end",
    "hard_tanh": "its slope drops from 1 to 0 at its upper end",
    "hardswish": "it decreases on −3 < s < −1.5, and its slope drops at s = 3",
    "hard_swish": "it decreases on −3 < s < −1.5, and its slope drops at s = 3",
    "hard_silu": "it decreases on −3 < s < −1.5, and its slope drops at s = 3",
    "hardsigmoid": "its slope drops to 0 at its upper end",
    "hard_sigmoid": "its slope drops to 0 at its upper end",
    "logsigmoid": "it is concave",
    "log_sigmoid": "it is concave",
    "softsign": "it is concave on s > 0",
    "tanhshrink": "it is concave on s < 0",
    "softshrink": "its slope drops from 1 to 0 at −λ",
    "hardshrink": "it jumps",
    "threshold": "it jumps",
    "glu": "it multiplies two signals",
    "rrelu": "its slope is redrawn at every call, so it has no fixed moments; use leaky_relu",
}
"""Well-known activations that no hidden layer of an input-convex network may use, each with the reason."""


def as_activation(spec: str | Activation | ArrayFunction, **parameters: float) -> Activation:
    """Turn a name, an :class:`Activation` or a callable on float64 arrays into an :class:`Activation`.

    Args:
        spec: for example ``"leaky_relu"``, ``leaky_relu(0.2)`` or ``np.exp``.
        **parameters: of the named activation, such as ``negative_slope=0.2``; only with a name.

    Raises:
        ValueError: if the name is unknown, the function is not convex and non-decreasing, or a parameter is out of
            range; the message says why.
        TypeError: if ``spec`` is none of the three.

    Example:
        >>> from convex_init_core import as_activation
        >>> str(as_activation("leaky_relu", negative_slope=0.2))
        'leaky_relu(0.2)'
        >>> as_activation("gelu")
        Traceback (most recent call last):
            ...
        ValueError: activation 'gelu' cannot be used in an input-convex network: it decreases below s = ...
    """
    if isinstance(spec, str):
        key = spec.lower()
        if key in NOT_CONVEX:
            raise ValueError(
                f"activation {spec!r} cannot be used in an input-convex network: {NOT_CONVEX[key]}; "
                "use relu, leaky_relu, elu, celu or softplus"
            )
        if key not in FACTORIES:
            raise ValueError(f"activation {spec!r} is unknown; known are {', '.join(FACTORIES)}, or pass a function")
        activation = FACTORIES[key](**parameters)
    elif parameters:
        raise TypeError(f"activation parameters {sorted(parameters)} go with a name, not with {spec!r}")
    elif isinstance(spec, Activation):
        activation = spec
    elif callable(spec):
        activation = custom(spec)
    else:
        raise TypeError(f"activation must be a name, an Activation or a callable, got {spec!r}")
    if activation.refusal:
        raise ValueError(f"activation {activation} cannot be used in an input-convex network: {activation.refusal}")
    return activation
