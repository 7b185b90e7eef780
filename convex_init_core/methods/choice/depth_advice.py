"""How many layers each method is known to carry, from our own figures (docs/depth.md), and what to use beyond."""

from __future__ import annotations

from convex_init_core.checks import warn_caller
from convex_init_core.settings import InitSettings

_CARRIED, _CARRIED_IF_MATCHED, _CARRIED_WITH_BIAS_NOISE = 4, 5, 7
"""Positive layers in a row, without free skips, normalisation or residual sums, through which independent weights still
train on MNIST in four epochs. Matched weights keep the variance of each unit, random biases keep some units on."""


_CARRIED_WITH_SKIPS = 10
"""Positive layers with a free skip into each, through which 98 of 100 draws of the paper's initialisation keep the size
of their outputs (results/experiments/cpu/depth_skips.md). At 20 it is 88, and some of the others exceed it a million
times: the mean that all units share grows N μ_w-fold in each layer (1.85 for ReLU) once no bias brings it back."""


def carried_depth(settings: InitSettings) -> float:
    """Return the number of positive layers in a row that a method is known to carry; infinite for the isometric one."""
    if settings.method == "isometric":
        return float("inf")
    if settings.bias_noise >= 0.5:
        return _CARRIED_WITH_BIAS_NOISE
    return _CARRIED_IF_MATCHED if settings.match_moments else _CARRIED


def depth_advice(settings: InitSettings, depth: int, with_skips: int = 0) -> str:
    """Say what is wrong with a method at a depth, and what to use; empty if nothing is known to be.

    Args:
        settings: for the whole network.
        depth: number of positive layers one behind the other, without free skips, normalisation or residual sums.
        with_skips: number of those with a free skip, drawn with the paper's mean.
    """
    carried = carried_depth(settings)
    if depth <= carried:
        if with_skips > _CARRIED_WITH_SKIPS and settings.method == "log_normal":
            return (
                f"method 'log_normal' with free skips is known to carry {_CARRIED_WITH_SKIPS} positive layers, and "
                f"there are {with_skips}: in about one of ten draws the outputs grow by orders of magnitude (one of a "
                "hundred with bias_noise=0.5); use method='isometric'"
            )
        return ""
    return (
        f"method {settings.method!r} is known to carry a signal through {carried:g} positive layers, and there are "
        f"{depth} in a row: each halves what tells two inputs apart, and units die; use method='isometric', or free "
        "skips from the input"
    )


def warn_of_depth(settings: InitSettings, depth: int, with_skips: int = 0) -> str:
    """Return :func:`depth_advice`, and warn where it has some, in the name of whoever called the library.

    Warns:
        UserWarning: if the method is not known to carry the depth.
    """
    advice = depth_advice(settings, depth, with_skips)
    if advice:
        warn_caller(advice)
    return advice
