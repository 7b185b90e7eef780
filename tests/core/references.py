"""Activations written a second time, for the tests: in mpmath for values, with SciPy for conditional expectations.

Nothing here calls the core's own functions; the core's :class:`Activation` is only carried along. Values are written
over an mpmath context: ``mp`` for as many digits as one likes, ``fp`` for fast quadrature in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
from scipy.special import log_ndtr, ndtr

import convex_init_core as core
from convex_init_core.theory.activations import square

Context = Any
Scalar = Callable[[Context, Any], Any]


@dataclass(frozen=True)
class Case:
    """One activation and what is known of it from elsewhere.

    Attributes:
        activation: the core's object, under test.
        value: (mpmath context, s) ↦ φ(s).
        slope: the same for φ', away from the kinks.
        kinks: where an integral has to be split.
        conditional_value: (m, r) ↦ E[φ(m + r z)], in closed form; ``None`` for a smooth φ.
        conditional_slope: the same for φ'.
    """

    activation: core.Activation
    value: Scalar
    slope: Scalar
    kinks: tuple[float, ...] = ()
    conditional_value: Callable[[float, float], float] | None = None
    conditional_slope: Callable[[float, float], float] | None = None


def _density(h: float) -> float:
    return float(np.exp(-0.5 * h * h) / np.sqrt(2.0 * np.pi))


def _ramp(m: float, r: float) -> float:
    """E[max(s, 0)]."""
    return float(m * ndtr(m / r) + r * _density(m / r))


def _tilted(m: float, r: float, width: float) -> float:
    """E[exp(s/width); s < 0]: completing the square shifts the mean by r²/width."""
    t = r / width
    return float(np.exp(m / width + 0.5 * t * t + log_ndtr(-m / r - t)))


# mpmath's fast context computes these two as log(1 + x) and exp(x) − 1, with the cancellation.
def _log1p(ctx: Context, x: Any) -> Any:
    return math.log1p(x) if ctx is mp.fp else ctx.log1p(x)


def _expm1(ctx: Context, x: Any) -> Any:
    return math.expm1(x) if ctx is mp.fp else ctx.expm1(x)


def leaky_case(activation: core.Activation, alpha: float) -> Case:
    return Case(
        activation,
        value=lambda ctx, s: s if s > 0 else alpha * s,
        slope=lambda ctx, s: 1.0 if s > 0 else alpha,
        kinks=() if alpha == 1.0 else (0.0,),
        conditional_value=lambda m, r: alpha * m + (1.0 - alpha) * _ramp(m, r),
        conditional_slope=lambda m, r: float(alpha + (1.0 - alpha) * ndtr(m / r)),
    )


def exponential_case(activation: core.Activation, alpha: float, width: float) -> Case:
    return Case(
        activation,
        value=lambda ctx, s: s if s > 0 else alpha * _expm1(ctx, s / width),
        slope=lambda ctx, s: 1.0 if s > 0 else alpha * ctx.exp(s / width) / width,
        kinks=(0.0,),
        conditional_value=lambda m, r: float(_ramp(m, r) + alpha * (_tilted(m, r, width) - ndtr(-m / r))),
        conditional_slope=lambda m, r: float(ndtr(m / r) + alpha / width * _tilted(m, r, width)),
    )


def softplus_case(beta: float, threshold: float, power: int = 1) -> Case:
    make = core.softplus if power == 1 else core.squared_softplus

    def base(ctx: Context, s: Any) -> Any:
        if beta * s > threshold:
            return s
        return (_log1p(ctx, ctx.exp(-abs(beta * s))) + max(beta * s, 0)) / beta

    def base_slope(ctx: Context, s: Any) -> Any:
        if beta * s > threshold:
            return 1.0
        tail = ctx.exp(-abs(beta * s))
        return (tail if s < 0 else 1) / (1 + tail)

    return Case(
        make(beta, threshold),
        value=lambda ctx, s: base(ctx, s) ** power,
        slope=lambda ctx, s: base_slope(ctx, s) if power == 1 else 2 * base(ctx, s) * base_slope(ctx, s),
        kinks=() if threshold == float("inf") else (threshold / beta,),
    )


def bent_function(s: np.ndarray) -> np.ndarray:
    """A user's own activation: curved on both sides of a kink at 1."""
    return np.exp(s / 4.0) + np.abs(s - 1.0) + s


BENT = Case(
    core.custom(bent_function, bends=(1.0,)),
    value=lambda ctx, s: ctx.exp(s / 4) + abs(s - 1) + s,
    slope=lambda ctx, s: ctx.exp(s / 4) / 4 + (2 if s > 1 else 0),
    kinks=(1.0,),
    conditional_value=lambda m, r: float(np.exp(m / 4 + r * r / 32) + 2.0 * _ramp(m - 1.0, r) + 1.0),
    conditional_slope=lambda m, r: float(np.exp(m / 4 + r * r / 32) / 4 + 2.0 * ndtr((m - 1.0) / r)),
)

USABLE = {
    "identity": leaky_case(core.identity(), 1.0),
    "relu": leaky_case(core.relu(), 0.0),
    "leaky_relu(0.01)": leaky_case(core.leaky_relu(), 0.01),
    "leaky_relu(0.3)": leaky_case(core.leaky_relu(0.3), 0.3),
    "prelu(0.25)": leaky_case(core.prelu(), 0.25),
    "elu(1)": exponential_case(core.elu(), 1.0, 1.0),
    "elu(0.4)": exponential_case(core.elu(0.4), 0.4, 1.0),
    "celu(1)": exponential_case(core.celu(), 1.0, 1.0),
    "celu(0.5)": exponential_case(core.celu(0.5), 0.5, 0.5),
    "celu(2)": exponential_case(core.celu(2.0), 2.0, 2.0),
    "softplus(1)": softplus_case(1.0, 20.0),
    "softplus(5)": softplus_case(5.0, 20.0),
    "softplus(2, 14)": softplus_case(2.0, 14.0),
    "softplus(0.5, inf)": softplus_case(0.5, float("inf")),
    "squared_softplus(1)": softplus_case(1.0, 20.0, power=2),
    "squared_softplus(3)": softplus_case(3.0, 20.0, power=2),
    "custom": BENT,
}
"""Every activation that may feed a positive layer, at several parameters."""

SQUARE = Case(square(), value=lambda ctx, s: s * s, slope=lambda ctx, s: 2 * s)


def expectation(function: Callable[[float], float], kinks: tuple[float, ...], mean: float, variance: float) -> float:
    """E[function(s)] for s ~ N(mean, variance), by mpmath's adaptive quadrature split at the kinks and at 0."""
    std = variance**0.5
    cuts = [(turn - mean) / std for turn in (*kinks, 0.0)]  # the smooth functions turn at 0
    cuts = [cut for cut in cuts if abs(cut) < 14.0]
    reach = 14.0 + max((abs(cut) for cut in cuts), default=0.0)

    def integrand(z: float) -> float:
        return float(function(mean + std * z)) * math.exp(-0.5 * z * z)

    # The quadrature stops at an absolute error: bring the integrand to size 1.
    size = max(abs(integrand(-reach + 0.1 * i)) for i in range(int(20 * reach)))
    if size == 0.0:
        return 0.0
    points = sorted({-reach, 0.0, reach, *cuts})
    total, error = mp.fp.quad(lambda z: integrand(z) / size, points, error=True)
    assert error < 1e-12
    return float(total * size / math.sqrt(2.0 * math.pi))
