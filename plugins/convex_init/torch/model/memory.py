"""Whether tensors have numbers in common: those of one that was expanded, or of two views of one memory."""

from __future__ import annotations

import torch
from torch import Tensor


def overlaps_itself(tensor: Tensor) -> bool:
    """Return whether two elements of a tensor lie in one place, as after ``expand``."""
    if _is_plain(tensor):
        return False
    if any(size > 1 and step == 0 for size, step in zip(tensor.shape, tensor.stride(), strict=True)):
        return True
    places = _places(tensor).sort().values
    return bool((places[1:] == places[:-1]).any())


def meet(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors of one storage have an element in common."""
    low, high = _span(one)
    start, stop = _span(other)
    if high <= start or stop <= low:
        return False
    if one.element_size() != other.element_size() or (one.is_contiguous() and other.is_contiguous()):
        return True
    return bool(torch.isin(_places(one), _places(other)).any())


def _is_plain(tensor: Tensor) -> bool:
    """Whether the strides alone say that each element has a place of its own: each axis steps over those within it."""
    within = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if step <= within:
                return False
            within += step * (size - 1)
    return True


def _span(tensor: Tensor) -> tuple[int, int]:
    """The first byte, and the one behind the last."""
    if tensor.numel() == 0:
        return 0, 0
    last = sum(int(step) * (int(size) - 1) for step, size in zip(tensor.stride(), tensor.shape, strict=True))
    start = int(tensor.storage_offset()) * tensor.element_size()
    return start, start + (last + 1) * tensor.element_size()


def _places(tensor: Tensor) -> Tensor:
    """The place of each element, counted in elements."""
    place = torch.tensor(tensor.storage_offset())
    for step, size in zip(tensor.stride(), tensor.shape, strict=True):
        place = place[..., None] + step * torch.arange(size)
    return place.flatten()
