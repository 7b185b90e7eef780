"""The non-negative weights of a layer beside its carrier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Carried:
    """Weights that read units and carrier, and make units and carrier.

    Attributes:
        weight: ``[outputs + 1, inputs + 1, *taps]``, at least 0; the carrier comes last on either axis, and is missing
            on an axis where there is none.
        row_sums: R of each tap, ``[*taps]``: what every output reads of the carrier in all; the largest sum of weights
            on the units where there is no carrier to read.
    """

    weight: NDArray[np.float64]
    row_sums: NDArray[np.float64]

    @property
    def row_sum(self) -> float:
        """R of all taps together: by what a carrier that is the same everywhere is multiplied."""
        return float(self.row_sums.sum())


def carried(weight: ArrayLike, *, reads: bool = True, makes: bool = True) -> Carried:
    """Return the non-negative weights of a signed layer beside a carrier; see the package.

    The sums are made equal at each tap of a convolution by itself. So zeros around an image do no harm: where a tap
    falls outside, every output misses the same multiple of the carrier, and a unit that is padded with 0 beside a
    carrier that is padded with 0 stands for a deviation of 0. Strides, dilation, and any other padding that repeats
    elements hold likewise. A dense layer behind flattened channels has a tap for each position, each with a carrier.

    Args:
        weight: A, ``[outputs, inputs, *taps]``, of either sign.
        reads: whether there is a carrier in front. Behind the first bend there is none: it is 0.
        makes: whether the layer makes one. The last layer need not: what all classes have in common may then be
            anything, and every column gives away its smallest number.

    Raises:
        ValueError: if the weight has fewer than two axes, or holds NaN or infinite numbers.

    Example:
        >>> from convex_init_core.carrier.weights import carried
        >>> made = carried([[1.0, -2.0], [-1.0, 0.5]])
        >>> made.weight.tolist()
        [[2.0, 0.0, 1.0], [0.0, 2.5, 0.5], [1.0, 2.0, 0.0]]
        >>> made.row_sum
        3.0
    """
    signed = np.asarray(weight, np.float64)
    if signed.ndim < 2:
        raise ValueError(f"weight must be [outputs, inputs, *taps], got an array of shape {signed.shape}")
    if not np.all(np.isfinite(signed)):
        raise ValueError("weight holds NaN or infinite numbers")
    common = -signed.min(axis=0)
    if makes:
        common = np.maximum(common, 0.0)
    rows = signed + common
    if makes:
        rows = np.concatenate([rows, common[None]])
    sums = rows.sum(axis=1)
    largest = sums.max(axis=0)
    if reads:
        rows = np.concatenate([rows, (largest - sums)[:, None]], axis=1)
    return Carried(rows, largest)


def ungrouped(weight: ArrayLike, groups: int) -> NDArray[np.float64]:
    """Return the weight of a grouped convolution with zeros where a group does not look.

    The carrier reads all groups, so beside it there are none.

    Args:
        weight: ``[outputs, inputs of a group, *taps]``.
        groups: that divide the outputs.
    """
    grouped = np.asarray(weight, np.float64)
    outputs, inputs = grouped.shape[:2]
    found = np.zeros((outputs, inputs * groups, *grouped.shape[2:]))
    of_group = outputs // groups
    for group in range(groups):
        rows, columns = slice(group * of_group, (group + 1) * of_group), slice(group * inputs, (group + 1) * inputs)
        found[rows, columns] = grouped[rows]
    return found
