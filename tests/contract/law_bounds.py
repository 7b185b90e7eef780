"""Does a sample come from a law of the core? Bounds follow from the sample's size and the law's own tail.

With a fan-in of 784 the paper's log-normal has a coefficient of variation of 15 and a fourth moment that no sample
realises, so moments of the values say little. What is compared instead, for every law:

- the empirical distribution function, at places deep into both tails, by Bernstein's inequality (exact for any n);
- mean and variance of the *logarithms* of a log-normal sample, which are those of a normal law;
- mean and variance of the values, only where their sampling distribution is close to normal: where the skewness of
  the average, computed from the law, is small.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from convex_init_core import Gamma, LogNormal, Normal, Positivity, SpikeAndSlab, TwoPoint, as_positivity

SIGMAS = 5.0
"""Standard errors allowed to an average that is close to normal: exceeded with probability 6e-7."""

LOG_ODDS = math.log(2.0 / 1e-6)
"""Logarithm of 2/α for the Bernstein bound at one place."""

SURVIVALS = (0.5, 0.25, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)


def assert_follows(
    weights: np.ndarray,
    law: object,
    positivity: str | Positivity = "projection",
    epsilon: float = 1e-15,
    smallest: float = 1e-37,
) -> None:
    """Assert that effective weights are a sample of ``law``.

    ``epsilon`` is that of the dtype in which the raw parameter and the weight are kept; through a map such as exp an
    error of the raw parameter is magnified, which the bounds follow. Below ``smallest`` that dtype rounds to 0.
    """
    w = np.asarray(weights, dtype=np.float64).ravel()
    assert np.all(np.isfinite(w)), "weights are not finite"
    if not isinstance(law, Normal):
        assert w.min() >= 0.0, f"a weight is negative: {w.min()}"
    _assert_distribution(w, law, as_positivity(positivity), epsilon, smallest)
    blur = _relative_blur(law, as_positivity(positivity), epsilon)
    if isinstance(law, LogNormal):
        logs = np.log(w)
        _assert_close("mean of the logarithms", logs.mean(), law.log_mean, law.log_std / math.sqrt(w.size), blur)
        spread = law.log_std**2 * math.sqrt(2.0 / w.size)
        _assert_close("variance of the logarithms", logs.var(), law.log_std**2, spread, 2.0 * blur * law.log_std)
    if _is_normal_enough(law, 1, w.size):
        _assert_close("mean", w.mean(), law.mean, math.sqrt(law.variance / w.size), blur * abs(law.mean))
    if _is_normal_enough(law, 2, w.size):
        error = math.sqrt((central_moment(law, 4) - law.variance**2) / w.size)
        second = law.variance + law.mean**2
        _assert_close("variance", np.mean((w - law.mean) ** 2), law.variance, error, 2.0 * blur * second)


def _assert_close(what: str, found: float, expected: float, error: float, slack: float) -> None:
    bound = SIGMAS * error + slack
    assert abs(found - expected) <= bound, f"{what}: {found:.6g}, due {expected:.6g} ± {bound:.2g}"


def _assert_distribution(w: np.ndarray, law: object, through: Positivity, epsilon: float, smallest: float) -> None:
    for x in _places(law):
        below, above = _rounded(x, through, epsilon)
        if abs(below) < smallest:
            continue
        found = float(np.mean(w <= x))
        for due, sign in ((cdf(law, below), 1.0), (cdf(law, above), -1.0)):
            slack = LOG_ODDS / (3.0 * w.size)
            bound = slack + math.sqrt(slack**2 + 2.0 * LOG_ODDS * due * (1.0 - due) / w.size)
            assert sign * (found - due) >= -bound, f"share below {x:.4g} is {found:.6g}, due {due:.6g} ± {bound:.2g}"


def _places(law: object) -> list[float]:
    if isinstance(law, TwoPoint):
        return [law.value * 1e-6, law.value * 0.9, law.value * 1.1]  # nothing lies between 0 and the value
    if isinstance(law, SpikeAndSlab):
        inside = [law.scale * NormalDist().inv_cdf(1.0 - tail / 2.0) for tail in SURVIVALS]
        return [law.scale * 1e-6, *inside]
    return [quantile(law, q) for tail in SURVIVALS for q in (tail, 1.0 - tail)]


def _rounded(x: float, through: Positivity, epsilon: float) -> tuple[float, float]:
    """Between which effective weights the one kept as ``x`` may have been drawn."""
    if x <= 0.0:
        return x * (1.0 + epsilon), x * (1.0 - epsilon)
    raw = float(through.inverse_log(np.log(x)))
    ends = [float(through.value(np.float64(raw + sign * epsilon * abs(raw)))) for sign in (-1.0, 1.0)]
    return ends[0] * (1.0 - 2.0 * epsilon), ends[1] * (1.0 + 2.0 * epsilon)


def _relative_blur(law: object, through: Positivity, epsilon: float) -> float:
    """Relative rounding error of a typical weight; larger weights, which carry the moments, have less."""
    x = abs(law.mean) or law.std
    if isinstance(law, LogNormal):
        x = math.exp(law.log_mean)
    below, above = _rounded(x, through, epsilon)
    return (above - below) / (2.0 * x)


def cdf(law: object, x: float) -> float:
    """P(w ≤ x)."""
    if isinstance(law, Normal):
        return _below((x - law.mean) / law.std)
    if isinstance(law, LogNormal):
        return _below((math.log(x) - law.log_mean) / law.log_std) if x > 0.0 else 0.0
    if isinstance(law, Gamma):
        return float(_special().gammainc(law.concentration, x / law.scale))
    if isinstance(law, SpikeAndSlab):
        return 1.0 - law.probability + law.probability * math.erf(x / (law.scale * math.sqrt(2.0)))
    return 1.0 - law.probability if x < law.value else 1.0


def _below(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _special() -> Any:
    """SciPy, for a gamma law: a bare machine with a GPU has none, and runs the tests of all others."""
    return pytest.importorskip("scipy.special")


def quantile(law: object, q: float) -> float:
    """The x with P(w ≤ x) = q, of a continuous law."""
    if isinstance(law, Gamma):
        return law.scale * float(_special().gammaincinv(law.concentration, q))
    z = NormalDist().inv_cdf(q)
    return law.mean + law.std * z if isinstance(law, Normal) else math.exp(law.log_mean + law.log_std * z)


def raw_moment(law: object, k: int) -> float:
    """E[w^k]."""
    if isinstance(law, Normal):
        pairs = range(0, k + 1, 2)
        return sum(
            math.comb(k, j) * law.mean ** (k - j) * law.std**j * math.prod(range(1, j, 2)) for j in pairs
        )  # fmt: skip
    if isinstance(law, LogNormal):
        return math.exp(k * law.log_mean + 0.5 * (k * law.log_std) ** 2)
    if isinstance(law, Gamma):
        return law.scale**k * math.prod(law.concentration + j for j in range(k))
    if isinstance(law, SpikeAndSlab):
        half_normal = 2.0 ** (k / 2) * math.gamma((k + 1) / 2) / math.sqrt(math.pi)
        return law.probability * law.scale**k * half_normal if k else 1.0
    return law.probability * law.value**k if k else 1.0


def central_moment(law: object, k: int) -> float:
    """E[(w − E w)^k]."""
    return math.fsum(math.comb(k, j) * raw_moment(law, j) * (-law.mean) ** (k - j) for j in range(k + 1))


def _is_normal_enough(law: object, power: int, count: int) -> bool:
    """Whether an average of ``count`` draws of (w − E w)^power has a skewness below 0.1."""
    first = central_moment(law, power)
    second = central_moment(law, 2 * power) - first**2
    third = central_moment(law, 3 * power) - 3.0 * first * central_moment(law, 2 * power) + 2.0 * first**3
    return abs(third) / second**1.5 <= 0.1 * math.sqrt(count)
