"""Draws whose *sample* has the law's first two moments, in every unit, and not only the law.

The paper's weights have a coefficient of variation of √(NV)/M (15 at N = 784), so that the log-normal law is so heavy
in its tail that no layer of realistic size realises its variance: most units fall short of it, a few exceed it by far.
``w' = c w^p``, with p and c for each unit, keeps weights non-negative and zeros zero; ``mean(w'²)/mean(w')²`` increases
with p, and c sets the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from convex_init_core.weights.laws import Draw, Gamma, LogNormal, NonNegativeLaw, SpikeAndSlab, TwoPoint

A = TypeVar("A")

LEAST_EFFECTIVE = 2.0
"""A unit must have so many weights for each one that matters, ``N · mean² / E[w²]``, to be matched; it has about 3.4
with the paper's moments, whatever N. Fewer can hardly have both moments, and are left as drawn."""

_STEPS = 16
_ABSENT = -1e4  # stands for the logarithm of 0: e to this is 0, and its products are numbers
_LEAST_POWER, _LARGEST_POWER = 0.02, 64.0  # so that e^(power · _ABSENT) is 0, and the rest finite
_TINY = 1e-12


class Units(Protocol):
    """Where the weights of one unit lie in a draw, for frameworks that spread an array over devices.

    Sums have to be rounded alike wherever the array lies, so that the framework adds up in an order of its own.
    """

    @property
    def count(self) -> int:
        """Number of weights of one unit."""

    def total(self, array: Any) -> Any:
        """Return the sum over the weights of each unit, in axes of length 1."""

    def largest(self, array: Any) -> Any:
        """Return the largest number of each unit, in axes of length 1."""


@dataclass(frozen=True)
class _Rows:
    """Units that are the rows of a matrix."""

    count: int
    xp: Any

    def total(self, array: Any) -> Any:
        return self.xp.sum(array, -1)[:, None]

    def largest(self, array: Any) -> Any:
        return self.xp.amax(array, -1)[:, None]


@dataclass(frozen=True)
class Matched:
    """A law whose draws have exactly its mean and variance in every unit.

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

    def sample_log(self, draw: Draw[A], xp: Any = np, units: int | Units = 0) -> A:
        """Draw an array of logarithms of weights, with about -1e4 for a weight of 0.

        Args:
            draw: the framework's primitives.
            xp: the framework's array namespace.
            units: number of weights of one unit, which follow each other in the flat draw, so that it holds whole
                units; 0 if the draw is that of one unit; or where they lie.
        """
        if isinstance(self.law, SpikeAndSlab):
            drawn: Any = self.law.sample(draw)
            present = drawn > 0.0
            one = xp.zeros_like(drawn) + 1.0
            logs = xp.where(present, xp.log(xp.where(present, drawn, one)), _ABSENT * one)
        else:
            logs = self.law.sample_log(draw)
        found: A
        if isinstance(units, int):
            row = units or math.prod(logs.shape)
            found = xp.reshape(self._match(xp.reshape(logs, (-1, row)), xp, _Rows(row, xp)), logs.shape)
        else:
            found = self._match(logs, xp, units)
        return found

    def sample(self, draw: Draw[A], xp: Any = np, units: int | Units = 0) -> A:
        """Draw an array of weights; arguments as for :meth:`sample_log`."""
        weights: A = xp.exp(self.sample_log(draw, xp, units))  # of _ABSENT this is exactly 0
        return weights

    def _match(self, logs: Any, xp: Any, units: Units) -> Any:
        ratio = 1.0 + self.variance / self.mean**2
        if units.count < LEAST_EFFECTIVE * ratio:
            return logs

        def mean(array: Any) -> Any:
            return units.total(array) / units.count

        absent = logs < 0.5 * _ABSENT
        largest = units.largest(logs)
        logs = logs - largest
        target = math.sqrt(math.log(ratio))
        power = xp.zeros_like(largest) + 1.0
        low, high = 0.0 * power + _LEAST_POWER, 0.0 * power + _LARGEST_POWER
        # Newton's method on √ln(mean(w²)/mean(w)²), which is about proportional to the power, between two powers that
        # are too small and too large: a unit with one weight far above the others would send it back and forth.
        for _ in range(_STEPS):
            once = xp.exp(power * logs)
            weighted = logs * once
            sum_1, sum_2 = mean(once), mean(once * once)
            spread = xp.sqrt(xp.log(sum_2 / (sum_1 * sum_1)) + _TINY)  # 0 for a unit of one positive weight
            slope = (mean(weighted * once) / sum_2 - mean(weighted) / sum_1) / spread
            low, high = xp.where(spread < target, power, low), xp.where(spread < target, high, power)
            power = power + (target - spread) / (slope + _TINY)
            power = xp.where((power > low) & (power < high), power, xp.sqrt(low * high))
        found = power * logs + (math.log(self.mean) - xp.log(mean(xp.exp(power * logs))))
        return xp.where(absent, xp.zeros_like(found) + _ABSENT, found)


def matched(law: NonNegativeLaw) -> Matched:
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
