"""Lines of graphs: infinities, narrow types, statistics, and what no rule knows."""

from __future__ import annotations

import math

import numpy as np

from tests.core.graphs.lines.expressions import LAST, MASK, MIXED, PLUS

SORTS = {"why": "sorts", "non_negative": False}


CONVEX = {
    "batch norm": lambda b, x, W, S, y: b.batch_norm(
        b.relu(x), b.parameter("g", PLUS[0]), b.parameter("c", MIXED[0]), MIXED[1], PLUS[1]
    ),
    "a narrow type on the way": lambda b, x, W, S, y: b.relu(b.cast(b.cast(x, "bfloat16"), "float64")),
    "-∞ under a maximum": lambda b, x, W, S, y: b.max(b.where(MASK, -math.inf, x), axes=LAST),
    "-∞ under a log-sum-exp": lambda b, x, W, S, y: b.log_sum_exp(b.where(MASK, -math.inf, b.relu(x)), axes=LAST),
    "-∞ around": lambda b, x, W, S, y: b.max(b.pad(x, -math.inf, widths=((0, 0), (1, 1))), axes=LAST),
    "bounded by infinities": lambda b, x, W, S, y: b.minimum(b.maximum(b.relu(x), -math.inf), math.inf),
}

REFUSED = {
    "batch norm with a scale from the input": (  # whose mean is above what it is subtracted from
        lambda b, x, W, S, y: b.batch_norm(b.literal(np.ones((3, 4))), b.square(x), 0.0, 3.0, 1.0),
        "takes both signs",
    ),
    "batch norm with a variance around 0": (
        lambda b, x, W, S, y: b.batch_norm(x, 1.0, 0.0, 0.0, MIXED[1]),
        "not known to be positive",
    ),
    "an array of eight bits": (
        lambda b, x, W, S, y: b.subtract(x, b.cast(b.cast(x, "float8_e4m3fn"), "float64")),
        "rounds to float8_e4m3fn",
    ),
    "divided by zero": (lambda b, x, W, S, y: b.divide(x, 0.0), "divides by zero"),
    "divided by the input": (lambda b, x, W, S, y: b.divide(y, b.exp(x)), ""),
    "a number that is none": (lambda b, x, W, S, y: b.add(x, np.nan), "the number nan is not finite"),
    "noise of the input": (
        lambda b, x, W, S, y: b.op("noise", x, run=lambda a: a, non_negative=True),
        "draws from a law that depends on the input",
    ),
    "memory without numbers": (
        lambda b, x, W, S, y: b.add(b.op("unset", run=lambda: np.zeros(4)), x),
        "before a recorded operation has written to it",
    ),
    "what has no rule": (
        lambda b, x, W, S, y: b.opaque(x, run=np.fft.fft, why="is a custom operation, which has no rule"),
        "is a custom operation, which has no rule",
    ),
    "places from the input": (
        lambda b, x, W, S, y: b.gather(x, b.opaque(x, run=np.isfinite, **SORTS), axis=None, run=lambda a, i: a),
        "truth values",
    ),
    "-∞ in a parameter": (
        lambda b, x, W, S, y: b.maximum(x, b.parameter("P", np.full(4, -math.inf))),
        "holds NaN or infinite values",
    ),
    "nan under a maximum": (lambda b, x, W, S, y: b.max(b.where(MASK, math.nan, x), axes=LAST), "nan is not finite"),
    "∞ under a maximum of a concave value": (
        lambda b, x, W, S, y: b.max(b.where(MASK, -math.inf, b.negate(b.relu(x))), axes=LAST),
        "not all convex",
    ),
}
