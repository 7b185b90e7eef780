"""Blocks of draws: each element in one, each with a seed of its own."""

from __future__ import annotations

import pytest

from convex_init_core.weights.sampling import ACCELERATOR_BLOCK, BLOCK, block_bounds, block_seed


@pytest.mark.parametrize("block", [1, 7, BLOCK, ACCELERATOR_BLOCK])
@pytest.mark.parametrize("blocks", [0, 1, 3])
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_blocks_cover_every_element_once(block: int, blocks: int, extra: int) -> None:
    count = max(0, blocks * block + extra)
    bounds = list(block_bounds(count, block))
    assert [start for start, _ in bounds] == [0, *[stop for _, stop in bounds]][: len(bounds)]
    assert all(0 < stop - start <= block for start, stop in bounds)
    assert all(start % block == 0 for start, _ in bounds)
    assert (bounds[-1][1] if bounds else 0) == count


def test_default_block() -> None:
    assert list(block_bounds(BLOCK + 5)) == [(0, BLOCK), (BLOCK, BLOCK + 5)]


@pytest.mark.parametrize(("seed", "count"), [(2**32 - 500_000, 1_000_000), (0, 50_000), (2**63 - 1, 50_000)])
def test_no_two_blocks_share_a_seed(seed: int, count: int) -> None:
    seeds = {block_seed(seed, index) for index in range(count)}
    assert len(seeds) == count
    assert min(seeds) >= 0
    assert max(seeds) < 2**32


def unmix(x: int) -> int:
    """Undo the two multiplications and three shifts of a 32-bit finaliser."""
    x ^= x >> 16
    x = x * pow(0xC2B2AE35, -1, 2**32) % 2**32
    x ^= (x >> 13) ^ (x >> 26)
    x = x * pow(0x85EBCA6B, -1, 2**32) % 2**32
    return x ^ (x >> 16)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 3, 2**40 + 17])
def test_seed_can_be_told_from_the_block_seed(seed: int) -> None:
    for index in (0, 1, 2, 1000):
        assert unmix(block_seed(seed, index)) == (seed + index) % 2**32


def test_neighbouring_seeds_differ_in_half_their_bits() -> None:
    """A mean of 16 of 32 bits with a standard deviation of √8: over 4096 pairs, 5 standard errors are 0.22."""
    flips = [(block_seed(5, i) ^ block_seed(5, i + 1)).bit_count() for i in range(4096)]
    assert sum(flips) / 4096 == pytest.approx(16.0, abs=0.25)
