"""Where the units of a free first layer bend.

With bias 0, the paper's, the hinges of all units of a ReLU network's first layer pass through one point, the origin,
and so do those of all isometric layers behind it. A convex function of few inputs bends elsewhere, too: then the
network begins with one kink where the target has many. *Spread* kinks lie all over the inputs: unit i gets the bias
``−q_i``, q_i being a quantile of its own pre-activation ``a_i·x``, so that it bends at inputs as they occur, one at
each share of them. Without inputs to look at, or with ones that are all alike, ``a_i·x`` is taken for a Gaussian, and
the biases are too.

The pre-activation's variance over units and inputs together stays σ*², so that what is behind the layer keeps its
theory: the share :data:`SHARE` of it is the biases', the rest the weights'.

Not the paper's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convex_init_core.methods.sum_budget import Budget

SHARE = 0.5
"""Biases that are quantiles of the pre-activations vary as much as these do."""

_STEP = (math.sqrt(5.0) - 1.0) / 2.0
"""Multiples of the golden ratio, modulo 1, are spread evenly however many they are, and neighbours lie far apart."""


def spread_budget(budget: Budget) -> Budget:
    """Return the budget of a sum of free maps whose units bend at quantiles of their pre-activations."""
    whole = budget.outgoing.variance
    keep = 1.0 - SHARE
    return replace(budget, free_variance=keep * budget.free_variance, bias_variance=SHARE * whole)


def spread_shifts(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return what each unit is to be shifted by, so that it bends where its inputs are.

    Args:
        values: pre-activations without the shifts.
        axis: of the units; all others count samples.
    """
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    shares = _shares(len(rows))
    ordered = np.sort(rows, axis=1)
    places = shares * ordered.shape[1] - 0.5  # the midpoint rule: the smallest value stands for a share of 1/n
    low = np.clip(np.floor(places).astype(int), 0, ordered.shape[1] - 1)
    high = np.minimum(low + 1, ordered.shape[1] - 1)
    part = np.clip(places - low, 0.0, 1.0)
    units = np.arange(len(rows))
    found: NDArray[np.float64] = -((1.0 - part) * ordered[units, low] + part * ordered[units, high])
    return found


def gaussian_shifts(units: int, variance: float) -> NDArray[np.float64]:
    """Return what each unit is to be shifted by where its pre-activation is taken for a Gaussian of that variance."""
    quantile = NormalDist(0.0, math.sqrt(variance)).inv_cdf
    return -np.array([quantile(share) for share in _shares(units)])


def _shares(units: int) -> NDArray[np.float64]:
    return np.asarray((0.5 + _STEP * np.arange(units)) % 1.0, dtype=np.float64)
