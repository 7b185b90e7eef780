"""Is a function convex along random segments?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def convexity_violation(
    function: Callable[[np.ndarray], np.ndarray],
    features: int,
    *,
    segments: int = 2000,
    reach: float = 2.0,
    seed: int = 0,
) -> float:
    """Return by how much ``function`` rises above its chords at most, relative to the size of its values.

    Args:
        function: maps (n, features) to (n, outputs).
        features: length of an input.
        segments: how many random segments.
        reach: standard deviation of their ends.
        seed: of the segments.
    """
    rng = np.random.default_rng(seed)
    a, b = reach * rng.standard_normal((2, segments, features))
    t = rng.uniform(0.02, 0.98, (segments, 1))
    at_a, at_b, between = function(a), function(b), function((1.0 - t) * a + t * b)
    above = between - ((1.0 - t) * at_a + t * at_b)
    size = np.abs(at_a) + np.abs(at_b) + np.abs(between)
    return float((above / (size.mean() + 1e-30)).max())
