"""Functions written so that nothing overflows are one function again, whatever is subtracted and added back."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity.calculus import Curvature
from convex_init_core.convexity.judge import judge
from tests.core.graphs.builder import Builder

SHAPE = (4, 4)  # a square: shapes do not tell rows from columns


def log_sum_exp(b, x, shift, again, axes=(1,), keepdims=False, times=1.0):
    """``t · log Σ exp((x − shift) / t) + again``."""
    exponent = b.divide(b.subtract(x, shift), times)
    return b.add(b.multiply(b.log(b.sum(b.exp(exponent), axes=axes, keepdims=keepdims)), times), again)


def by(b, x, axes=(1,), extreme="max", kept=False, **given):
    """With the largest, or the smallest, of what is summed."""
    shift = b.op(extreme, x, axes=axes, keepdims=True)
    again = shift if kept else b.reshape(shift, tuple(size for axis, size in enumerate(SHAPE) if axis not in axes))
    return log_sum_exp(b, x, shift, again, axes, kept, **given)


def spread(b, x, axes=(1,), *, beside=False):
    """The largest as frameworks spread it first; added to each sum, or beside all of them."""
    top = b.max(x, axes=axes, keepdims=True)
    return log_sum_exp(b, x, b.broadcast(b.broadcast(top, SHAPE), SHAPE), b.reshape(top, (4, 1) if beside else (4,)))


SUMS = {
    "by the largest": (by, True),
    "with axes kept": (lambda b, x: by(b, x, kept=True), True),
    "over all": (lambda b, x: by(b, x, (0, 1)), True),
    "at a temperature": (lambda b, x: by(b, x, times=0.25), True),
    "by the smallest": (lambda b, x: by(b, x, extreme="min"), True),
    "over columns": (lambda b, x: by(b, x, (0,)), True),
    "spread first": (spread, True),
    "the largest computed twice": (
        lambda b, x: log_sum_exp(b, x, b.max(x, axes=(1,), keepdims=True), b.max(x, axes=(1,))),
        True,
    ),
    "of another axis": (
        lambda b, x: log_sum_exp(b, x, b.max(x, axes=(1,), keepdims=True), b.max(x, axes=(0,))),
        False,
    ),
    "of another value": (
        lambda b, x: log_sum_exp(b, x, b.max(x, axes=(1,), keepdims=True), b.max(b.multiply(x, 0.5), axes=(1,))),
        False,
    ),
    "that of the columns over rows": (lambda b, x: spread(b, x, (0,)), False),
    "that of each row beside all": (lambda b, x: spread(b, x, beside=True), False),
    "another one added back": (
        lambda b, x: log_sum_exp(b, x, b.max(x, axes=(1,), keepdims=True), b.min(x, axes=(1,))),
        False,
    ),
    "taken away again": (lambda b, x: b.subtract(by(b, x), b.multiply(b.max(x, axes=(1,)), 2.0)), False),
    "half added back": (
        lambda b, x: log_sum_exp(b, x, b.max(x, axes=(1,), keepdims=True), b.multiply(0.5, b.max(x, axes=(1,)))),
        False,
    ),
}


def softplus(b, x, beta=1.0, outside=1.0, inside=1.0):
    """``log(1 + exp(−β|x|)) / β + max(x, 0)``, with factors that are not 1."""
    logarithm = b.log1p(b.exp(b.multiply(b.abs(x), -beta * inside)))
    return b.add(b.divide(logarithm, beta), b.multiply(b.relu(x), outside))


SOFTPLUS = {
    "softplus": (softplus, True),
    "of a slope": (lambda b, x: softplus(b, x, 4.0), True),
    "three times": (lambda b, x: b.multiply(softplus(b, x, 2.0), 3.0), True),
    "by a maximum": (
        lambda b, x: b.add(b.log(b.add(b.exp(b.negate(b.abs(x))), 1.0)), b.maximum(0.0, x)),
        True,
    ),
    "mirrored": (lambda b, x: b.add(b.log1p(b.exp(b.negate(b.abs(x)))), b.relu(b.negate(x))), True),
    "with half of the ramp": (lambda b, x: softplus(b, x, outside=0.5), False),
    "with another slope inside": (lambda b, x: softplus(b, x, inside=2.0), False),
    "with a ramp of another": (
        lambda b, x: b.add(b.log1p(b.exp(b.negate(b.abs(x)))), b.relu(b.multiply(x, 0.5))),
        False,
    ),
    "of what grows": (lambda b, x: b.subtract(b.log1p(b.exp(b.abs(x))), b.relu(x)), True),
    "of what grows, with the ramp": (lambda b, x: b.subtract(b.log1p(b.exp(b.abs(x))), b.abs(x)), False),
}


@pytest.mark.parametrize("name", [*SUMS, *SOFTPLUS])
def test_what_is_written_with_a_shift(name):
    make, is_convex = (SUMS | SOFTPLUS)[name]
    b = Builder()
    found = make(b, b.input("x", SHAPE))
    assert judge(b.graph)[found].curvature is (Curvature.CONVEX if is_convex else Curvature.UNKNOWN)
    if is_convex:  # else so by chords
        return
    rng, broken = np.random.default_rng(0), False
    for _ in range(300):
        one, other = rng.normal(0.0, 2.0, (2, *SHAPE))
        at = [b.evaluate({"x": place})[found] for place in (one, other, 0.5 * (one + other))]
        broken |= bool(np.any(at[2] > 0.5 * (at[0] + at[1]) + 1e-9))
    assert broken
