"""A positivity map that has no name: any monotone function of one raw number, inverted numerically."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convex_init_core.graph.function_of_one import FunctionOfOne
from convex_init_core.weights.positivity import Positivity

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST_STEP = 0.5  # over which a map may stand still by rounding alone
_ROUNDS = 60
_SMALL = 1e-6  # of a map's middle value: what reaches down to it on [−30, 30] falls off fast enough
_FARTHEST = 1000.0  # beyond, differences of large numbers in single precision leave nothing of a small weight
_TO_HOST = ("detach", "cpu", "double")  # what arrays offer that NumPy cannot read as they are


@dataclass(frozen=True)
class NumericalMap(Positivity):
    """``w = scale · f(slope · raw + offset)`` for a function f that is only known by its values on [−30, 30].

    f has to be non-negative and monotone there, or even and monotone on s ≥ 0; it may stand still at its smallest and
    largest values. One that falls off slowly is looked at as far as ±1000. A weight beyond the values of f gets the raw
    number at the end. The inverse is computed in NumPy and handed back in the framework's arrays.

    Attributes:
        function: f.
    """

    function: FunctionOfOne = field(kw_only=True)
    name: ClassVar[str] = "numerical"

    def __post_init__(self) -> None:
        """Check the function.

        Raises:
            ValueError: if it is not monotone, takes negative values, or has none, with the place.
        """
        super().__post_init__()
        _ = self._table

    def _shown(self) -> str:
        return self.function.label

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest weight that a raw number on the grid gives."""
        _, values = self._table
        return self.scale * float(values[0]), self.scale * float(values[-1])

    @cached_property
    def _table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Raw numbers, and the map's values there, which rise from one to the next."""
        grid, values = self.function.on_grid
        try:
            table = _rising_part(*_finite_part(grid, values))
        except ValueError as error:
            raise ValueError(f"its weight goes through {self._shown()}, which {error}") from None
        if table[1][0] <= _SMALL * table[1][len(table[1]) // 2]:
            return table
        outside = grid[-1] * np.geomspace(1.0, _FARTHEST / grid[-1], 201)[1:]
        wide = np.concatenate((-outside[::-1], grid, outside))
        try:  # it falls off slowly, like 1/s
            return _rising_part(*_finite_part(wide, self.function(wide)))
        except ValueError:
            return table

    def _value(self, raw: Any, xp: Any) -> Any:
        return _through_numpy(self.function, raw, xp)

    def _inverse(self, weight: Any, xp: Any) -> Any:
        return _through_numpy(self._solve, weight, xp)

    def _derivative(self, raw: Any, xp: Any) -> Any:
        return _through_numpy(self._slope_at, raw, xp)

    def _slope_at(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        step = 1e-6 * np.maximum(1.0, np.abs(raw))
        found: NDArray[np.float64] = (self.function(raw + step) - self.function(raw - step)) / (2.0 * step)
        return found

    def _solve(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look up the table and refine between two of its entries, by false position that halves what stands still."""
        raws, values = self._table
        wanted = np.clip(weight.ravel(), values[0], values[-1])
        above = np.clip(np.searchsorted(values, wanted), 1, len(values) - 1)
        left, right = raws[above - 1], raws[above]
        below_by, above_by = values[above - 1] - wanted, values[above] - wanted
        best, off = np.where(-below_by < above_by, left, right), np.minimum(-below_by, above_by)
        for _ in range(_ROUNDS):
            if not np.any(off > 1e-13 * wanted):
                break
            gap = above_by - below_by
            share = np.divide(-below_by, gap, out=np.full_like(gap, 0.5), where=gap > 0.0)
            trial = left + np.clip(share, 0.0, 1.0) * (right - left)
            error = self.function(trial) - wanted
            is_better = np.abs(error) < off
            best, off = np.where(is_better, trial, best), np.where(is_better, np.abs(error), off)
            is_low = error < 0.0
            # Where one end stays, its distance counts half the next time.
            above_by = np.where(is_low, 0.5 * above_by, error)
            below_by = np.where(is_low, error, 0.5 * below_by)
            left, right = np.where(is_low, trial, left), np.where(is_low, right, trial)
        return best.reshape(weight.shape)


def _finite_part(
    grid: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The longest stretch on which a function is finite."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], np.isfinite(values), [False]))))
    starts, stops = edges[::2], edges[1::2]
    if len(starts) == 0:
        raise ValueError("is finite nowhere")
    longest = int(np.argmax(stops - starts))
    stretch = slice(int(starts[longest]), int(stops[longest]))
    return grid[stretch], values[stretch]


def _rising_part(
    raws: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The part of a function on which it takes each of its values once, in the order of the values."""
    if values.min() < -1e-12:
        where = float(raws[np.argmin(values)])
        raise ValueError(f"gives {values.min():.3g} at {where:g}, so it does not keep it non-negative")
    falls, rises = _turn(values), _turn(-values)
    if falls is not None and rises is not None:
        at_zero = int(np.searchsorted(raws, 0.0))
        is_even = abs(raws[0] + raws[-1]) < 1e-9 and np.allclose(values, values[::-1], rtol=1e-9, atol=1e-12)
        if not is_even or _turn(values[at_zero:]) is not None:
            raise ValueError(
                f"is not monotone: it rises near {raws[rises]:g} and falls near "
                f"{raws[falls]:g}, so a weight has no one raw number"
            )
        raws, values = raws[at_zero:], values[at_zero:]
    elif falls is not None:
        raws, values = raws[::-1], values[::-1]
    values = np.maximum.accumulate(values)
    first = np.flatnonzero(np.diff(np.concatenate(([-np.inf], values))) > 0.0)  # of each value
    if len(first) < 2:
        raise ValueError(f"is {values[0]:g} everywhere")
    last = np.concatenate((first[1:] - 1, [len(values) - 1]))
    stands = np.abs(raws[last] - raws[first])
    is_an_end = (values[first] <= values[0] + 1e-12) | (values[first] >= (1.0 - 1e-9) * values[-1])
    inside = (stands > _LONGEST_STEP) & ~is_an_end
    if np.any(inside):
        where = float(raws[first[np.argmax(inside)]])
        raise ValueError(f"stands still from {where:g} on and rises again, so it cannot be trained across")
    # Of the smallest value the last raw number, next to which the map can be trained.
    chosen = np.where(np.arange(len(first)) == 0, last, first)
    return raws[chosen], values[first]


def _turn(values: NDArray[np.float64]) -> int | None:
    """Where values that should not fall do so by more than rounding."""
    drops = -np.diff(values) - 1e-12 - 1e-9 * np.abs(values[1:])
    return int(np.argmax(drops)) if drops.max() > 0.0 else None


def _through_numpy(function: Any, values: Any, xp: Any) -> Any:
    """Apply a function of NumPy arrays to arrays of any kind, and return it as one of the same kind."""
    if xp is np:
        return function(np.asarray(values, dtype=np.float64))
    host = values
    for step in _TO_HOST:
        host = getattr(host, step)() if hasattr(host, step) else host
    array = np.asarray(host)
    made = function(array.astype(np.float64))
    if not hasattr(xp, "asarray"):
        kind = getattr(values.dtype, "name", str(values.dtype)).rpartition(".")[2]
        return xp.convert_to_tensor(made, dtype=kind)
    device = {"device": values.device} if hasattr(values, "device") else {}
    return xp.asarray(made, dtype=values.dtype, **device)
