"""What every framework's isometric weight has to be, as an array of effective weights, one row for each output."""

from __future__ import annotations

import numpy as np


def assert_isometric(weights: np.ndarray, groups: int = 1, tolerance: float = 1e-5) -> None:
    """Assert that the rows ``[outputs, sources]`` have disjoint supports, or are copies, one group after the other.

    ``tolerance`` covers the small weights that some positivity maps have in the place of 0, and the dtype.
    """
    w = np.asarray(weights, dtype=np.float64)
    assert np.all(np.isfinite(w))
    assert w.min() >= 0.0
    for part in np.split(w, groups):
        outputs = len(part)
        support = part > 0.5 * part.max(1, keepdims=True)
        used = support.any(0)
        off = np.where(support, 0.0, part)
        assert off.sum(1).max() <= 2e-3 * part.sum(1).max() + tolerance, "weights off the support are not small"
        sums = part.sum(1)
        assert np.ptp(sums) <= (tolerance + 1e-4) * sums.max(), "rows have different sums"
        if outputs >= used.sum():  # copies, or a permutation
            assert np.all(support.sum(1) == 1)
            copies = support.sum(0)[used]
            assert np.ptp(copies) <= 1
        else:
            assert np.all(support.sum(0) <= 1), "supports overlap"
            assert np.ptp(support.sum(1)) <= 1


def assert_same_signal(outputs: np.ndarray, features: np.ndarray, tolerance: float = 1e-5) -> None:
    """Assert that outputs ``[samples, units]`` are features ``[samples, units]`` in another order."""
    for out, feature in zip(np.sort(outputs, 1), np.sort(features, 1), strict=True):
        np.testing.assert_allclose(out, feature, atol=tolerance)
