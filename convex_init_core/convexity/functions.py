"""Element-wise functions for the calculus of convexity: which are convex or concave, and for which parameters."""

from __future__ import annotations

import math

import numpy as np

from convex_init_core.convexity.calculus import ElementWise, Sign, Under
from convex_init_core.theory.activations import NOT_CONVEX

_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)  # of a parameter that frameworks compute, such as α · (1/α)


def _increasing(
    name: str, sign: Sign = Sign.ANY, keeps_sign: bool = False, under: Under = Under.NOTHING
) -> ElementWise:
    return ElementWise(name, convex=True, increasing=True, sign=sign, keeps_sign=keeps_sign, convex_under=under)


def _even(name: str, under: Under = Under.NOTHING, keeps_logarithm: bool = False) -> ElementWise:
    return ElementWise(
        name,
        convex=True,
        increasing_from_zero=True,
        even=True,
        sign=Sign.NON_NEGATIVE,
        convex_under=under,
        keeps_logarithm=keeps_logarithm,
    )


def _neither(name: str, refusal: str = "", increasing: bool = False, sign: Sign = Sign.ANY) -> ElementWise:
    return ElementWise(name, increasing=increasing, sign=sign, refusal=refusal or NOT_CONVEX.get(name, ""))


FUNCTIONS: dict[str, ElementWise] = {
    function.name: function
    for function in (
        ElementWise("identity", convex=True, concave=True, increasing=True, keeps_sign=True, keeps_logarithm=True),
        _increasing("relu", Sign.NON_NEGATIVE),
        _increasing("softplus", Sign.NON_NEGATIVE),
        _increasing("exp", Sign.NON_NEGATIVE, under=Under.LOGARITHM),
        _increasing("expm1", keeps_sign=True),
        _increasing("squareplus", Sign.NON_NEGATIVE),  # (s + √(s² + b)) / 2
        _increasing("sparse_plus", Sign.NON_NEGATIVE),  # 0, then (s + 1)²/4, then s
        _increasing("leaky_relu", keeps_sign=True),
        _increasing("elu", keeps_sign=True),
        _increasing("celu", keeps_sign=True),
        _even("square", Under.ROOT, keeps_logarithm=True),
        _even("abs", keeps_logarithm=True),
        _even("cosh", Under.LOGARITHM),
        _even("huber"),
        ElementWise("log", concave=True, increasing=True, tames=Under.LOGARITHM),
        ElementWise("log1p", concave=True, increasing=True, keeps_sign=True, tames=Under.LOGARITHM),
        ElementWise(
            "sqrt", concave=True, increasing=True, sign=Sign.NON_NEGATIVE, tames=Under.ROOT, keeps_logarithm=True
        ),
        ElementWise("log_sigmoid", concave=True, increasing=True, sign=Sign.NON_POSITIVE),
        ElementWise("entropy", concave=True),
        _neither("sigmoid", increasing=True, sign=Sign.NON_NEGATIVE),
        _neither("tanh", increasing=True),
        _neither("gelu"),
        _neither("silu"),
        _neither("mish"),
        _neither("selu", increasing=True),
        _neither("hardswish"),
        _neither("hardsigmoid", increasing=True, sign=Sign.NON_NEGATIVE),
        _neither("softsign", increasing=True),
        _neither("softshrink", increasing=True),
        _neither("hardshrink"),
        _neither("tanhshrink", increasing=True),
        _neither("sin"),
        _neither("cos"),
        _neither("tan", "it has poles"),
        _neither("sinh", "it is concave on s < 0", increasing=True),
        _neither("asinh", "it is concave on s > 0", increasing=True),
        _neither("atan", "it is concave on s > 0", increasing=True),
        _neither("erf", "it is concave on s > 0", increasing=True),
        _neither("sign", "it jumps", increasing=True),
        _neither("round", "it jumps", increasing=True),
        _neither("floor", "it jumps", increasing=True),
        _neither("ceil", "it jumps", increasing=True),
        _neither("trunc", "it jumps", increasing=True),
        _neither("frac", "it jumps"),
        _neither("reciprocal", "it is concave on s < 0"),
        ElementWise("rsqrt", convex=True, decreasing=True, sign=Sign.NON_NEGATIVE),
    )
}
"""Element-wise functions by name, as far as they have no parameter that changes their shape."""


def leaky_relu(low: float, high: float | None = None, name: str = "leaky_relu") -> ElementWise:
    """``max(s, αs)`` for one or many slopes α between ``low`` and ``high``: convex and non-decreasing for α in [0, 1].

    A negative α gives a convex function that turns at 0.
    """
    highest = low if high is None else high
    if low >= 0.0 and highest <= 1.0:
        return ElementWise(name, convex=True, increasing=True, keeps_sign=True)
    if highest <= 1.0:
        sign = Sign.NON_NEGATIVE if highest <= 0.0 else Sign.ANY
        return ElementWise(name, convex=True, increasing_from_zero=True, sign=sign)
    return ElementWise(name, increasing=low >= 0.0, refusal=f"its slope drops from {highest:g} to 1 at 0")


def elu(alpha: float, scale: float = 1.0, inner: float = 1.0, name: str = "elu") -> ElementWise:
    """``scale · s`` for s > 0, else ``scale · α (exp(inner · s) − 1)``; convex if its slope does not drop at 0."""
    fits = scale > 0.0 and inner > 0.0 and 0.0 <= alpha * inner <= 1.0 + _ROUNDING
    slopes = scale * alpha * inner, scale
    refusal = "" if fits else f"its slope {'drops' if slopes[0] > slopes[1] else 'goes'} at 0 from {{:.3g}} to {{:.3g}}"
    refusal = refusal.format(*slopes)
    return ElementWise(name, convex=fits, increasing=fits, keeps_sign=fits, refusal=refusal)


def celu(alpha: float) -> ElementWise:
    """``s`` for s > 0, else ``α (exp(s/α) − 1)``: convex for every α > 0."""
    return elu(alpha, 1.0, 1.0 / alpha if alpha else math.inf, "celu")


def softplus(beta: float, threshold: float) -> ElementWise:
    """``log(1 + exp(βs))/β``, replaced by s where βs > ``threshold``.

    The replacement is a drop, which must be lost in the rounding of a float32 network; see
    :func:`convex_init_core.softplus`. For β < 0 the function is ``−softplus(−s)``, concave and below 0.
    """
    name = "softplus"
    if not math.isfinite(beta) or beta == 0.0:
        return ElementWise(name, refusal=f"with beta {beta:g} it has no values")
    if threshold >= 14.0 and beta > 0.0:
        return ElementWise(name, convex=True, increasing=True, sign=Sign.NON_NEGATIVE)
    if threshold >= 14.0:
        return ElementWise(name, concave=True, increasing=True, sign=Sign.NON_POSITIVE)
    sign = Sign.NON_NEGATIVE if beta > 0.0 and threshold >= 0.0 else Sign.ANY
    return ElementWise(name, sign=sign, refusal=f"with beta {beta:g} and threshold {threshold:g} it jumps down")


def drop_of_softplus(threshold: float) -> float:
    """Return by how much ``β softplus(s)`` falls where it becomes βs: ``log(1 + exp(−threshold))``."""
    return max(-threshold, 0.0) + math.log1p(math.exp(-abs(threshold)))


def squareplus(b: float) -> ElementWise:
    """``(s + √(s² + b)) / 2``: convex and non-decreasing for b ≥ 0; for b < 0 it has no values around 0."""
    if b >= 0.0:
        return _increasing("squareplus", Sign.NON_NEGATIVE)
    return ElementWise("squareplus", refusal=f"with b = {b:g} it has no values around 0")


def huber(delta: float) -> ElementWise:
    """``s²/2`` for |s| ≤ δ, else ``δ (|s| − δ/2)``: convex for δ ≥ 0."""
    return _even("huber") if delta >= 0.0 else ElementWise("huber", refusal=f"with delta {delta:g} it bends down")


def threshold(at: float, value: float) -> ElementWise:
    """``s`` for s > ``at``, else ``value``: convex without a jump only, and then ``max(s, value)``."""
    fits = at == value
    sign = Sign.NON_NEGATIVE if fits and value >= 0.0 else Sign.ANY
    return ElementWise("threshold", convex=fits, increasing=fits, sign=sign, refusal="" if fits else "it jumps")


def power(exponent: float, sign: Sign) -> ElementWise:
    """``sᵖ`` for values of a sign: even powers everywhere, others on s ≥ 0 only."""
    name, even = f"the power {exponent:g}", exponent >= 2.0 and exponent % 2.0 == 0.0
    if exponent == 1.0:
        return FUNCTIONS["identity"]
    under = Under.ROOT if exponent >= 2.0 else Under.NOTHING  # half of it is at least 1
    if even:
        return _even(name, under, keeps_logarithm=True)
    if not sign.is_non_negative:
        return ElementWise(name, refusal="for arguments of both signs")
    if exponent > 1.0:
        return ElementWise(
            name,
            convex=True,
            increasing=True,
            sign=Sign.NON_NEGATIVE,
            convex_under=under,
            keeps_logarithm=True,
        )
    if 0.0 < exponent < 1.0:
        # Down to the square root, what is a squared norm stays a power of a norm of at least 1.
        tames = Under.ROOT if exponent >= 0.5 else Under.LOGARITHM
        return ElementWise(
            name, concave=True, increasing=True, sign=Sign.NON_NEGATIVE, tames=tames, keeps_logarithm=True
        )
    return ElementWise(name, convex=True, decreasing=True, sign=Sign.NON_NEGATIVE)


def power_of_at_least_one() -> ElementWise:
    """``sᵖ`` for s ≥ 0 and exponents p ≥ 1 that may differ from element to element."""
    return ElementWise("a power", convex=True, increasing=True, sign=Sign.NON_NEGATIVE)


def exponential(base: float) -> ElementWise:
    """``bˢ`` for a base b > 0."""
    return ElementWise(
        f"the exponential of base {base:g}",
        convex=base > 0.0,
        increasing=base >= 1.0,
        decreasing=0.0 < base <= 1.0,
        sign=Sign.NON_NEGATIVE if base > 0.0 else Sign.ANY,
        convex_under=Under.LOGARITHM if base > 0.0 else Under.NOTHING,
    )
