"""Checks of arguments, shared by all: every message names the argument and says what to pass instead."""

from __future__ import annotations

import math
import numbers
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np


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


def widths(name: str, value: object, least: int = 1) -> list[int]:
    """Return the widths of at least one layer as ints; one number is one layer."""
    if isinstance(value, numbers.Integral):
        return [whole(name, value, least)]
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a list of whole numbers, one for each layer, got {value!r}")
    found = [whole(f"{name}[{i}]", width, least) for i, width in enumerate(value)]
    if not found:
        raise ValueError(f"{name} is empty: name at least one width; without a hidden layer the network is affine")
    return found


def example(name: str, size: int, is_finite: bool) -> None:
    """Refuse an example input on which nothing can be measured."""
    if size == 0:
        raise ValueError(f"example_inputs: input {name!r} is empty; pass a sample of real data")
    if not is_finite:
        raise ValueError(f"example_inputs: input {name!r} holds NaN or infinite values; pass a sample of real data")


def scalar_loss(loss: object) -> Callable[[Any], Any] | None:
    """Return a loss that refuses to be anything but one number, as an array of shape ``()``."""
    if loss is None:
        return None
    if not callable(loss):
        raise TypeError(f"loss must be a function of what the model returns, got {loss!r}")

    def checked(result: Any) -> Any:
        total = loss(result)
        shape = getattr(total, "shape", None)
        if shape is None or math.prod(shape) != 1:
            got = type(total).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(f"loss must return one number, as an array, got {got}; take its mean, say")
        return total.reshape(()) if len(shape) and hasattr(total, "reshape") else total

    return checked


def names(name: str, value: object) -> list[str]:
    """Return names as a list; one name is one."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, Iterable) or isinstance(given, Mapping) or hasattr(given, "__array__"):
        raise TypeError(f"{name} must be a name or a list of names, got {value!r}")
    found = list(given)
    if strangers := [one for one in found if not isinstance(one, str)]:
        raise TypeError(f"{name} must hold names, got {strangers[0]!r} among them")
    if not found:
        raise ValueError(f"{name} is empty: name at least one, or leave it out for all of them")
    return found


def seed(value: object) -> int | None:
    """Return a seed as an int, NumPy's integers included, or ``None``."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"seed must be an integer or None, got {value!r}")
    return int(value)


def truth(name: str, value: object) -> bool:
    """Return ``value`` as a bool, which NumPy's may be, too: ``"yes"`` and 1 are mistakes."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def truth_or_none(name: str, value: object) -> bool | None:
    """Return ``value`` as a bool, or ``None``."""
    if not (value is None or isinstance(value, bool | np.bool_)):
        raise TypeError(f"{name} must be True, False or None, got {value!r}")
    return None if value is None else bool(value)


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
