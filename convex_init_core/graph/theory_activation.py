"""Which activation of the theory an operation is, from its parameters."""

from __future__ import annotations

from collections.abc import Callable

from convex_init_core.theory import activations
from convex_init_core.theory.activation import Activation

_ROUNDING = 1e-6  # of α · (1/α), which some frameworks compute in float32


def _relu() -> Activation | None:
    return activations.relu()


def _leaky_relu(slope: float) -> Activation | None:
    return _valid(lambda: activations.identity() if slope == 1.0 else activations.leaky_relu(slope))


def _elu(alpha: float, scale: float, input_scale: float) -> Activation | None:
    if scale != 1.0:
        return None
    if input_scale == 1.0:
        return _valid(lambda: activations.elu(alpha))
    return _valid(lambda: activations.celu(alpha)) if abs(alpha * input_scale - 1.0) < _ROUNDING else None


def _softplus(beta: float, threshold: float) -> Activation | None:
    return _valid(lambda: activations.softplus(beta, threshold))


def _threshold(at: float, value: float) -> Activation | None:
    return activations.relu() if at == value == 0.0 else None


def _square() -> Activation | None:
    return activations.square()


def _valid(make: Callable[[], Activation]) -> Activation | None:
    try:
        return make()
    except ValueError:  # parameters for which it is not convex
        return None


ACTIVATIONS: dict[str, Callable[..., Activation | None]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "softplus": _softplus,
    "threshold": _threshold,
    "square": _square,
}
"""By operation; the arguments are its parameters. ``None`` where the theory has no name for the function."""
