"""What stands between the layers of a convex form: units and their carrier side by side, the carrier last."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convex_init_core.carrier.activations import BesideCarrier


class CarrierActivation(nn.Module):
    """``r + φ(s − r)`` on units s and their carrier r, which passes as it is; for ReLU ``max(s, r)``.

    Args:
        beside: from :func:`convex_init_core.carrier.activations.beside_carrier`.
        activation: φ as a module, for those that have no form of their own.
        axis: of the units and the carrier, counted from the end.
    """

    def __init__(self, beside: BesideCarrier, activation: nn.Module, axis: int = -1) -> None:
        """Make the module; see the class."""
        super().__init__()
        self.form, self.number, self.axis = beside.form, beside.number, axis
        self.activation = activation if beside.form == "shifted" else None

    def forward(self, z: Tensor) -> Tensor:
        """Return the features and the carrier."""
        s, r = _parted(z, self.axis)
        if self.activation is not None:
            h = r + self.activation(s - r)
        elif self.form == "log_add_exp":
            h = torch.logaddexp(self.number * s, self.number * r) / self.number
        elif self.number == 0.0:
            h = torch.maximum(s, r)
        else:
            h = torch.maximum(s, self.number * s + (1.0 - self.number) * r)
        return torch.cat([h, r], self.axis)

    def extra_repr(self) -> str:
        """Show the form and its number."""
        return f"{self.form}, {self.number:g}"


class CarrierMaxPool(nn.Module):
    """The largest of each window beside a carrier that differs from place to place.

    Each element of a window is raised by what the carrier has at the others; the new carrier is their sum. A place
    outside of the image repeats the nearest inside, which lies in the same window.

    Args:
        kernel: size of the windows, by axis.
        stride: likewise.
        padding: likewise; at most half of the kernel.
    """

    def __init__(self, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> None:
        """Make the module; see the class."""
        super().__init__()
        self.kernel, self.stride, self.padding = tuple(kernel), tuple(stride), tuple(padding)

    def forward(self, z: Tensor) -> Tensor:
        """Return the pooled features and carriers."""
        sides = [side for pad in reversed(self.padding) for side in (pad, pad)]
        padded = F.pad(z, sides, mode="replicate") if any(sides) else z
        rank = len(self.kernel)
        sizes = padded.shape[-rank:]
        counts = [
            (size - kernel) // stride + 1 for size, kernel, stride in zip(sizes, self.kernel, self.stride, strict=True)
        ]
        taps = []
        for tap in itertools.product(*map(range, self.kernel)):
            at: Any = [
                slice(first, first + stride * (count - 1) + 1, stride)
                for first, stride, count in zip(tap, self.stride, counts, strict=True)
            ]
            taps.append(_parted(padded[(..., *at)], -rank - 1))
        raised = [
            h + sum(r for other, (_, r) in enumerate(taps) if other != place) for place, (h, _) in enumerate(taps)
        ]
        largest = raised[0]
        for each in raised[1:]:
            largest = torch.maximum(largest, each)
        carrier = taps[0][1]
        for _, r in taps[1:]:
            carrier = carrier + r
        return torch.cat([largest, carrier], -rank - 1)

    def extra_repr(self) -> str:
        """Show the windows."""
        return f"kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


class WithoutCarrier(nn.Module):
    """The units alone.

    Args:
        axis: of the units and the carrier, counted from the end.
    """

    def __init__(self, axis: int = -1) -> None:
        """Make the module; see the class."""
        super().__init__()
        self.axis = axis

    def forward(self, z: Tensor) -> Tensor:
        """Return all but the last element."""
        return _parted(z, self.axis)[0]


def _parted(z: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Units and carrier."""
    last = z.shape[axis] - 1
    return z.narrow(axis, 0, last), z.narrow(axis, last, 1)
