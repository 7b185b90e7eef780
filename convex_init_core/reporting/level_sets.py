"""Move through the inputs of a convex function while its value stays what it is: for any framework, over its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convex_init_core import checks

_HALVINGS = 60  # of a segment: more than the digits of a double
_ROUNDS = 400  # of the search for a minimiser
_STEPS_A_ROUND = 4
_GROWTH, _SHRINKAGE = 2.0, 0.5  # of its steps after a round that found a lower point, and after one that did not
_SHORTEST, _LONGEST = 1e-9, 64.0  # steps of that search, relative to its first one
_FINE = 1e-6  # share of a step to which the end of a flat region is found

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LevelSetPath:
    """Points on the level sets through the starts, from ``level_set_path``, as arrays of the framework.

    Attributes:
        points: ``[steps + 1, batch, ...]``; the first are the starts.
        values: the output at the points, ``[steps + 1, batch]``.
        level: the output at the starts, ``[batch]``.
        minimiser: the lowest points that were found, ``[batch, ...]``; they need not be minima, if there is none or it
            is far away.
        minimum: the output there, ``[batch]``.
        at_minimum: whether nothing lower than a start was found, beyond the tolerance, ``[batch]``.
    """

    points: Any
    values: Any
    level: Any
    minimiser: Any
    minimum: Any
    at_minimum: Any

    @property
    def deviation(self) -> float:
        """Largest distance of an output along the paths from its level."""
        return float(abs(self.values - self.level).max())

    def converted(self, converted: Callable[[NDArray[Any]], Any]) -> LevelSetPath:
        """Return it with arrays of another kind."""
        return replace(self, **{name: converted(array) for name, array in vars(self).items()})


class Function(Protocol):
    """A convex function ``[batch, ...] -> [batch]`` of NumPy arrays, each sample by itself."""

    def value(self, x: Array) -> Array:
        """Return the value at each sample."""

    def gradient(self, x: Array) -> Array:
        """Return a subgradient at each sample, of the shape of ``x``."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose of a path.

    Attributes:
        output: which of several outputs; ``None`` if there is one.
        steps: at least 1.
        tolerance: above 0.
        assume_convex: whether to take the function as convex without a certificate.
    """

    output: int | None = None
    steps: int = 50
    tolerance: float = 1e-4
    assume_convex: bool = False

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: if a number is out of range.
            TypeError: if one is of another type.
        """
        checks.whole("steps", self.steps)
        checks.positive("tolerance", self.tolerance)
        checks.truth("assume_convex", self.assume_convex)
        if self.output is not None:
            checks.whole("output", self.output, -(2**31))


def one_output(outputs: Any, output: int | None, count: int) -> Any:
    """Return one number for each of ``count`` samples, of what a model returns.

    Raises:
        ValueError: if there is no such output, or several and none is chosen.
    """
    if outputs.ndim == 2 and outputs.shape[1] == 1 and output is None:
        outputs = outputs[:, 0]
    if outputs.ndim == 2 and output is not None:
        if not -outputs.shape[1] <= output < outputs.shape[1]:
            raise ValueError(f"output {output} does not exist; the model has {outputs.shape[1]}")
        outputs = outputs[:, output]
    if tuple(outputs.shape) != (count,):
        raise ValueError(
            f"the model returns shape {tuple(outputs.shape)} for {count} inputs; one number for each is needed, "
            "or output=i to choose one of several"
        )
    return outputs


def refuse_uncertified(certificate: Any) -> None:
    """Refuse a model that is not known to be convex.

    Raises:
        ValueError: with what its certificate says.
    """
    if not certificate:
        raise ValueError(
            f"model could not be certified as convex ({certificate}); if you know that the output is, pass "
            "assume_convex=True"
        )


def checked_start(start: NDArray[Any], dtype: Any, *, is_floating: bool) -> Array:
    """Return the starts as numbers in double precision, which the framework has in ``dtype``.

    Raises:
        ValueError: if they are no batch of finite floating-point numbers.
    """
    if start.ndim < 2 or not is_floating or not start.shape[0]:
        raise ValueError(
            f"start must be a floating-point batch [batch, ...], got {dtype} of shape {start.shape}; for one input "
            "pass start[None]"
        )
    return _finite("start", start)


def _finite(name: str, array: Any) -> Array:
    numbers = np.asarray(array)
    if numbers.dtype.kind == "c" or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must hold finite real numbers")
    return numbers.astype(np.float64)


def _like(array: Any, start: Array, name: str) -> Array:
    numbers = _finite(name, array)
    try:
        return np.broadcast_to(numbers, start.shape)
    except ValueError:
        raise ValueError(
            f"{name} has shape {numbers.shape}, which does not broadcast to start's {start.shape}"
        ) from None


def level_set_path(f: Function, start: Array, target: Any, minimiser: Any, settings: Settings) -> LevelSetPath:
    r"""Move from ``start`` towards ``target`` on the set of inputs for which ``f`` is as at start.

    Every step goes an equal share of the remaining way, :math:`y = x + (t - x)/k`, and back to the level set on the
    line between y and a minimiser m, where a convex function grows away from m (Nesterov et al., 2022). If y lies
    below the level, the step is first made orthogonal to a subgradient g at x: since
    :math:`f(y) \geq f(x) + g^\top (y - x)`, it then ends on the level or above, and the way back exists.

    Args:
        f: the function.
        start: from :func:`checked_start`.
        target: of the same shape, or one that broadcasts to it.
        minimiser: points below the level; searched for if ``None``.
        settings: of the user.

    Raises:
        ValueError: if target or minimiser do not fit.
        RuntimeError: if the value cannot be kept within the tolerance; with the remedy.
    """
    target, tolerance = _like(target, start, "target"), settings.tolerance
    given = None if minimiser is None else _like(minimiser, start, "minimiser")
    level = f.value(start)
    if given is None:
        lowest, minimum = _descend(f, start, _size(target - start))
    else:
        lowest, minimum = given, f.value(given)
        if (minimum > level + tolerance).any():
            raise ValueError("minimiser lies above the level of its start; leave it out, and it is searched for")
    # Without a point below, the set itself is all there is to stand on: its points are looked for from the start.
    at_minimum = minimum >= level - tolerance
    lowest = np.where(_wide(at_minimum, start), start, lowest)
    minimum = np.where(at_minimum, level, minimum)
    points = [start]
    for left in range(settings.steps, 0, -1):
        points.append(_step(f, points[-1], (target - points[-1]) / left, level, lowest, at_minimum, tolerance))
    values = np.stack([f.value(x) for x in points])
    found = LevelSetPath(np.stack(points), values, level, lowest, minimum, at_minimum)
    if not found.deviation <= tolerance:
        raise RuntimeError(
            f"the output left its level by {found.deviation:.3g}, more than tolerance {tolerance:g}: use a model and "
            "inputs in double precision, or a larger tolerance"
        )
    return found


def _size(x: Array) -> Array:
    sizes: Array = np.sqrt(np.square(x).reshape(len(x), -1).sum(1))
    return sizes


def _wide(values: NDArray[Any], like: Array) -> NDArray[Any]:
    """Give ``[batch]`` the number of dimensions of ``like``."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _descend(f: Function, start: Array, scale: Array) -> tuple[Array, Array]:
    """Look for a minimiser by subgradient steps of one length from the best point; the length adapts, per sample.

    A round without a lower point halves the length: that converges for kinks, where a line search gets stuck, as for
    smooth functions. If there is no minimum, the length doubles; it ends when the steps are long, since any point far
    below will do.
    """
    best, lowest = start, f.value(start)
    length = np.where(scale > 0.0, scale, 1.0)
    shortest, longest = _SHORTEST * length, _LONGEST * length
    for _ in range(_ROUNDS):
        searching = (length > shortest) & (length < longest)
        if not searching.any():
            break
        x, before = best, lowest
        for _ in range(_STEPS_A_ROUND):
            gradient = f.gradient(x)
            size = _size(gradient)
            x = x - _wide(np.divide(length, size, out=np.zeros_like(length), where=size > 0.0), x) * gradient
            value = f.value(x)
            lower = (value < lowest) & searching  # false for NaN
            best, lowest = np.where(_wide(lower, x), x, best), np.where(lower, value, lowest)
        length = np.where(searching, length * np.where(lowest < before, _GROWTH, _SHRINKAGE), length)
    return best, lowest


def _step(
    f: Function,
    x: Array,
    way: Array,
    level: Array,
    lowest: Array,
    at_minimum: NDArray[np.bool_],
    tolerance: float,
) -> Array:
    """One step along ``way``, and back to the level."""
    gradient = f.gradient(x)
    flat = gradient.reshape(len(x), -1)
    # Orthogonal to the subgradient; where it is 0, x is a minimum and every way is.
    share = (flat * way.reshape(len(x), -1)).sum(1) / np.maximum(np.square(flat).sum(1), np.finfo(np.float64).tiny)
    along = x + way - _wide(share, x) * gradient
    below = (f.value(x + way) < level) & ~at_minimum
    there = np.where(_wide(below, x), along, x + way)
    # At a minimum the point itself, otherwise a point below the level: the level is crossed between it and `there`.
    inner = np.where(_wide(at_minimum, x), x, lowest)
    return _cross(f, inner, there, level, at_minimum, tolerance)


def _cross(
    f: Function, inner: Array, outer: Array, level: Array, at_minimum: NDArray[np.bool_], tolerance: float
) -> Array:
    """Halve the segments from ``inner`` to ``outer`` until their points are on the level.

    At a minimum that is the farthest point still on it, and else the one place where the growing function crosses it.
    """
    far, near = np.zeros_like(level), np.ones_like(level)  # shares of the way from `outer` to `inner`

    def gap(share: Array) -> Array:
        # From `outer`, which is near the path: `inner` may be so far that its digits would be missed there.
        difference = f.value(outer + _wide(share, outer) * (inner - outer)) - level
        # At a minimum, half the tolerance above the level counts as on it.
        return np.where(at_minimum, np.maximum(difference - 0.5 * tolerance, 0.0), difference)

    found, smallest = far, gap(far)
    done = np.abs(smallest) <= 0.1 * tolerance
    for _ in range(_HALVINGS):
        if done.all():
            break
        middle = 0.5 * (far + near)
        difference = gap(middle)
        above = difference > 0.0
        far, near = np.where(above & ~done, middle, far), np.where(above | done, near, middle)
        better = ~done & np.where(at_minimum, ~above, np.abs(difference) < np.abs(smallest))
        found, smallest = np.where(better, middle, found), np.where(better, difference, smallest)
        done = done | np.where(at_minimum, near - far < _FINE, np.abs(smallest) <= 0.1 * tolerance)
    # At a minimum, where no share of the way was on the level, the point itself is.
    found = np.where(at_minimum & (smallest > 0.0), 1.0, found)
    return outer + _wide(found, outer) * (inner - outer)
