"""Torch's side of a draw: the core's laws on torch's generators, block by block, into existing tensors."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from convex_init.torch.write.sharding import Piece, Shard, agree_on_seed, is_sharded, local, pieces
from convex_init_core.weights.laws import Law, Normal
from convex_init_core.weights.positivity import Positivity, as_positivity
from convex_init_core.weights.sampling import (
    ACCELERATOR_BLOCK,
    BLOCK,
    block_seed,
    is_matched,
    is_structured,
    sample_raw,
)

if TYPE_CHECKING:
    from convex_init_core.methods.isometric import Isometric
    from convex_init_core.weights.exact_moments import Matched

_WORTH_THREADS = 2 * BLOCK  # below, starting the threads takes longer than the draws


class TorchDraw:
    """The core's ``Draw`` on one flat tensor: draws land in ``out`` while it is free, then in fresh tensors."""

    def __init__(self, out: Tensor, generator: torch.Generator) -> None:
        """Draw tensors like ``out`` (floating, float32 or wider), the first one into it."""
        self.out, self.generator, self.taken = out, generator, False

    def _room(self) -> Tensor:
        room = torch.empty_like(self.out) if self.taken else self.out
        self.taken = True
        return room

    def normal(self, mean: float, std: float) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return self._room().normal_(mean, std, generator=self.generator)

    def log_normal(self, log_mean: float, log_std: float) -> Tensor:
        """See ``convex_init_core.Draw``."""
        room = self._room()
        if room.device.type == "cpu":  # ten times faster there than log_normal_, which is one kernel elsewhere
            return room.normal_(log_mean, log_std, generator=self.generator).exp_()
        return room.log_normal_(log_mean, log_std, generator=self.generator)

    def log_gamma(self, concentration: float) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return torch._standard_gamma(self._room().fill_(concentration), generator=self.generator).log_()

    def log_uniform(self) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return self._room().exponential_(generator=self.generator).neg_()

    def bernoulli(self, probability: float) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return self._room().bernoulli_(probability, generator=self.generator)

    def exp(self, value: Tensor) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return value.exp_()

    def add(self, value: Tensor, other: Tensor | float) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return value.add_(other)

    def multiply(self, value: Tensor, other: Tensor | float) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return value.mul_(other)

    def absolute(self, value: Tensor) -> Tensor:
        """See ``convex_init_core.Draw``."""
        return value.abs_()


@dataclass(frozen=True)
class Fill:
    """One tensor to be filled: ``raw`` gets the raw image of draws from ``law``."""

    raw: Tensor
    law: Law | Matched | Isometric
    positivity: Positivity | None = None

    @property
    def unit(self) -> int:
        """Consecutive weights that a draw must not separate, because the law is matched by unit; else 1."""
        return prod(self.raw.shape[self.raw.ndim > 1 :]) if is_matched(self.law) else 1


@torch.no_grad()
def fill_(fills: Iterable[Fill], generator: torch.Generator | None = None) -> None:
    """Fill every tensor, in order, from one seed taken from ``generator`` (or torch's global CPU generator).

    Each block of a tensor has a seed of its own, derived from that one and from its place in the order, so the result
    does not depend on the number of threads, nor on how a DTensor is spread over devices: a rank draws the blocks that
    it holds anything of. Half precision is drawn in float32 and cast.
    """
    fills = list(fills)
    seed = agree_on_seed(_seed_from(generator), (fill.raw for fill in fills))
    index = 0
    blocks: list[tuple[Tensor, Piece, Fill, int]] = []
    staged: list[tuple[Tensor, Tensor]] = []
    for fill in fills:
        held = local(fill.raw)
        if isinstance(fill.law, Normal) and fill.law.std == 0.0:
            held.fill_(fill.law.mean)  # a constant uses no draws
            continue
        if is_structured(fill.law):
            _fill_structured(held, fill, fill.law, block_seed(seed, index))
            index += 1
            continue
        flat = held if held.is_contiguous() else torch.empty_like(held, memory_format=torch.contiguous_format)
        if flat is not held:
            staged.append((held, flat))
        flat = flat.view(-1)
        size = BLOCK if flat.device.type == "cpu" else ACCELERATOR_BLOCK
        size = max(size // fill.unit, 1) * fill.unit
        for piece in pieces(fill.raw, size):
            blocks.append((flat[piece.start : piece.stop], piece, fill, block_seed(seed, index + piece.block)))
        index += -(-fill.raw.numel() // size)
    on_cpu = all(block[0].device.type == "cpu" for block in blocks)
    count = sum(block[1].length for block in blocks)
    if on_cpu and count > _WORTH_THREADS and torch.get_num_threads() > 1:
        # normal_ runs on one thread and frees the interpreter's lock, so blocks fill the other cores.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(_fill_block, *zip(*blocks, strict=True)))
    else:
        for block in blocks:
            _fill_block(*block)
    for held, values in staged:
        held.copy_(values)


def _fill_structured(held: Tensor, fill: Fill, law: Isometric, seed: int) -> None:
    from convex_init_core.methods.isometric import structured_raw  # most networks need none

    off, places, values = structured_raw(law, fill.positivity or as_positivity("projection"), seed)
    held.fill_(off)
    at, raw = torch.from_numpy(places), torch.from_numpy(values)
    if is_sharded(fill.raw):
        at, here = Shard.of(fill.raw).held(at)
        raw = raw[here]
    raw, at = raw.to(held.device, held.dtype), at.to(held.device)
    if held.is_contiguous():
        held.view(-1)[at] = raw
    else:
        held[torch.unravel_index(at, held.shape)] = raw


@torch.no_grad()
def _fill_block(target: Tensor, piece: Piece, fill: Fill, seed: int) -> None:
    generator = torch.Generator(target.device).manual_seed(seed)
    if piece.whole and target.dtype in (torch.float32, torch.float64):
        wide = target
    else:  # a law draws a block as one, so what is held here is cut from the whole
        dtype = target.dtype if target.dtype == torch.float64 else torch.float32
        wide = torch.empty(piece.length, dtype=dtype, device=target.device)
    drawn = sample_raw(cast("Law | Matched", fill.law), fill.positivity, TorchDraw(wide, generator), torch, fill.unit)
    if not piece.whole:
        piece.copy_held(drawn, target)
    elif drawn.data_ptr() != target.data_ptr():
        target.copy_(drawn)


def check_generator(generator: torch.Generator | None) -> None:
    """Refuse what is no generator.

    Raises:
        TypeError: naming the argument.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator or None, got {generator!r}; for a seed, "
            "pass torch.Generator().manual_seed(seed)"
        )


def _seed_from(generator: torch.Generator | None) -> int:
    check_generator(generator)
    device = generator.device if generator is not None else torch.device("cpu")
    return int(torch.randint(2**32, (), generator=generator, device=device, dtype=torch.int64))
