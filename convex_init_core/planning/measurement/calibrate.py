"""Measure sums on the example inputs, and set the scale of their weights and their shifts by what was found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from convex_init_core.planning.measurement.few import ENOUGH, of_few
from convex_init_core.planning.measurement.kinks import Spread, spread
from convex_init_core.planning.measurement.to_measure import Measured, Measurement, Normalised
from convex_init_core.planning.outputs.level import Level
from convex_init_core.planning.refusals import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Node

_CLOSE = 1e-3  # what is this close to its target is left alone, so that a second calibration changes nothing
_LIMIT = 1e4  # largest scale
_REACHED = 0.02  # by so much may the variance of an output be off, of what was measured; half precision rounds


Numbers: TypeAlias = "float | NDArray[np.float64]"


@dataclass(frozen=True, eq=False)
class Correction:
    """What makes the numbers of one sum right.

    Attributes:
        scale: of the part that its weights make; 1 to leave it. One number, or one for each unit.
        shift: what all biases together are to add; likewise.
        before: what they add now.
        values: of the corrected sum.
    """

    scale: Numbers
    shift: Numbers
    before: float
    values: NDArray[np.float64]


def calibrate(framework: Framework, measured: Sequence[Measurement]) -> None:
    """Scale and shift each sum in the order of the signal, so that it has its mean and variance on the inputs.

    The mean is 0, or what is wanted of an output; that of a residual identity is kept. The model runs once, each
    corrected sum taking the place of the one that was measured; anew only behind a sum whose weights or biases are used
    elsewhere, too. Nothing is drawn, and a second call changes nothing.

    Args:
        framework: of the model; undoing what was written if this fails is the caller's.
        measured: what is measured.

    Raises:
        ValueError: if a sum is not finite, or an output cannot have what is wanted of it.
    """
    for part in _passes(measured):
        _Pass(framework, part).run()


def _passes(measured: Sequence[Measurement]) -> Iterator[list[Measurement]]:
    """Split what is measured into parts that one run is enough for."""
    part: list[Measurement] = []
    for found in measured:
        part.append(found)
        if isinstance(found, Measured) and found.is_last:
            yield part
            part = []
    if part:
        yield part


class _Pass:
    """One run of the model."""

    def __init__(self, framework: Framework, measured: Sequence[Measurement]) -> None:
        self.framework = framework
        self.at: dict[Node, list[Measurement]] = {}
        self.waiting: dict[Node, int] = {}  # how many sums a present value is still needed for
        self.values: dict[Node, NDArray[np.float64]] = {}
        for found in measured:
            self.at.setdefault(found.root, []).append(found)
            for node in _running(found):
                self.waiting[node] = self.waiting.get(node, 0) + 1

    def run(self) -> None:
        self.framework.run(list(dict.fromkeys((*self.waiting, *self.at))), self._visit)

    def _visit(self, node: Node, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
        corrected = None
        for found in self.at.get(node, ()):
            if isinstance(found, Normalised):
                self._set_statistics(found, values)
            elif isinstance(found, Spread):
                if not np.isfinite(values).all():
                    raise ValueError(f"{found}: the sum is not finite on example_inputs; nothing was written")
                corrected = spread(self.framework, found, values)
            elif isinstance(found, Level):
                self._set_level(found, values)
            else:
                corrected = self._sum(found, values)
        if node in self.waiting:
            self.values[node] = values if corrected is None else corrected
        return corrected

    def _set_statistics(self, found: Normalised, values: NDArray[np.float64]) -> None:
        rows = np.moveaxis(values, found.axis, -1).reshape(-1, values.shape[found.axis])
        if len(rows) >= ENOUGH:
            self.framework.set_statistics(found.mean, rows.mean(axis=0))
            self.framework.set_statistics(found.variance, rows.var(axis=0, ddof=1))

    def _set_level(self, found: Level, values: NDArray[np.float64]) -> None:
        if not np.isfinite(values).all():
            raise ValueError(
                f"{', '.join(map(shown, found.paths))}: the output is not finite on example_inputs; nothing was written"
            )
        off = found.mean - float(values.mean())
        if abs(off) > _CLOSE * max(float(values.std()), abs(found.mean)):
            name, factor = found.bias
            self.framework.shift(name, off / factor)

    def _sum(self, found: Measured, total: NDArray[np.float64]) -> NDArray[np.float64] | None:
        fixed, kept = self._present(found, total)
        if not np.isfinite(total).all():
            raise ValueError(
                f"{', '.join(map(shown, found.paths))}: the sum is not finite on example_inputs; nothing was written"
            )
        if _is_close(found, total, kept):
            return None
        before = sum(factor * self.framework.mean(name) for name, factor in found.biases)
        made = _corrected(found, total, fixed, before, kept)
        for weight in found.weights if np.any(made.scale != 1.0) else ():
            scale = made.scale**weight.power
            if not isinstance(scale, float):
                scale = _shaped(scale, weight.rows, weight.name, found)
            self.framework.scale(weight.name, scale, weight.positivity)
        if found.bias is not None and np.any(made.shift != made.before):
            name, factor = found.bias
            amount = (made.shift - made.before) / factor
            if not isinstance(amount, float):
                amount = _shaped(amount, self.framework.parameter(name).shape, name, found)
            self.framework.shift(name, amount)
        return made.values

    def _present(self, found: Measured, total: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """What is added as it is, and the part of its mean that stays."""
        fixed, kept = np.zeros_like(total), 0.0
        for node, factor, stays in found.present:
            if node.constant is not None:
                value = self.framework.numbers(node.constant)
            else:
                seen, bias = found.seen_at(node)
                value = self.values.get(seen)
                self.waiting[seen] -= 1
                if not self.waiting[seen]:
                    self.values.pop(seen, None)
                if value is not None and bias:
                    value = value - self.framework.mean(bias)
            shaped = None if value is None else _like(value, total)
            if value is not None and shaped is not None:
                fixed = fixed + factor * shaped
                kept += factor * float(value.mean()) if stays else 0.0
        return fixed, kept


def _running(found: Measurement) -> Iterator[Node]:
    """The values that the run has to show beside the sum itself."""
    if isinstance(found, Measured):
        yield from (found.seen_at(node)[0] for node, _, _ in found.present if node.constant is None)


def _like(value: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """A value in the shape of the sum; ``None`` if it does not fit."""
    if value.size == total.size:
        return value.reshape(total.shape)
    try:
        return np.broadcast_to(value, total.shape)
    except ValueError:
        return None


def _shaped(numbers: NDArray[np.float64], shape: tuple[int, ...], name: str, found: Measured) -> NDArray[np.float64]:
    """Numbers of units in the shape in which they meet a parameter."""
    if math.prod(shape) != numbers.size:
        raise ValueError(f"{found}: {name!r} has no number for each output; pass one number for all of them")
    return numbers.reshape(shape)


def _is_close(found: Measured, total: NDArray[np.float64], kept: float) -> bool:
    """Whether a sum that has a theory may stay as it is."""
    if found.tolerance <= 1.0 or not isinstance(found.variance, float):
        return False
    variance, whole = found.variance, float(total.var())
    if found.few and whole == 0.0:  # a unit that is asleep on these few
        return True
    off = max(whole / variance, variance / whole) if whole > 0.0 else math.inf
    is_centred = abs(float(total.mean()) - kept) <= math.sqrt(variance * (found.tolerance - 1.0))
    return off <= found.tolerance and is_centred


def _corrected(
    found: Measured, total: NDArray[np.float64], fixed: NDArray[np.float64], before: float, kept: float
) -> Correction:
    """Correct a sum as a whole; or unit by unit, where each is to have its own mean or variance."""
    can_shift = found.bias is not None
    if isinstance(found.variance, float) and not isinstance(found.mean, np.ndarray):
        wanted = kept if found.mean is None else found.mean
        least = 2 if found.is_without_theory or found.few else ENOUGH
        made = correct(total, fixed, before, wanted, found.variance, can_shift=can_shift, least=least, few=found.few)
        if found.is_output:
            _check_reached(found, made.values, found.variance)
        return made
    rows, beside = (np.moveaxis(values, found.axis, 0) for values in (total, fixed))
    means, variances = (
        np.broadcast_to(each, len(rows)) for each in (0.0 if found.mean is None else found.mean, found.variance)
    )
    each = [
        correct(row, part, before, float(mean), float(variance), can_shift=can_shift)
        for row, part, mean, variance in zip(rows, beside, means, variances, strict=True)
    ]
    for one, variance in zip(each, variances, strict=True):
        _check_reached(found, one.values, float(variance))
    values = np.moveaxis(np.stack([one.values for one in each]), 0, found.axis)
    return Correction(np.array([one.scale for one in each]), np.array([one.shift for one in each]), before, values)


def _check_reached(found: Measured, values: NDArray[np.float64], variance: float) -> None:
    if values.size >= ENOUGH and not abs(float(values.var()) / variance - 1.0) <= _REACHED:
        raise ValueError(
            f"{found}: its output cannot have variance {variance:.3g} at the start: it has {values.var():.3g}, of what "
            "its weights do not change; leave output_variance= or targets= out; nothing was written"
        )


def correct(
    total: NDArray[np.float64],
    fixed: NDArray[np.float64],
    before: float,
    kept: float,
    variance: float,
    *,
    can_shift: bool = True,
    least: int = ENOUGH,
    few: int = 0,
) -> Correction:
    """Return what gives a sum the mean ``kept`` and the given variance.

    Args:
        total: the sum as it is.
        fixed: the part of it that no weight of the sum changes.
        before: what its biases add.
        kept: the mean that is wanted.
        variance: that is wanted.
        can_shift: whether there is a bias to shift it by.
        least: as in :func:`scale_for`.
        few: likewise.
    """
    branch = total - fixed - before
    scale = scale_for(branch, fixed, variance, least, few)
    if abs(scale - 1.0) <= _CLOSE:
        scale = 1.0
    shift = before
    if can_shift:
        target = kept - (scale * float(branch.mean()) + float(fixed.mean()))
        if abs(target - before) > _CLOSE * math.sqrt(variance):
            shift = target
    return Correction(scale, shift, before, scale * branch + fixed + shift)


def scale_for(
    branch: NDArray[np.float64], fixed: NDArray[np.float64], variance: float, least: int = ENOUGH, few: int = 0
) -> float:
    """The c > 0 for which ``c · branch + fixed`` has the variance; 1 if the fixed part alone has it already.

    The logarithm of a variance of a few numbers is too low on average, by what is added here, and uncertain: the less
    is known of it, the less of the scale is taken.

    Args:
        branch: the part that is scaled.
        fixed: the part that is not.
        variance: that is wanted.
        least: so many numbers are needed; the scale is 1 with fewer.
        few: how many numbers count, if not all: those of one unit, where units share much.
    """
    if branch.size < least:
        return 1.0
    own, other = float(branch.var()), float(fixed.var())
    cross = float(((branch - branch.mean()) * (fixed - fixed.mean())).mean())
    raised, trust = of_few(few or branch.size)
    own, other, cross = own * raised, other * raised, cross * raised
    if own <= 0.0 or other >= variance:
        return 1.0
    scale = (math.sqrt(max(cross**2 + own * (variance - other), 0.0)) - cross) / own
    return min(max(math.pow(scale, trust), 1.0 / _LIMIT), _LIMIT)
