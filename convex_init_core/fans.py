"""Fan-in of the layers: how many features one pre-activation sums."""

from __future__ import annotations

import math
from collections.abc import Sequence

from convex_init_core import _checks


def convolution_fan_in(in_channels: int, kernel_size: Sequence[int], groups: int = 1) -> int:
    """Return channels per group × kernel volume (A.5); a dense layer is a kernel of no dimension."""
    return _per_group(in_channels, groups) * math.prod(_checks.whole("kernel_size", k) for k in kernel_size)


def transposed_convolution_fan_in(
    in_channels: int, kernel_size: Sequence[int], stride: Sequence[int], groups: int = 1
) -> float:
    """Return the fan-in of a transposed convolution, averaged over output positions.

    One output position is reached by ``kernel/stride`` taps in each dimension: exactly so if the stride divides the
    kernel, and on average otherwise (the positions then differ, see :func:`has_even_overlap`).

    Raises:
        ValueError: if a stride exceeds its kernel length: some outputs would be reached by no input at all.
    """
    taps = 1.0
    for k, s in zip(kernel_size, stride, strict=True):
        if _checks.whole("stride", s) > _checks.whole("kernel_size", k):
            raise ValueError(
                f"stride {s} exceeds kernel_size {k}: some outputs of the transposed convolution sum no input, so no "
                "initialisation gives them a variance; choose kernel_size >= stride"
            )
        taps *= k / s
    return _per_group(in_channels, groups) * taps


def has_even_overlap(kernel_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> bool:
    """Whether every output position of a transposed convolution sums the same number of taps."""
    return all(k % s == 0 and math.gcd(d, s) == 1 for k, s, d in zip(kernel_size, stride, dilation, strict=True))


def _per_group(in_channels: int, groups: int) -> int:
    channels, count = _checks.whole("in_channels", in_channels), _checks.whole("groups", groups)
    if channels % count:
        raise ValueError(f"in_channels {channels} is not a multiple of groups {count}")
    return channels // count
