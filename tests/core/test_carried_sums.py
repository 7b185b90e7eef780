"""``r + φ(s − r)`` is convex in both for a convex φ whose slope stays between 0 and 1, and for no other."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity.calculus import Curvature, Monotonicity
from convex_init_core.convexity.judge import judge
from tests.core.graphs.builder import Builder

BENDS = {
    "relu": (lambda b, d: b.relu(d), True),
    "maximum": (lambda b, d: b.maximum(d, -0.5), True),
    "leaky relu": (lambda b, d: b.leaky_relu(d, slope=0.3), True),
    "the identity": (lambda b, d: b.leaky_relu(d, slope=1.0), True),
    "elu": (lambda b, d: b.elu(d), True),
    "half of an elu": (lambda b, d: b.elu(d, scale=0.5, alpha=1.0), True),
    "celu": (lambda b, d: b.elu(d, alpha=0.4, input_scale=2.5), True),
    "softplus": (lambda b, d: b.softplus(d, beta=3.0), True),
    "a leaky relu that turns back": (lambda b, d: b.leaky_relu(d, slope=-0.3), False),
    "a leaky relu that bends down": (lambda b, d: b.leaky_relu(d, slope=1.2), False),
    "a steep elu": (lambda b, d: b.elu(d, scale=1.05, alpha=0.5), False),
    "an elu that bends down": (lambda b, d: b.elu(d, alpha=1.6), False),
    "an elu that falls": (lambda b, d: b.elu(d, alpha=-0.5), False),
    "a softplus that is turned over": (lambda b, d: b.softplus(d, beta=-1.0), False),
    "a softplus without values": (lambda b, d: b.softplus(d, beta=0.0), False),
    "a softplus that has none at 0": (lambda b, d: b.softplus(d, beta=np.inf), False),
    "an elu that is turned over": (lambda b, d: b.elu(d, scale=-1.0, alpha=0.5), False),
    "an elu that falls on both sides": (lambda b, d: b.elu(d, alpha=-0.5, input_scale=-1.0), False),
    "a falling softplus": (lambda b, d: b.softplus(b.negate(d)), False),
    "a softplus that jumps": (lambda b, d: b.softplus(d, threshold=2.0), False),
    "a steep relu": (lambda b, d: b.multiply(b.relu(d), 1.5), False),
    "a square": (lambda b, d: b.square(d), False),
    "an absolute value": (lambda b, d: b.abs(d), False),
}


def carried(make, turned=False):
    """The sum of convex s and r, which both rise in x and y."""
    b = Builder()
    s, r = (b.softplus(b.input(name, (3, 4))) for name in ("x", "y"))
    bend = make(b, b.subtract(s, r))
    return b, b.add(r, bend) if turned else b.add(bend, r)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", BENDS)
def test_a_bend_beside_its_carrier(name, turned):
    make, is_convex = BENDS[name]
    b, found = carried(make, turned)
    value = judge(b.graph)[found]
    assert value.curvature is (Curvature.CONVEX if is_convex else Curvature.UNKNOWN)
    if is_convex:
        assert value.monotone == {"x": Monotonicity.INCREASING, "y": Monotonicity.INCREASING}


@pytest.mark.parametrize("name", [name for name, (_, is_convex) in BENDS.items() if is_convex])
def test_what_is_certified_has_no_chord_below_it(name):
    b, found = carried(BENDS[name][0])
    rng = np.random.default_rng(0)
    for _ in range(100):
        one, other = rng.normal(0.0, 3.0, (2, 2, 3, 4))
        at = [b.evaluate(dict(zip("xy", place, strict=True)))[found] for place in (one, other, 0.5 * (one + other))]
        assert np.all(at[2] <= 0.5 * (at[0] + at[1]) + 1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda b, s, r: b.add(b.softplus(b.input("z", (3, 4))), b.relu(b.subtract(s, r))),
        lambda b, s, r: b.subtract(b.relu(b.subtract(s, r)), r),
        lambda b, s, r: b.add(b.negate(s), b.relu(b.subtract(b.negate(s), b.negate(s)))),
        lambda b, s, r: b.add(b.negate(r), b.relu(b.subtract(s, b.negate(r)))),
    ],
    ids=["beside another", "without its carrier", "of concave values", "beside a concave carrier"],
)
def test_what_is_no_carried_sum(make):
    b = Builder()
    s, r = (b.softplus(b.input(name, (3, 4))) for name in ("x", "y"))
    found = make(b, s, r)
    assert not judge(b.graph)[found].curvature.is_convex
