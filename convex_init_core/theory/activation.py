"""What an activation function is, as data, and what is checked of one that a user brings.

An input-convex network needs activations that are convex and non-decreasing. Each :class:`Activation` carries its
value, its derivative, where it bends (for the quadrature) and, if it may not be used, the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convex_init_core import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

FloatArray: TypeAlias = "NDArray[np.float64]"
ArrayFunction: TypeAlias = "Callable[[FloatArray], FloatArray]"


@dataclass(frozen=True)
class Bend:
    """A place where an activation turns: at ``location``, over a length of about ``width`` (0 for a kink)."""

    location: float
    width: float = 0.0


@dataclass(frozen=True)
class Activation:
    """An element-wise activation function.

    Attributes:
        name: the field's name, such as ``"leaky_relu"``.
        parameters: its parameters as (name, value) pairs; two activations are equal if name and parameters are.
        function: maps a float64 array to an array of the same shape.
        derivative: the same for the first derivative (at a kink, either one-sided value).
        bends: kinks and smooth turns, in units of the argument; the quadrature is split there.
        negative_slope: α if the function is ``max(s, αs)``, which has closed-form moments; otherwise ``None``.
        refusal: why the function cannot be used in an input-convex network; empty if it can.
    """

    name: str
    function: ArrayFunction = field(compare=False, repr=False)
    derivative: ArrayFunction = field(compare=False, repr=False)
    parameters: tuple[tuple[str, Any], ...] = ()
    bends: tuple[Bend, ...] = ()
    negative_slope: float | None = None
    refusal: str = ""

    def __call__(self, s: FloatArray) -> FloatArray:
        """Evaluate the function on a float64 array."""
        return self.function(s)

    def __str__(self) -> str:
        """Return the name with its parameters, such as ``leaky_relu(0.2)``."""
        shown = ", ".join(f"{value:g}" for _, value in self.parameters if isinstance(value, (int, float)))
        return f"{self.name}({shown})" if shown else self.name

    @property
    def kinks(self) -> tuple[float, ...]:
        """The points at which the function has no derivative."""
        return tuple(bend.location for bend in self.bends if bend.width == 0.0)


def custom(
    function: ArrayFunction,
    *,
    derivative: ArrayFunction | None = None,
    bends: tuple[Bend | float, ...] = (),
    name: str | None = None,
) -> Activation:
    """Wrap any element-wise function; convexity and monotonicity are checked on a grid over [−30, 30].

    Args:
        function: maps a float64 array to an array of the same shape.
        derivative: its derivative; by default a seventh-order finite difference (relative error about 1e-11).
        bends: where it has kinks (plain numbers) or turns sharply (:class:`Bend`); a missing kink costs accuracy,
            which :mod:`convex_init_core.theory.moments` notices and reports.
        name: shown in messages; the function's own name by default.

    Raises:
        ValueError: if the function is not finite, not element-wise, not convex or not non-decreasing on the grid.

    Example:
        >>> import numpy as np
        >>> from convex_init_core import custom, solve
        >>> hinge = custom(lambda s: np.maximum(s - 1.0, 0.0), bends=(1.0,), name="hinge")
        >>> round(solve(100, hinge).bias_mean, 3)
        -0.4
    """
    label = name or str(getattr(function, "__name__", type(function).__name__))
    turns = tuple(bend if isinstance(bend, Bend) else Bend(checks.real("bends", bend)) for bend in bends)
    falls = shape_on_grid(function, label)
    if falls is not None:
        raise ValueError(f"activation {label!r} is not non-decreasing: it falls near s = {falls:g}")
    kinks = tuple(turn.location for turn in turns if turn.width == 0.0)
    return Activation(
        label,
        function,
        derivative or _derivative_by_values(function, kinks),
        parameters=(("function", function),),
        bends=turns,
    )


def _derivative_by_values(function: ArrayFunction, kinks: tuple[float, ...]) -> ArrayFunction:
    from convex_init_core.theory.numerical_derivative import (
        numerical_derivative,  # only functions without a derivative need it
    )

    return partial(numerical_derivative, function, kinks=kinks)


def shape_on_grid(function: ArrayFunction, label: str = "put together") -> float | None:
    """Check that a function is element-wise, finite and convex on a grid over [−30, 30].

    Args:
        function: maps a float64 array to an array of the same shape.
        label: its name, for messages.

    Returns:
        A place where it falls; ``None`` if it is non-decreasing.

    Raises:
        ValueError: if it is not, with the place.
    """
    grid = np.linspace(-30.0, 30.0, 6001)
    values = np.asarray(function(grid), dtype=np.float64)
    if values.shape != grid.shape:
        raise ValueError(
            f"activation {label!r} is not element-wise: an input of shape {grid.shape} gave {values.shape}; "
            "pass a function that maps each number by itself"
        )
    if not np.all(np.isfinite(values)):
        where = float(grid[~np.isfinite(values)][0])
        raise ValueError(f"activation {label!r} is not finite at s = {where:g}")
    # A part of the grid, thinned and backwards: a function that looks around, or draws numbers, gives itself away.
    part = slice(5000, 1000, -2)
    again = np.asarray(function(grid[part]), dtype=np.float64)
    if not np.allclose(again, values[part], rtol=1e-9, atol=1e-12):
        where = float(grid[part][np.argmax(np.abs(again - values[part]))])
        raise ValueError(
            f"activation {label!r} is not element-wise: its value at s = {where:g} depends on the numbers beside it, "
            "or changes from call to call; pass a function that maps each number by itself"
        )
    slack = 1e-9 * np.maximum(1.0, np.abs(values))
    first, second = np.diff(values) / slack[1:], np.diff(values, 2) / slack[1:-1]
    if second.min() < -1.0:
        where = float(grid[1:-1][np.argmin(second)])
        raise ValueError(f"activation {label!r} is not convex: it bends downwards near s = {where:g}")
    return float(grid[:-1][np.argmin(first)]) if first.min() < -1.0 else None
