"""At which share of the learning rate the positive weights learn best.

Adam moves every weight by about the learning rate, whatever its gradient is. The free weights of a layer of N inputs
are about 1/√N in size, its positive ones about 1/N, and these have one sign, so that their steps add up: relative to
what is there, the positive layers change √N times as fast as the free ones. Where free skips let every layer learn
from the input, it pays to slow them down; where the signal has no other way, they have to learn themselves.

What it rests on: results/experiments/cpu/field.md, where 0.3 was chosen of 0.1, 0.3 and 1 on the tuning half.
"""

from __future__ import annotations

POSITIVE_RATE = 0.3
"""Share of the learning rate."""

FEWEST_LAYERS = 3
"""Positive layers, one behind the other, from which on it is worth it."""


def positive_rate(depth: int, with_skips: int) -> float:
    """Return the share of the learning rate at which the positive weights of a model should learn, by Adam.

    Args:
        depth: sums with positive layers, one behind the other.
        with_skips: sums of positive layers and a free map of the input; the last layer may lack one.

    Example:
        >>> positive_rate(3, 3), positive_rate(2, 2), positive_rate(10, 0), positive_rate(10, 4)
        (0.3, 1.0, 1.0, 1.0)
    """
    return POSITIVE_RATE if depth >= FEWEST_LAYERS and with_skips >= depth - 1 else 1.0
