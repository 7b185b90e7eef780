"""Exact tests of samples against the laws: distribution functions that hold where weights underflow."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import gammainc, gammaln

import convex_init_core as core

REJECT = 1e-6
"""Largest p-value that fails. Seeds are fixed, so that a pass stays one."""


def log_cdf_argument(law: core.LogNormal | core.Gamma, log_weight: np.ndarray) -> np.ndarray:
    """P(log w ≤ log_weight)."""
    if isinstance(law, core.LogNormal):
        return np.asarray(stats.norm(law.log_mean, law.log_std).cdf(log_weight))
    log_x = log_weight - np.log(law.scale)
    a = law.concentration
    # P(a, x) → x^a/Γ(a+1) as x → 0, to a relative error of x.
    tiny = np.exp(np.minimum(a * log_x, 0.0) - gammaln(a + 1.0))
    return np.where(log_x < -40.0, tiny, gammainc(a, np.exp(np.maximum(log_x, -40.0))))


def assert_log_follows(law: core.LogNormal | core.Gamma, log_weight: np.ndarray) -> None:
    """Kolmogorov–Smirnov on the logarithms."""
    assert np.all(np.isfinite(log_weight))
    assert stats.kstest(log_weight.ravel(), lambda x: log_cdf_argument(law, x)).pvalue > REJECT


def assert_count(found: int, trials: int, probability: float) -> None:
    """Exact two-sided binomial test."""
    assert stats.binomtest(int(found), trials, probability).pvalue > REJECT
