"""An expression is what the model computes: at points around the example, by numbers."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np

import convex_init.cvxpy as cc

NEAR = 1e-6


def gap_between(made: object, wanted: np.ndarray) -> float:
    """The largest difference, relative to what is larger than 1; where the model is not finite it says nothing."""
    found = np.asarray(made, np.float64).reshape(-1)
    flat = np.asarray(wanted, np.float64).reshape(-1)
    finite = np.isfinite(flat)
    gaps = np.abs(found[finite] - flat[finite]) / np.maximum(1.0, np.abs(flat[finite]))
    return float(gaps.max(initial=0.0)) if np.isfinite(gaps).all() else np.inf


def worst(
    model: object, shape: tuple[int, ...], run: Callable[[np.ndarray], np.ndarray], example: object, **options: object
) -> float:
    """The largest gap at three points between a model and its expression, which has to be convex by cvxpy's rules.

    Args:
        model: of any framework.
        shape: of one example of its convex input.
        run: from such an example to what the model returns for it.
        example: what the model takes.
        **options: of ``expression``.
    """
    x = cp.Variable(shape)
    made = cc.expression(model, x, example, **options)
    assert made.is_convex()
    rng = np.random.default_rng(0)
    gaps = []
    for scale in (0.5, 1.0, 3.0):
        x.value = scale * rng.standard_normal(shape)
        gaps.append(gap_between(made.value, run(x.value)))
    return max(gaps)
