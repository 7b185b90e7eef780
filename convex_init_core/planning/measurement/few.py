"""What a few numbers say of a variance: how much it is off by chance, and how far it may be trusted."""

from __future__ import annotations

import math

ENOUGH = 32
"""From so many numbers on a variance is taken as it is."""

_GUESS = 9.0  # variance of the logarithm of a variance that is not known: a factor of e³, either way
_DEVIATIONS = 3.0  # by so many standard deviations of its logarithm may a variance be off by chance


def chance(count: int) -> float:
    """Return the factor by which the variance of so many normal numbers may be off by chance; 1 for many numbers."""
    return 1.0 if count >= ENOUGH else math.exp(_DEVIATIONS * math.sqrt(_polygamma(count)[1]))


def of_few(count: int) -> tuple[float, float]:
    """Return what a variance of normal numbers lacks on average, as a factor, and how far it may be trusted.

    With E log χ² = ψ(k/2) + log 2 and Var log χ² = ψ'(k/2) for k = count − 1; the trust is that of a least squares
    estimate beside a guess. Of many numbers, it lacks nothing.
    """
    if count >= ENOUGH:
        return 1.0, 1.0
    digamma, trigamma = _polygamma(count)
    return count / 2.0 * math.exp(-digamma), _GUESS / (_GUESS + trigamma)


def _polygamma(count: int) -> tuple[float, float]:
    """ψ and ψ' of half of one less, by the first terms of their expansions for large arguments."""
    z, digamma, trigamma = (count - 1) / 2.0, 0.0, 0.0
    while z < 6.0:
        digamma, trigamma, z = digamma - 1.0 / z, trigamma + 1.0 / z**2, z + 1.0
    digamma += math.log(z) - 0.5 / z - 1.0 / (12.0 * z**2)
    trigamma += 1.0 / z + 0.5 / z**2 + 1.0 / (6.0 * z**3)
    return digamma, trigamma
