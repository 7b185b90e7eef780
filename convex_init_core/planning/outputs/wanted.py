"""What a user wants of the outputs at the start: their mean and variance, or a sample of targets that has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_VARIANCE = 1.0


@dataclass(frozen=True, eq=False)
class Outputs:
    """Mean and variance of what a model returns at the start.

    Attributes:
        mean: one number, or one for each output; ``None`` to leave it where the model has it.
        variance: likewise; ``None`` for 1.
    """

    mean: NDArray[np.float64] | None = None
    variance: NDArray[np.float64] | None = None

    @property
    def is_asked(self) -> bool:
        """Whether the user wants anything."""
        return self.mean is not None or self.variance is not None

    @property
    def units(self) -> int:
        """How many outputs have numbers of their own; 1 if all have the same."""
        return max((each.size for each in (self.mean, self.variance) if each is not None), default=1)

    @property
    def shared_mean(self) -> float:
        """Mean over all outputs; 0 if none is wanted."""
        return 0.0 if self.mean is None else float(self.mean.mean())

    @property
    def shared_variance(self) -> float:
        """Mean of the variances of all outputs."""
        return DEFAULT_VARIANCE if self.variance is None else float(self.variance.mean())


def outputs_of(given: Mapping[str, Any]) -> Outputs:
    """Return what ``output_mean=``, ``output_variance=`` or ``targets=`` ask for.

    Args:
        given: these arguments, as far as a user gave them. Targets of shape ``(examples,)`` or ``(examples, outputs)``;
            of another shape, all numbers together have one mean and one variance.

    Raises:
        TypeError: for what is no number, or class indices.
        ValueError: for what is out of range, or does not go together.
    """
    mean, variance, targets = (given.get(name) for name in ("output_mean", "output_variance", "targets"))
    if targets is not None:
        if mean is not None or variance is not None:
            raise ValueError("targets= says mean and variance; leave output_mean= and output_variance= out")
        return _of_targets(targets)
    found = Outputs(_numbers("output_mean", mean), _numbers("output_variance", variance))
    if found.variance is not None and not (found.variance > 0.0).all():
        raise ValueError(f"output_variance must be above 0, got {variance!r}")
    sizes = {each.size for each in (found.mean, found.variance) if each is not None} - {1}
    if len(sizes) > 1:
        raise ValueError(f"output_mean= and output_variance= are for {' and '.join(map(str, sorted(sizes)))} outputs")
    return found


def _numbers(name: str, given: Any) -> NDArray[np.float64] | None:
    if given is None:
        return None
    array = np.asarray(given)
    if array.dtype.kind not in "fiu" or array.ndim > 1 or array.size == 0:
        raise TypeError(f"{name} must be a number, or one for each output, got {given!r}")
    numbers = array.astype(np.float64).reshape(-1)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite, got {given!r}")
    return numbers


def _of_targets(targets: Any) -> Outputs:
    array = np.asarray(targets)
    if array.dtype.kind in "iub":
        raise TypeError(
            "targets= holds whole numbers: classes have no mean that a network should start at, so leave it out for "
            "them; pass counts or the like as floats"
        )
    if array.dtype.kind != "f":
        raise TypeError(f"targets must be a sample of numbers, got {type(targets).__name__}")
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("targets= holds NaN or infinite values; pass a sample without them")
    rows = numbers if numbers.ndim == 2 else numbers.reshape(-1, 1)
    if len(rows) < 2:
        raise ValueError(f"targets= holds {len(rows)} example; a variance needs at least 2")
    variance = rows.var(axis=0, ddof=1)
    if not (variance > 1e-12 * np.square(rows).mean(axis=0)).all():
        which = "" if len(variance) == 1 else f" in column {int(np.argmin(variance))}"
        raise ValueError(f"targets= are constant{which}, which is no scale; pass output_mean= alone")
    return Outputs(rows.mean(axis=0), variance)


def rescaled(variance: float, to: float) -> float:
    """The factor by which a signal of one variance is multiplied to have another."""
    return math.sqrt(to / variance)
