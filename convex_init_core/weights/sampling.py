"""From a law for the effective weight to draws of the raw parameter, and the block seeds that make them reproduce."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from convex_init_core.weights.laws import (
    Draw,
    Gamma,
    Law,
    LogNormal,
    NonNegativeLaw,
    non_negative_law,
)
from convex_init_core.weights.positivity import Positivity

if TYPE_CHECKING:
    from typing import TypeGuard

    from convex_init_core.methods.isometric import Isometric
    from convex_init_core.weights.exact_moments import Matched, Units

A = TypeVar("A")

BLOCK = 1 << 18
"""Elements drawn from one seed on a CPU. A parameter is drawn block by block in row-major order, each block from a
seed of its own, so that any part of it can be drawn alone: threads and shards give the numbers that one machine gives.
"""

ACCELERATOR_BLOCK = 1 << 26
"""The same on an accelerator, where a block is one kernel launch and a small one would cost more than its draws."""


_CUT_OFF = 0.05  # of the second moment of a log-normal law


def law_under(distribution: str, mean: float, variance: float, positivity: Positivity) -> NonNegativeLaw:
    """Return a law of non-negative weights that a map can give.

    Under a bounded map, such as a sigmoid, which would cut off the long tail of a log-normal law, it is a gamma law.

    Args:
        distribution: its name.
        mean: of the weights.
        variance: of the weights.
        positivity: the map.

    Raises:
        ValueError: if the map does not give such weights, or cannot train them where they are exactly 0.
    """
    law = non_negative_law(distribution, mean, variance)
    if isinstance(law, LogNormal) and _share_beyond(positivity.span[1], law) > _CUT_OFF:
        law = Gamma.from_moments(mean, variance)
    check_image(law, positivity, distribution)
    return law


def _share_beyond(high: float, law: LogNormal) -> float:
    """The share of E[w²] that comes from weights above a number."""
    if high == math.inf or law.log_std == 0.0:
        return 0.0
    return 0.5 * math.erfc(((math.log(high) - law.log_mean) / law.log_std - 2.0 * law.log_std) / math.sqrt(2.0))


def check_image(law: Law, positivity: Positivity, distribution: str) -> None:
    """Refuse a law under a map that does not give its weights, or cannot train them where they are exactly 0.

    Raises:
        ValueError: naming both and the remedy.
    """
    low, high = positivity.span
    if low > 0.1 * law.mean or high < law.mean + 2.0 * math.sqrt(law.variance):
        raise ValueError(
            f"positivity {positivity} gives weights from {low:.3g} to {high:.3g}, which leaves out too many of a law "
            f"with mean {law.mean:.3g} and standard deviation {math.sqrt(law.variance):.3g}; use a map onto all "
            "positive numbers, such as softplus"
        )
    if law.has_zeros and not positivity.takes_zero:
        raise ValueError(
            f"distribution {distribution!r} sets weights to exactly 0, which positivity {positivity} either cannot "
            "represent or gives no gradient; use positivity 'projection', or distribution 'log_normal' or 'gamma'"
        )


def sample_raw(
    law: Law | Matched, positivity: Positivity | None, draw: Draw[A], xp: Any = np, units: int | Units = 0
) -> A:
    """Draw raw parameters whose effective weights follow ``law``.

    Args:
        law: of the effective weight.
        positivity: the map from raw to effective; ``None`` for a weight of free sign.
        draw: the framework's primitives.
        xp: the framework's array namespace, for the inverse map.
        units: number of consecutive weights of one unit, for laws that are matched by unit, 0 if all belong to one; or
            where they lie.
    """
    raw: A
    if not isinstance(law, Law):
        if positivity is None or not positivity.reparametrises:
            return law.sample(draw, xp, units)
        raw = positivity.inverse_log(law.sample_log(draw, xp, units), xp)
        return raw
    if positivity is None or not positivity.reparametrises:
        drawn = law.sample(draw)
        return drawn if positivity is None else positivity.inverse(drawn, xp)
    if isinstance(law, (LogNormal, Gamma)):  # through the logarithm, which does not underflow
        raw = positivity.inverse_log(law.sample_log(draw), xp)
        return raw
    raw = positivity.inverse(law.sample(draw), xp)
    return raw


def is_matched(law: Law | Matched | Isometric) -> bool:
    """Whether a law's draws are matched by unit, so that a draw has to hold whole ones."""
    return not isinstance(law, Law) and not is_structured(law)


def is_structured(law: Law | Matched | Isometric) -> TypeGuard[Isometric]:
    """Whether a law is that of a whole weight, whose entries are not drawn one by one."""
    return hasattr(law, "entries")


def block_bounds(count: int, block: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the blocks of a flat parameter with ``count`` elements."""
    for start in range(0, count, block):
        yield start, min(start + block, count)


def block_seed(seed: int, index: int) -> int:
    """Return the 32-bit seed of block ``index``, counted over all parameters of one call.

    A bijection of ``seed + index`` modulo 2³² (the finaliser of MurmurHash3): no two blocks of a call share a seed,
    also with generators that keep only 32 bits.
    """
    x = (seed + index) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)
