"""What the zoo says of a model: how it is built and fed, and the plan that issue and theory ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

DEPTHS = (3, 10)
SEEN = 8  # length of an input vector
WIDTH = 64


@dataclass(frozen=True)
class Row:
    """One weight of the expected plan.

    ``fed`` is what feeds a positive layer, or ``None`` where no single element-wise function does (a residual stream,
    features beside the raw input, squares): there the theory has no name for it and the numbers are measured.
    """

    path: str
    role: str
    fan_in: float
    fed: str | None = None
    through: str | None = None
    beside: tuple[str, ...] = ()
    shift: str = ""


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    ``make`` and ``rows`` take the depth, the number of hidden pre-activations; ``inputs`` takes the number of samples.
    ``entry`` names the method to run, ``outputs`` what it returns that is convex, ``tighten`` the method with which the
    model makes its own weights non-negative, called from outside. ``bends`` says how many non-linearities the input
    goes through at least. ``certified`` is empty, or says why the calculus cannot prove this convex function convex.
    """

    make: Callable[[int], nn.Module]
    inputs: Callable[[int], Any]
    rows: Callable[[int], list[Row]]
    convex_inputs: Any = None
    entry: str = "forward"
    outputs: str | None = None
    tighten: str = ""
    certified: str = ""
    depths: tuple[int, ...] = DEPTHS
    bends: Callable[[int], int] = lambda depth: depth


def free(path: str, fan_in: float) -> Row:
    return Row(path, "free", fan_in)


def skip(path: str, fan_in: float, *beside: str) -> Row:
    return Row(path, "skip", fan_in, beside=beside)


def positive(
    path: str,
    fan_in: float,
    fed: str | None,
    through: str = "projection",
    *,
    shift: str = "",
    beside: tuple[str, ...] = (),
) -> Row:
    return Row(path, "positive", fan_in, fed, through, beside, shift)
