"""Tests of which of two networks is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Signs:
    """A two-sided sign (binomial) test.

    Attributes:
        wins: pairs of which the first is larger.
        pairs: pairs that are not tied.
        p: probability, under equal chances, of a count at least as far from half.
    """

    wins: int
    pairs: int
    p: float


def signs(values: Sequence[tuple[float, float]]) -> Signs:
    """Return the sign test of pairs (mine, other); ties are left out."""
    from scipy.stats import binomtest

    wins = sum(mine > other for mine, other in values)
    pairs = sum(mine != other for mine, other in values)
    return Signs(wins, pairs, float(binomtest(wins, pairs).pvalue) if pairs else 1.0)


def holm(values: Sequence[float]) -> list[float]:
    """Return the p-values of several tests corrected by Holm's method, in their order."""
    corrected = [1.0] * len(values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return corrected


def family(pairs: Sequence[int], level: float = 0.05) -> list[int]:
    """Return which of several sign tests can tell anything, by their numbers of pairs: Tarone's family (1990).

    The smallest p of n pairs is 2 · 2⁻ⁿ. With k the smallest number such that at most k tests can be below
    ``level / k``, the others cannot be significant after a correction whatever comes out, and are not corrected for.
    """
    smallest = [2.0 * 0.5**count for count in pairs]
    for k in range(1, len(pairs) + 1):
        found = [index for index, p in enumerate(smallest) if p <= level / k]
        if len(found) <= k:
            return found
    return list(range(len(pairs)))
