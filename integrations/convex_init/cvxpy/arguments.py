"""Arguments of minima, conjugates and proximal maps, checked before the model is read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convex_init_core.argument_names import refuse

_READING = ("example_inputs", "convex_inputs", "outputs", "entry")


def reading_of(given: Mapping[str, Any], others: Collection[str]) -> dict[str, Any]:
    """Return how the model is to be read.

    Raises:
        TypeError: if an argument is not known, naming it and the nearest one.
    """
    refuse(given, ["model", *others, *_READING])
    unfit = [name for name in given if name not in _READING]
    if unfit:
        raise TypeError(f"{unfit[0]}= is given twice")
    return dict(given)


def variable_of(x: Any, shape: Any) -> Any:
    """Return what a model is to be minimised over.

    Raises:
        ValueError: if there is none, or two.
        TypeError: if it is not one expression, or the shape no tuple of lengths.
    """
    if (x is None) == (shape is None):
        raise ValueError("minimise needs x=, a variable of cvxpy, or shape=, that of one example: one of the two")
    if x is None:
        lengths = shape if isinstance(shape, (tuple, list)) else (shape,)
        if not all(isinstance(each, (int, np.integer)) and not isinstance(each, bool) and each > 0 for each in lengths):
            raise TypeError(f"shape must be a tuple of positive integers, that of one example, got {shape!r}")
        return cp.Variable(tuple(map(int, lengths)))
    if not isinstance(x, cp.Expression):
        raise TypeError(
            f"x must be one variable or affine expression of cvxpy, got {type(x).__name__}; for several inputs build "
            "the problem from expression(model, [x, y], ...)"
        )
    return x


def conditions_of(constraints: Any, variable: Any) -> list[Any]:
    """Return constraints as a list.

    Raises:
        TypeError: if they are none of cvxpy.
        ValueError: if one is not convex by its rules.
    """
    given = constraints(variable) if callable(constraints) and not _is_one(constraints) else constraints
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(
            f"constraints must be a list of constraints of cvxpy, or a function from the variable to one, got "
            f"{type(given).__name__}" + (": write [constraint]" if _is_one(given) else "")
        )
    for i, each in enumerate(given):
        if not _is_one(each):
            raise TypeError(f"constraints[{i}] must be a constraint of cvxpy, got {each!r}: does it see the variable?")
        if not each.is_dcp():
            raise ValueError(f"constraints[{i}], {each}, is not convex by the rules of cvxpy")
    return list(given)


def _is_one(given: Any) -> bool:
    return isinstance(given, cp.Constraint)


def convex_term(given: Any) -> Any:
    """Return what is added to a model.

    Raises:
        TypeError: if it is neither a number nor an expression of cvxpy.
        ValueError: if it is not one number, or not convex by the rules of cvxpy.
    """
    is_number = isinstance(given, (int, float, np.number)) and not isinstance(given, bool)
    if not (is_number or isinstance(given, cp.Expression)):
        raise TypeError(f"plus must be a convex expression of cvxpy, got {type(given).__name__}")
    made = cp.Constant(given) if is_number else given
    if made.size != 1:
        raise ValueError(f"plus must be one number, got an expression of shape {made.shape}: sum it up")
    if not made.is_convex():
        raise ValueError(f"plus, {made}, is not convex by the rules of cvxpy")
    return made if made.ndim == 0 else cp.sum(made)


def numbers_of(name: str, given: Any) -> NDArray[np.float64]:
    """Return an array of any framework as finite numbers.

    Raises:
        TypeError: if it holds something else.
        ValueError: if some are NaN or infinite.
    """
    tensor = given.detach().cpu() if hasattr(given, "detach") else given
    try:
        found = np.asarray(tensor, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of numbers, got {given!r}") from None
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return found


def positive(name: str, given: Any) -> float:
    """Return a positive number.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not positive.
    """
    if isinstance(given, bool) or not isinstance(given, (int, float, np.number)):
        raise TypeError(f"{name} must be a positive number, got {type(given).__name__}")
    if not (math.isfinite(given) and given > 0.0):
        raise ValueError(f"{name} must be a positive number, got {given!r}")
    return float(given)


def whole(name: str, given: Any, least: int = 1) -> int:
    """Return a whole number that is not too small.

    Raises:
        TypeError: if it is none.
        ValueError: if it is.
    """
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, got {type(given).__name__}")
    if given < least:
        raise ValueError(f"{name} must be at least {least}, got {given}")
    return int(given)
