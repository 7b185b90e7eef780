"""Choices that are certain for real numbers, and that rounding or underflow turns for the numbers that are computed."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity.calculus import Curvature
from convex_init_core.convexity.judge import judge
from tests.core.graphs.builder import Builder, NumpyFramework

FAR = np.linspace(-900.0, 700.0, 1601)
NEAR_A_TOUCH = 0.3 + np.linspace(-4e-8, 4e-8, 4001)
NEAR_ZERO = np.linspace(-3.0, 3.0, 4001)


def chosen(b, left, relation, right, jump=1.0):
    """One slope, and the same slope below it where a comparison does not hold."""
    s = b.graph.nodes[0]
    return b.where(b.compare(left, relation, right), b.multiply(s, 0.2), b.subtract(b.multiply(s, 0.2), jump))


def touching(b, s):
    """``(s − 0.3)²``, expanded."""
    return b.add(b.subtract(b.square(s), b.multiply(s, 0.6)), 0.09)


def lost(b, s):
    """``s + 10 − 10 − s``: 0, or what rounding makes of it."""
    return b.subtract(b.subtract(b.add(s, 10.0), 10.0), s)


TURNED = {
    "elu above its bound": (lambda b, s: chosen(b, b.elu(s), ">", -1.0), FAR),
    "its bound below elu": (lambda b, s: chosen(b, -1.0, "<", b.elu(s)), FAR),
    "elu at its bound": (lambda b, s: chosen(b, b.elu(s), "<=", -1.0, -1.0), FAR),
    "elu and its bound, added": (lambda b, s: chosen(b, b.add(b.elu(s), 1.0), ">", 0.0), FAR),
    "elu of what falls": (lambda b, s: chosen(b, b.elu(b.negate(s)), ">", -1.0), FAR),
    "exp above 0": (lambda b, s: chosen(b, b.exp(s), ">", 0.0), FAR),
    "exp scaled above 0": (lambda b, s: chosen(b, b.multiply(b.exp(b.multiply(s, 3.0)), 1e-3), ">", 0.0), FAR),
    "expm1 above -1": (lambda b, s: chosen(b, b.expm1(s), ">", -1.0), FAR),
    "more than 1": (lambda b, s: chosen(b, b.add(b.exp(b.negate(s)), 1.0), ">", 1.0), FAR),
    "the sign of exp": (lambda b, s: b.add(b.multiply(s, 0.2), b.sign(b.exp(s))), FAR),
    "the threshold of exp": (lambda b, s: b.add(s, b.threshold(b.exp(s), at=0.0, value=5.0)), FAR),
    "exp behind a mask": (
        lambda b, s: b.add(b.multiply(s, 0.2), b.cast(b.compare(b.exp(s), ">", 0.0))),
        FAR,
    ),
    "a parabola that touches 0": (lambda b, s: chosen(b, touching(b, s), ">=", 0.0), NEAR_A_TOUCH),
    "the sign of one": (
        lambda b, s: b.add(b.multiply(s, 0.2), b.relu(b.negate(b.sign(touching(b, s))))),
        NEAR_A_TOUCH,
    ),
    "what cancels": (lambda b, s: chosen(b, lost(b, s), ">=", 0.0), NEAR_ZERO),
    "what cancels, not below": (lambda b, s: chosen(b, lost(b, s), "<", 0.0, -1.0), NEAR_ZERO),
    "what cancels, between two": (lambda b, s: chosen(b, b.add(lost(b, s), s), ">=", s), NEAR_ZERO),
    "two exponentials": (lambda b, s: chosen(b, b.exp(s), ">", b.expm1(s)), FAR),
    "two cubes": (
        lambda b, s: chosen(b, b.add(b.power(b.multiply(s, 1e4), 3.0), 1.0), ">", b.power(b.multiply(s, 1e4), 3.0)),
        FAR,
    ),
    "two squares": (
        lambda b, s: chosen(b, b.add(b.square(b.multiply(s, 1e9)), 1.0), ">", b.square(b.multiply(s, 1e9))),
        NEAR_ZERO,
    ),
}
CERTAIN = {
    "elu above a number over its bound": lambda b, s: b.where(b.compare(b.elu(s), ">", -1.5), b.relu(s), 3.0),
    "the larger of elu and its bound": lambda b, s: b.add(b.maximum(b.elu(s), -1.0), b.relu(s)),
    "a clamped value at its bound": lambda b, s: b.where(
        b.compare(b.maximum(b.minimum(s, 1.0), -1.0), ">=", 1.0),
        b.subtract(b.multiply(s, 2.0), 1.0),
        b.square(b.relu(s)),
    ),
    "relu where it is the argument": lambda b, s: b.where(b.compare(b.relu(s), "<=", s), b.square(s), 0.0),
    "relu where it is not 0": lambda b, s: b.where(b.compare(b.relu(s), ">", 0.0), b.square(s), 0.0),
    "exp above 1": lambda b, s: b.where(b.compare(b.exp(s), ">", 1.0), b.subtract(b.exp(s), 1.0), s),
    "a square, the same from both sides": lambda b, s: b.where(b.compare(b.square(s), ">", 0.0), b.abs(s), 0.0),
    "a parabola far from 0": lambda b, s: b.where(b.compare(b.add(b.square(s), 1.0), ">", 0.5), b.abs(s), 7.0),
}


def judged(make):
    b = Builder()
    node = make(b, b.input("x", (1, 1)))
    return judge(b.graph, framework=NumpyFramework())[node].curvature, b, node


@pytest.mark.parametrize("name", TURNED)
def test_what_rounding_turns_is_not_proved(name):
    assert judged(TURNED[name][0])[0] is Curvature.UNKNOWN


@pytest.mark.parametrize("name", TURNED)
def test_it_is_truly_turned(name):
    """The control of the test above: somewhere the computed function jumps, and lies above its chord."""
    make, places = TURNED[name]
    _, b, node = judged(make)
    with np.errstate(all="ignore"):
        values = np.array([float(b.evaluate({"x": np.full((1, 1), place)})[node].flat[0]) for place in places])
    chords = 0.5 * (values[:-2] + values[2:]) - values[1:-1]
    assert chords.min() < -0.1


@pytest.mark.parametrize("name", CERTAIN)
def test_what_it_does_not_turn_is_proved(name):
    assert judged(CERTAIN[name])[0] is Curvature.CONVEX
