"""What is counted over a reading: loops and streams of tied weights, inputs that are shown, and units."""

from __future__ import annotations

import pytest

from convex_init_core.planning.facts import Facts, shows_input
from convex_init_core.planning.measurement.sizes import units_of
from tests.core.planning.models import FEATURES, WIDTH, by_name, dense, planned, recurrent, sample
from tests.core.planning.numpy_framework import NumpyFramework
from tests.core.reading.drawn_graphs import Drawing


def stem(g):
    x = g.input(4, 6)
    return x, g.relu(g.linear(x, "0", 8))


def again_and_again(g, step, steps=3):
    """One weight on what it made before."""
    x, z = stem(g)
    weight = g.parameter("w", 8, 8)
    for _ in range(steps):
        z = step(g, z, weight, x)
    return Facts(g.read(), None)


LOOPS = {
    "alone": (lambda g, z, w, x: g.relu(g.product(z, w)), False),
    "beside the input": (lambda g, z, w, x: g.relu(g.add(g.product(z, w), g.linear(x, "in", 8))), False),
    "added to what it read": (lambda g, z, w, x: g.add(z, g.relu(g.product(z, w))), True),
    "added to a part of it": (lambda g, z, w, x: g.add(g.multiply(0.9, z), g.relu(g.product(z, w))), True),
    "added to it where it stands": (
        lambda g, z, w, x: g.add(
            g.moved("transpose", g.moved("transpose", z, (8, 4), axes=(1, 0)), (4, 8), axes=(1, 0)),
            g.relu(g.product(z, w)),
        ),
        True,
    ),
    "added behind an activation": (lambda g, z, w, x: g.add(g.relu(g.add(z, 1.0)), g.relu(g.product(z, w))), False),
}


@pytest.mark.parametrize("name", LOOPS)
def test_which_loops_are_streams(name):
    step, is_stream = LOOPS[name]
    facts = again_and_again(Drawing(), step)
    assert facts.looping == {"w"}
    assert facts.streams == ({"w"} if is_stream else set())


def test_a_weight_that_is_used_side_by_side_does_not_loop():
    g = Drawing()
    x, z = stem(g)
    weight = g.parameter("w", 8, 8)
    g.add(g.relu(g.product(z, weight)), g.relu(g.product(g.relu(g.linear(x, "1", 8)), weight)))
    facts = Facts(g.read(), None)
    assert facts.uses["w"] == 2
    assert (facts.looping, facts.streams) == (set(), set())


@pytest.mark.parametrize(("steps", "is_long"), [(2, False), (3, True), (4, True)])
def test_two_steps_are_no_long_loop(steps, is_long):
    facts = again_and_again(Drawing(), LOOPS["alone"][0], steps)
    last = facts.reading.sums[-1]
    assert facts.is_long_loop(last) is is_long
    assert (facts.gain_of_loop(last) is not None) is is_long


def test_uses_are_told():
    assert "used 3 times" in by_name(planned(recurrent(3)))["w.weight"].note
    assert "used" not in by_name(planned(recurrent(1)))["w.weight"].note


def test_ties_are_told():
    def forward(b):
        z = b.relu(b.linear(b.input(), "0"))
        for _ in range(2):
            z = b.relu(b.product(z, b.parameter("1.weight"), "1"))
        return z

    shapes = dense(("0", FEATURES, WIDTH), ("1", WIDTH, WIDTH), ("2", WIDTH, WIDTH), bias=False)
    framework = NumpyFramework(forward, shapes, sample(), tied_to={"2.weight": "1.weight"})
    assert "tied to '2'" in by_name(planned(framework))["1.weight"].note


SHOWN = {
    "itself": (lambda g, x: x, True, True),
    "moved": (lambda g, x: g.moved("reshape", x, (2, 12)), True, True),
    "shifted": (lambda g, x: g.subtract(x, g.buffer("mean", [0.5] * 6)), True, True),
    "behind a function": (lambda g, x: g.relu(x), True, True),
    "times a number": (lambda g, x: g.multiply(x, 2.0), False, True),
    "a number times it": (lambda g, x: g.multiply(2.0, x), False, True),
    "standardised": (
        lambda g, x: g.divide(g.subtract(x, g.buffer("mean", [0.5] * 6)), g.buffer("std", [2.0] * 6)),
        False,
        True,
    ),
    "a number over it": (lambda g, x: g.divide(2.0, x), False, False),
    "times a parameter": (lambda g, x: g.multiply(x, g.parameter("gain", 6)), False, False),
    "times itself": (lambda g, x: g.multiply(x, x), False, False),
    "beside another": (lambda g, x: g.join(x, x), False, False),
    "a product": (lambda g, x: g.product(x, g.parameter("w", 8, 6)), False, False),
    "a number": (lambda g, x: g.literal(2.0), False, False),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_shows_the_input(name):
    make, plainly, scaled = SHOWN[name]
    g = Drawing()
    data = make(g, g.input(2, 6))
    assert (shows_input(data), shows_input(data, is_scaled=True)) == (plainly, scaled)


PLAIN = {"data_axes": (0, 1, 2), "strides": (1,), "dilation": (1,)}


@pytest.mark.parametrize(
    ("shape", "given", "units"),
    [
        ((8, 6, 3), {"weight_axes": (0, 1, 2), "groups": 1, "transposed": False}, 8),
        ((8, 2, 3), {"weight_axes": (0, 1, 2), "groups": 3, "transposed": False}, 8),
        ((6, 8, 3), {"weight_axes": (1, 0, 2), "groups": 1, "transposed": True}, 8),
        ((6, 4, 3), {"weight_axes": (1, 0, 2), "groups": 2, "transposed": True}, 8),
    ],
)
def test_the_units_of_a_convolution(shape, given, units):
    g = Drawing()
    g.node("convolve", g.input(2, 6, 9), g.parameter("w", *shape), shape=(2, units, 7), **PLAIN, **given)
    assert units_of(g.read().products[0]) == units


def test_the_units_of_a_dense_layer_are_not_those_of_its_copies():
    g = Drawing()
    x = g.input(4, 6)
    g.product(x, g.parameter("w", 8, 6))
    copies = g.moved("broadcast", g.parameter("v", 8, 6), (4, 8, 6))
    g.node("contract", copies, x, shape=(4, 8), axes=((2,), (1,)), batch=((0,), (0,)))
    assert [units_of(product) for product in g.read().products] == [8, 8]
