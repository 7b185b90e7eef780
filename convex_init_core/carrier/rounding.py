"""What the common part costs in digits: the carrier grows by R in each layer, and the deviations are read beside it.

A deviation u is held as ``h − r``, so it is known to ``ε |r|``, ε being the spacing of the dtype at 1, and r grows by R
from layer to layer. The rounding of one product is at most ``γ R m`` with ``γ = (n + 3) ε`` for n terms and m the
largest number that it reads; in the deviations it passes on through A alone, which knows no carrier. So the error of a
logit is of the order of ``ε`` times the common part of the logits, and about ``ε R^L`` times that of the first layers:

    R^L ≪ 1/ε, which is 8e6 in float32 and 5e15 in float64.

Weights of at least −c have ``R ≤ c N + max_i Σ_j A_ij``. The carrier's bias is free: minus its mean over examples, it
takes off what all inputs share, about a factor of three to ten once, and not R.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProductBound:
    """What is known of one product with carried weights.

    Attributes:
        terms: n, that one output sums, the bias not counted.
        row_sum: R.
        largest: the largest size of a unit, a carrier or a bias that takes part.
        gain: ``max_i Σ_j |A_ij|``, by which it multiplies errors of the deviations.
    """

    terms: int
    row_sum: float
    largest: float
    gain: float


def logit_bound(products: Iterable[ProductBound], epsilon: float) -> float:
    """Return a bound of the error of a logit, beside the common shift, that rounding makes.

    Class probabilities are off by half of it at most, since ``|Δp| ≤ p (1 − p) · (max Δ − min Δ)``. It holds for
    activations of the form ``"maximum"`` with α = 0, which do not round.

    Args:
        products: in the order of the signal.
        epsilon: spacing of the dtype at 1, such as ``numpy.finfo(numpy.float32).eps``.
    """
    error = 0.0
    for each in products:
        # Units and carrier are rounded apart, and so are the weights and the last product of the sum.
        own = 2.0 * (each.terms + 4) * epsilon * (each.row_sum + 1.0) * each.largest
        error = each.gain * error + own
    return error


@dataclass(frozen=True)
class Measured:
    """What a convex form does on its examples.

    Attributes:
        row_sums: R of each product beside a carrier, by which the common part grows there.
        common_part: the largest size of what all logits have in common.
        error: the largest difference of a class probability from the classifier's.
    """

    row_sums: tuple[float, ...] = ()
    common_part: float = 0.0
    error: float = 0.0


def checked(measured: Measured, tolerance: float, dtype: str, wider: str = "pass dtype float64, or train") -> Measured:
    """Return what was measured if rounding does not show.

    Args:
        measured: on the examples.
        tolerance: how much a class probability may differ.
        dtype: of the convex form, such as ``"float32"``.
        wider: how to have more digits, with what else helps behind it.

    Raises:
        ValueError: with the remedy, if it differs by more, or is no number.
    """
    if measured.error <= tolerance:
        return measured
    found = f"are off by {measured.error:.2g} on the examples, more than tolerance={tolerance:g}"
    if math.isnan(measured.error):
        found = "are no numbers on the examples"
    raise ValueError(
        f"in {dtype} class probabilities {found}: the logits have {measured.common_part:.2g} in common, which grows "
        f"by up to {max(measured.row_sums, default=1.0):.3g} in each layer; "
        f"{'train' if dtype == 'float64' else wider} with weights that hardly go below 0 (carrier=True in ICNN)"
    )
