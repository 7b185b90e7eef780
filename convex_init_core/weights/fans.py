"""Fan-in of the layers: how many features one pre-activation sums."""

from __future__ import annotations

import math
from collections.abc import Sequence

from convex_init_core import checks


def convolution_fan_in(in_channels: int, kernel_size: Sequence[int], groups: int = 1) -> int:
    """Return channels per group × kernel volume (A.5); a dense layer is a kernel of no dimension."""
    return _per_group(in_channels, groups) * math.prod(checks.whole("kernel_size", k) for k in kernel_size)


def transposed_convolution_fan_in(
    in_channels: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    groups: int = 1,
    dilation: Sequence[int] | None = None,
) -> float:
    """Return the fan-in of a transposed convolution, averaged over output positions.

    On average ``kernel/stride`` taps reach an output position in each dimension; whether all positions are reached by
    as many, :func:`has_even_overlap` says.

    Args:
        in_channels: of the layer.
        kernel_size: one length per dimension.
        stride: likewise.
        groups: of the layer.
        dilation: spacing of the taps, 1 by default.

    Raises:
        ValueError: if some outputs would be reached by no input at all.
    """
    taps = 1.0
    for k, s, d in zip(kernel_size, stride, dilation or [1] * len(kernel_size), strict=True):
        if min(_taps_by_phase(k, s, d)) == 0:
            raise ValueError(
                f"kernel_size {k}, stride {s} and dilation {d} leave outputs of the transposed convolution that sum no "
                "input, so no initialisation gives them a variance; choose kernel_size >= stride, and a dilation "
                "without a common divisor with the stride"
            )
        taps *= k / s
    return _per_group(in_channels, groups) * taps


def has_even_overlap(kernel_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> bool:
    """Whether every output position of a transposed convolution sums the same number of taps."""
    return all(len(set(_taps_by_phase(*axis))) == 1 for axis in zip(kernel_size, stride, dilation, strict=True))


def _taps_by_phase(kernel_size: int, stride: int, dilation: int) -> list[int]:
    """How many taps reach the outputs at each position modulo the stride."""
    counts = [0] * checks.whole("stride", stride)
    for tap in range(checks.whole("kernel_size", kernel_size)):
        counts[tap * checks.whole("dilation", dilation) % stride] += 1
    return counts


def _per_group(in_channels: int, groups: int) -> int:
    channels, count = checks.whole("in_channels", in_channels), checks.whole("groups", groups)
    if channels % count:
        raise ValueError(f"in_channels {channels} is not a multiple of groups {count}")
    return channels // count
