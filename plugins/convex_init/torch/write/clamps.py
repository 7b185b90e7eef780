"""Tensors to clamp, each with its interval, in groups that cost one call each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from convex_init.torch.write.marks import Places
from convex_init.torch.write.sharding import local_parts


class Clamp(NamedTuple):
    """A tensor, and the interval in which its numbers are kept."""

    tensor: Tensor
    low: float = 0.0
    high: float = math.inf


Groups: TypeAlias = "dict[tuple[torch.device, torch.dtype, float, float], list[Tensor]]"
"""Tensors of one device, dtype and interval."""


def clamps(places: Places) -> list[Clamp]:
    """Return what is to be clamped of the marked places of a model."""
    return [Clamp(tensor, *interval) for _, tensor, interval in places.values() if tensor is not None]


def grouped(clamps: Iterable[Clamp]) -> Groups:
    """Put those side by side that can be clamped by one call."""
    groups: Groups = {}
    for tensor, low, high in clamps:
        groups.setdefault((tensor.device, tensor.dtype, low, high), []).append(tensor)
    return groups


def clamp_(clamps: Iterable[Clamp]) -> None:
    """Clamp tensors in place; NaN stays NaN."""
    clamp_groups_(grouped(clamps))


@torch.no_grad()
def clamp_groups_(groups: Groups) -> None:
    """Likewise, of tensors in groups. Of a DTensor each rank clamps its own part."""
    for (_, _, low, high), tensors in groups.items():
        parts = local_parts(tensors)  # looked up every time: a checkpoint may have put in another
        if low > -math.inf:
            torch._foreach_clamp_min_(parts, low)
        if high < math.inf:
            torch._foreach_clamp_max_(parts, high)
