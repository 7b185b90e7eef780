"""Moments of the values of a graph, from those of its sums."""

from __future__ import annotations

import pytest

from convex_init_core.reading.factors import Numbers
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.signals import Signals
from convex_init_core.signal.signal_moments import activated, added, concatenated, pre_activation, scaled
from convex_init_core.theory.moments import FeatureMoments
from tests.core.reading.drawn_graphs import Drawing, moments

GIVEN = pre_activation(0.3, 2.0, 0.5)
MEASURED = FeatureMoments(0.5, 1.25, 1.0, 0.1)
RELU = activated("relu", GIVEN)

VALUES = {
    "activated": (lambda g, s: g.relu(s), RELU, ""),
    "scaled": (lambda g, s: g.divide(g.multiply(3.0, g.relu(s)), 2.0), scaled(RELU, 1.5), ""),
    "less a number": (lambda g, s: g.subtract(s, 2.0), added([GIVEN, FeatureMoments(-2.0, 4.0, 0.0, 0.0)]), ""),
    "moved": (lambda g, s: g.transpose(s, shape=(8, 4), axes=(1, 0)), GIVEN, ""),
    "beside another": (lambda g, s: g.join(s, g.relu(s)), concatenated([(32, GIVEN), (32, RELU)]), ""),
    "gated by context": (
        lambda g, s: g.multiply(g.relu(s), g.input(4, 8, name="c")),
        scaled(RELU, MEASURED.mean, MEASURED.second),
        "",
    ),
    "of no theory": (lambda g, s: g.tanh(s), GIVEN, "tanh"),
    "behind no theory": (lambda g, s: g.relu(g.tanh(s)), RELU, "tanh"),
    "of context alone": (lambda g, s: g.tanh(g.input(4, 8, name="c")), MEASURED, ""),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value(name):
    make, expected, doubt = VALUES[name]
    g = Drawing()
    s = g.linear(g.input(4, 6), "0", 8)
    node = make(g, s)
    reading = g.read(["x"])
    numbers = Numbers(moments, lambda node: MEASURED)
    signals = Signals(reading, Feeding.of(g.graph, reading.values), numbers)
    signals.decided[s] = GIVEN
    found, why = signals.of(node)
    assert (found.mean, found.second, found.covariance) == pytest.approx(
        (expected.mean, expected.second, expected.covariance)
    )
    assert why == doubt
