"""Argument checks shared by the core: every message names the argument and says what to pass instead."""

from __future__ import annotations

import math
import numbers
import sys
import warnings


def real(name: str, value: object) -> float:
    """Return ``value`` as a finite float, or raise naming the argument."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r} of type {type(value).__name__}")
    result = float(value)
    if not math.isfinite(result):
        raise ValueError(f"{name} must be finite, got {result}")
    return result


def positive(name: str, value: object) -> float:
    """Return ``value`` as a float above 0."""
    result = real(name, value)
    if result <= 0.0:
        raise ValueError(f"{name} must be greater than 0, got {result:g}")
    return result


def non_negative(name: str, value: object) -> float:
    """Return ``value`` as a float of at least 0."""
    result = real(name, value)
    if result < 0.0:
        raise ValueError(f"{name} must be at least 0, got {result:g}")
    return result


def threshold(value: object) -> float:
    """Return where the bends of a chain arrive, in standard deviations of the signal."""
    result = non_negative("threshold", value)
    if result > 5.0:
        raise ValueError(
            f"threshold must be at most 5 standard deviations of the signal, got {result:g}: beyond, less than one "
            "unit of 3 million is on; 0.5 leaves 31 % of them on"
        )
    return result


def fan(name: str, value: object) -> float:
    """Return a fan (a number of summed inputs or outputs) as a float of at least 1.

    Fans are whole numbers except for transposed convolutions, where they are an average over positions.
    """
    result = real(name, value)
    if result < 1.0:
        raise ValueError(f"{name} must be at least 1, got {result:g}: count the inputs that one output sums")
    return result


def whole(name: str, value: object, least: int = 1) -> int:
    """Return ``value`` as an int of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r} of type {type(value).__name__}")
    result = int(value)
    if result < least:
        raise ValueError(f"{name} must be at least {least}, got {result}")
    return result


def target_correlation(value: object) -> float:
    """Return a target correlation of the fixed point, strictly between 0 and 1."""
    result = real("correlation", value)
    if not 0.0 < result < 1.0:
        raise ValueError(
            f"correlation must lie strictly between 0 and 1, got {result:g}: 0 forces the weight mean to 0 "
            "(all weights would be 0), 1 makes all features equal; the paper uses 0.5"
        )
    return result


def signal_correlation(value: object) -> float:
    """Return the correlation of a signal, in [-1, 1]."""
    result = real("correlation", value)
    if not -1.0 <= result <= 1.0:
        raise ValueError(f"correlation must lie in [-1, 1], got {result:g}")
    return result


def share(name: str, value: object) -> float:
    """Return a share of the variance budget, in [0, 1)."""
    result = real(name, value)
    if not 0.0 <= result < 1.0:
        raise ValueError(
            f"{name} must lie in [0, 1), got {result:g}: it is the share of the variance that the features "
            "do not have in common, and the weights need some of it"
        )
    return result


def warn_caller(message: str) -> None:
    """Warn in the name of whoever called the library."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("convex_init"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
