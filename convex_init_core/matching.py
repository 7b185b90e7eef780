"""Draws whose *sample* has the law's first two moments, not only the law.

The paper's weights have a coefficient of variation of √(NV)/M (15 at N = 784), so that the log-normal law is so heavy
in its tail that no layer of realistic size realises its variance. ``w' = c w^p`` keeps weights non-negative and zeros
zero; ``mean(w'²)/mean(w')²`` increases with p, and c sets the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from convex_init_core.laws import Draw, Gamma, LogNormal, SpikeAndSlab, TwoPoint

A = TypeVar("A")

LEAST_EFFECTIVE = 2.0
"""A draw must hold so many weights for each one that matters, ``count · mean² / E[w²]``, to be matched; the short end
of a tensor may not, and is left as drawn."""

_STEPS = 14
_ABSENT = -1e4  # stands for the logarithm of 0: e to this is 0, and its products are numbers


@dataclass(frozen=True)
class Matched:
    """A law whose draws have exactly its mean and variance.

    Every block that is drawn from one seed is matched by itself, so that shards and threads need not know each other.

    Attributes:
        law: what is drawn before it is matched.
    """

    law: LogNormal | Gamma | SpikeAndSlab

    @property
    def has_zeros(self) -> bool:
        """Whether draws can be exactly 0."""
        return self.law.has_zeros

    @property
    def mean(self) -> float:
        """Of the law and of every draw."""
        return self.law.mean

    @property
    def variance(self) -> float:
        """Of the law and of every draw."""
        return self.law.variance

    def sample_log(self, draw: Draw[A], xp: Any = np) -> A:
        """Draw an array of logarithms of weights, with about -1e4 for a weight of 0.

        Args:
            draw: the framework's primitives.
            xp: the framework's array namespace.
        """
        if isinstance(self.law, SpikeAndSlab):
            drawn: Any = self.law.sample(draw)
            present = drawn > 0.0
            one = xp.zeros_like(drawn) + 1.0
            logs = xp.where(present, xp.log(xp.where(present, drawn, one)), _ABSENT * one)
        else:
            logs = self.law.sample_log(draw)
        found: A = self._match(logs, xp)
        return found

    def sample(self, draw: Draw[A], xp: Any = np) -> A:
        """Draw an array of weights."""
        found: A = xp.exp(self.sample_log(draw, xp))
        return found

    def _match(self, logs: Any, xp: Any) -> Any:
        ratio = 1.0 + self.variance / self.mean**2
        if math.prod(logs.shape) < LEAST_EFFECTIVE * ratio:
            return logs
        logs = logs - xp.max(logs)
        target = math.sqrt(math.log(ratio))
        power = xp.mean(xp.zeros_like(logs)) + 0.5
        # Newton's method on √ln(mean(w²)/mean(w)²), which is proportional to the power for a log-normal law and concave
        # in it for a finite sample: from below it climbs to the root and never jumps over it.
        for _ in range(_STEPS):
            once, twice = xp.exp(power * logs), xp.exp(2.0 * power * logs)
            sum_1, sum_2 = xp.mean(once), xp.mean(twice)
            spread = xp.sqrt(xp.log(sum_2 / (sum_1 * sum_1)))
            slope = (xp.mean(logs * twice) / sum_2 - xp.mean(logs * once) / sum_1) / spread
            change = (target - spread) / slope
            power = power + xp.where(change < -0.5 * power, -0.5 * power, change)
        return power * logs + (math.log(self.mean) - xp.log(xp.mean(xp.exp(power * logs))))


def matched(law: LogNormal | Gamma | SpikeAndSlab | TwoPoint) -> Matched:
    """Return the law with exact sample moments.

    Raises:
        ValueError: for the two-point law, whose one value cannot satisfy two equations.
    """
    if isinstance(law, TwoPoint):
        raise ValueError(
            "match_moments needs a law with more than one positive value: use distribution 'spike_and_slab' instead of "
            "'two_point'"
        )
    return Matched(law)
