"""Parameters that are spread over several devices (DTensor, ``fully_shard``): which part of the whole lies here."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from convex_init_core.weights.sampling import block_bounds

_GATHERED_AT_ONCE = 1 << 22  # positions are 64-bit, so a large block is copied in parts


def is_sharded(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a DTensor."""
    module = sys.modules.get("torch.distributed.tensor")  # slow to import; without it there can be no DTensor
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: Any) -> Tensor:
    """Return this rank's part of a DTensor, sharing its memory; any other tensor as it is. Call it under no_grad."""
    part: Tensor = tensor.to_local() if is_sharded(tensor) else tensor
    return part


def whole(tensor: Any) -> Tensor:
    """Return all of a DTensor, gathered on every rank, all of which have to call it; any other tensor as it is."""
    gathered: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor
    return gathered


def local_parts(tensors: list[Tensor]) -> list[Tensor]:
    """Return this rank's part of each tensor; costs nothing where there can be no DTensor."""
    return [local(tensor) for tensor in tensors] if "torch.distributed.tensor" in sys.modules else tensors


def check_placements(tensor: Any) -> None:
    """Refuse a DTensor whose ranks hold summands instead of values.

    Raises:
        ValueError: if a placement is partial.
    """
    if is_sharded(tensor) and any(placement.is_partial() for placement in tensor.placements):
        raise ValueError(
            f"the placements {tensor.placements} include a partial sum, whose parts cannot be drawn; redistribute the "
            "tensor to Shard or Replicate"
        )


def reshard(model: nn.Module) -> None:
    """Let ``fully_shard`` free what it gathered for the last forward, so that modules hold their own shards again."""
    module = sys.modules.get("torch.distributed.fsdp")
    if module is None:
        return
    for part in model.modules():
        if isinstance(part, module.FSDPModule):
            part.reshard()


def agree_on_seed(seed: int, tensors: Iterable[Any]) -> int:
    """Return one seed for all ranks that share a DTensor: that of the first rank of its mesh.

    A collective call; without a DTensor nothing is sent.
    """
    meshes = dict.fromkeys(tensor.device_mesh for tensor in tensors if is_sharded(tensor))
    for mesh in sorted(meshes, key=lambda mesh: int(mesh.size())):  # the largest has the last word
        if mesh.get_coordinate() is None:
            continue
        shared = torch.tensor(seed, dtype=torch.int64, device=mesh.device_type)
        for group in mesh.get_all_groups():
            torch.distributed.broadcast(shared, src=torch.distributed.get_global_rank(group, 0), group=group)
        seed = int(shared)
    return seed


@dataclass(frozen=True)
class Piece:
    """One block of a tensor, or what this rank holds of it.

    Attributes:
        block: the block's number within the tensor.
        length: elements in the whole block.
        start: first held element, counted in the flat local part.
        stop: one behind the last.
        first: position of the block in the flat full tensor.
        shard: where the local part lies, if it is not the whole.
    """

    block: int
    length: int
    start: int
    stop: int
    first: int
    shard: Shard | None = None

    @property
    def whole(self) -> bool:
        """Whether every element of the block is held here."""
        return self.stop - self.start == self.length

    def copy_held(self, drawn: Tensor, target: Tensor) -> None:
        """Copy what is held of a drawn block into ``target``, the flat local part from start to stop."""
        assert self.shard is not None
        begin, end = (self.shard.position(i) - self.first for i in (self.start, self.stop - 1))
        if end - begin == self.stop - 1 - self.start:  # positions ascend, so these have no gaps
            target.copy_(drawn[begin : end + 1])
            return
        for at in range(self.start, self.stop, _GATHERED_AT_ONCE):
            upto = min(at + _GATHERED_AT_ONCE, self.stop)
            chosen = self.shard.positions(at, upto, drawn.device) - self.first
            target[at - self.start : upto - self.start].copy_(drawn[chosen])


@dataclass(frozen=True, eq=False)
class Shard:
    """Where a local part lies in the full tensor.

    Attributes:
        shape: of the full tensor.
        indices: for each dimension, the ascending places that the local part holds.
    """

    shape: tuple[int, ...]
    indices: tuple[Tensor, ...]

    @classmethod
    def of(cls, tensor: Any) -> Shard:
        """Read the placements of a DTensor."""
        mesh, coordinate = tensor.device_mesh, tensor.device_mesh.get_coordinate()
        indices = [torch.arange(n) for n in tensor.shape]
        if coordinate is None:  # this rank is not part of the mesh
            indices = [index[:0] for index in indices]
        else:
            for axis, placement in enumerate(tensor.placements):
                dim = getattr(placement, "dim", None)
                if dim is not None:
                    indices[dim] = _share(indices[dim], placement, mesh.size(axis), coordinate[axis])
        found = cls(tuple(tensor.shape), tuple(indices))
        held = local(tensor)
        if found.count != held.numel():
            raise ValueError(
                f"a DTensor of shape {found.shape} with placements {tensor.placements} holds {tuple(held.shape)} here, "
                f"and not {found.local_shape}; redistribute it to Shard or Replicate"
            )
        return found

    @cached_property
    def local_shape(self) -> tuple[int, ...]:
        """Shape of the local part."""
        return tuple(len(index) for index in self.indices)

    @cached_property
    def count(self) -> int:
        """Elements in the local part."""
        return prod(self.local_shape)

    @cached_property
    def _strides(self) -> tuple[int, ...]:
        return tuple(prod(self.shape[d + 1 :]) for d in range(len(self.shape)))

    def position(self, element: int) -> int:
        """Return where an element of the flat local part stands in the flat full tensor."""
        found = 0
        for index, stride in zip(reversed(self.indices), reversed(self._strides), strict=True):
            element, digit = divmod(element, len(index))
            found += int(index[digit]) * stride
        return found

    def positions(self, start: int, stop: int, device: torch.device) -> Tensor:
        """Return the same for all elements from ``start`` to ``stop``, as int64 on ``device``."""
        element = torch.arange(start, stop, device=device)
        found = torch.zeros_like(element)
        for index, stride in zip(reversed(self.indices), reversed(self._strides), strict=True):
            digit = element % len(index)
            element = element.div_(len(index), rounding_mode="floor")
            found += index.to(device)[digit].mul_(stride)
        return found

    def held(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return where those of some positions of the flat full tensor that lie here stand in the flat local part.

        Args:
            positions: int64, on the CPU.

        Returns:
            The places in the local part, and a mask over ``positions`` that says which these are.
        """
        here = torch.ones_like(positions, dtype=torch.bool)
        place = torch.zeros_like(positions)
        rest = positions
        for index, stride in zip(self.indices, self._strides, strict=True):
            digit, rest = rest.div(stride, rounding_mode="floor"), rest % stride
            found = torch.searchsorted(index, digit)
            at = found.clamp(max=max(len(index) - 1, 0))
            here &= (index[at] == digit) if len(index) else torch.zeros_like(here)
            place = place * len(index) + at
        return place[here], here

    def below(self, position: int) -> int:
        """Return how many elements of the local part stand before a position of the flat full tensor."""
        if position >= prod(self.shape):
            return self.count
        found, inner = 0, self.count
        for index, stride in zip(self.indices, self._strides, strict=True):
            inner //= len(index)
            digit, position = divmod(position, stride)
            before = int(torch.searchsorted(index, digit))
            found += before * inner
            if before == len(index) or int(index[before]) != digit:
                break
        return found


def _share(index: Tensor, placement: Any, parts: int, mine: int) -> Tensor:
    """Split as torch does: into ``split_factor`` runs (more than one for FSDP over TP), each shared by all parts."""
    runs = index.chunk(getattr(placement, "split_factor", 1))
    shares = [run.chunk(parts) for run in runs]
    return torch.cat([share[mine] if mine < len(share) else index[:0] for share in shares])


def pieces(tensor: Any, block: int) -> Iterator[Piece]:
    """Yield the blocks of a tensor, in row-major order, of which this rank holds anything."""
    bounds = block_bounds(tensor.numel(), block)
    if not is_sharded(tensor):
        for number, (start, stop) in enumerate(bounds):
            yield Piece(number, stop - start, start, stop, start)
        return
    shard = Shard.of(tensor)
    start = 0
    while start < shard.count:
        number = shard.position(start) // block
        first = number * block
        stop = shard.below(first + block)
        yield Piece(number, min(block, tensor.numel() - first), start, stop, first, shard)
        start = stop
