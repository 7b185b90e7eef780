"""Which parameters must stay where, found by judging graphs: as little as possible is asked for."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from convex_init_core.constraints.kept import Kept, shown_interval, together
from convex_init_core.constraints.needed import needed
from tests.core.graphs.builder import Builder, NumpyFramework

INF = math.inf
NON_NEGATIVE, PROPORTION, NON_POSITIVE, AT_LEAST_ONE = (0.0, INF), (0.0, 1.0), (-INF, 0.0), (1.0, INF)


def parts(b):
    """The input x (3, 4), an affine map of it, and a convex value that is not below 0."""
    x = b.input("x", (3, 4))
    affine = b.linear(x, b.parameter("free", np.eye(4)))
    return x, affine, b.relu(affine)


def of(make, numbers=0.5):
    """What a model needs that ``make`` builds with a parameter "g" of these numbers."""
    b = Builder()
    x, affine, z = parts(b)
    g = b.parameter("g", np.full(4, numbers))
    b.output(make(b, g, x, affine, z))
    names = [str(node.params["name"]) for node in b.graph if node.name == "parameter"]
    return needed(b.graph, b.graph.outputs, names, framework=NumpyFramework())


def square_of_a_shifted(b, g, x, affine, z):
    return b.square(b.add(z, g))


def mixed(b, g, x, affine, z):
    return b.add(b.multiply(b.subtract(1.0, g), z), b.multiply(g, b.square(affine)))


NEEDED = {
    "a gate on a convex value": (lambda b, g, x, affine, z: b.add(z, b.multiply(g, b.relu(z))), {"g": NON_NEGATIVE}),
    "a factor on a square": (lambda b, g, x, affine, z: b.multiply(g, b.square(x)), {"g": NON_NEGATIVE}),
    "a factor on an affine value": (lambda b, g, x, affine, z: b.multiply(g, affine), {}),
    "a factor that is subtracted": (lambda b, g, x, affine, z: b.subtract(z, b.multiply(g, z)), {"g": NON_POSITIVE}),
    "a slope behind an affine value": (lambda b, g, x, affine, z: b.prelu(affine, g), {"g": PROPORTION}),
    "a slope of a convex value": (lambda b, g, x, affine, z: b.prelu(b.subtract(z, 1.0), g), {"g": PROPORTION}),
    "two parts of one": (mixed, {"g": PROPORTION}),
    "part of one, with an affine value": (
        lambda b, g, x, affine, z: b.add(b.multiply(b.subtract(1.0, g), affine), b.multiply(g, z)),
        {"g": NON_NEGATIVE},
    ),
    "a shift inside a square": (square_of_a_shifted, {"g": NON_NEGATIVE}),
    "an exponent": (lambda b, g, x, affine, z: b.power(z, g), {"g": AT_LEAST_ONE}),
    "a gate behind a map": (lambda b, g, x, affine, z: b.multiply(b.exp(g), z), {}),
    "gates behind a sigmoid": (
        lambda b, g, x, affine, z: b.add(
            b.multiply(b.sigmoid(g), z), b.multiply(b.subtract(1.0, b.sigmoid(g)), b.square(x))
        ),
        {},
    ),
    "a shift": (lambda b, g, x, affine, z: b.add(z, g), {}),
    "a scaled gate": (lambda b, g, x, affine, z: b.multiply(b.divide(g, 3.0), z), {"g": NON_NEGATIVE}),
    "a concave value, times a factor": (
        lambda b, g, x, affine, z: b.add(z, b.multiply(g, b.minimum(x, 0.0))),
        {"g": NON_POSITIVE},
    ),
}


@pytest.mark.parametrize("case", NEEDED)
@pytest.mark.parametrize("numbers", [0.5, -0.5])
def test_as_little_as_possible_is_needed(case: str, numbers: float) -> None:
    make, expected = NEEDED[case]
    found = of(make, numbers)
    assert (found.intervals, found.convex) == (expected, ["output"])


def test_a_weight_of_a_layer_is_found_like_any_other() -> None:
    found = of(lambda b, g, x, affine, z: b.linear(z, b.parameter("w", np.eye(4))))
    assert found.intervals == {"w": NON_NEGATIVE}


def test_a_parameter_that_does_not_train_is_taken_by_its_numbers() -> None:
    b = Builder()
    _, _, z = parts(b)
    b.output(b.multiply(b.parameter("fixed", np.full(4, 2.0)), z))
    assert needed(b.graph, b.graph.outputs, ["free"]).intervals == {}
    assert needed(b.graph, b.graph.outputs, ["free", "fixed"]).intervals == {"fixed": NON_NEGATIVE}


def test_a_divisor_that_a_projection_may_set_to_zero_is_no_solution() -> None:
    found = of(lambda b, g, x, affine, z: b.divide(b.relu(b.multiply(g, z)), g))
    assert found.convex == []
    assert "divides by 'g', which a projection may set to 0; put a map such as exp on it" in found.unsolved[0]
    assert of(lambda b, g, x, affine, z: b.divide(z, b.exp(g))).convex == ["output"]


@pytest.mark.parametrize("factor", [lambda b, g: b.subtract(g, 1.0), lambda b, g: b.log(g)], ids=["g - 1", "log of g"])
def test_the_interval_that_holds_the_present_numbers_is_chosen(factor) -> None:
    def make(b, g, x, affine, z):
        return b.multiply(factor(b, g), z)

    assert of(make, 3.0).intervals == {"g": AT_LEAST_ONE}  # in [0, 1] it would be concave, and 0 after a clamp
    assert of(make, 0.5).intervals == {"g": PROPORTION}


@pytest.mark.parametrize(
    "inverse", [lambda b, g: b.divide(1.0, g), lambda b, g: b.reciprocal(g)], ids=["1 / g", "reciprocal"]
)
def test_an_inverse_stays_away_from_zero_or_is_no_solution(inverse) -> None:
    def make(b, g, x, affine, z):
        return b.multiply(inverse(b, g), z)

    assert of(make, 2.0).intervals == {"g": AT_LEAST_ONE}
    assert "'g'" in of(make, 0.5).unsolved[0]


@pytest.mark.parametrize("numbers", [2.0, -2.0])
def test_the_present_sign_decides_between_convex_and_concave(numbers: float) -> None:
    found = of(lambda b, g, x, affine, z: b.subtract(0.0, b.multiply(g, z)), numbers)
    assert found.intervals == {"g": NON_POSITIVE if numbers < 0.0 else NON_NEGATIVE}
    assert found.concave == (() if numbers < 0.0 else ("output",))


def test_what_an_output_needs_that_cannot_be_convex_is_not_asked_for() -> None:
    b = Builder()
    _, _affine, z = parts(b)
    b.output(b.multiply(b.parameter("g", np.ones(4)), z), "output.0")
    b.output(b.tanh(b.multiply(b.parameter("aside", np.ones(4)), z)), "output.1")
    found = needed(b.graph, b.graph.outputs, ["free", "g", "aside"])
    assert (found.intervals, found.convex) == ({"g": NON_NEGATIVE}, ["output.0"])


def test_intervals() -> None:
    assert together((0.0, INF), (-INF, 1.0)) == PROPORTION
    assert together((0.0, INF), (-INF, 0.0)) is None
    assert [shown_interval(*one) for one in (NON_NEGATIVE, PROPORTION, NON_POSITIVE)] == ["[0, ∞)", "[0, 1]", "(-∞, 0]"]
    kept = Kept("g", "g", *PROPORTION, why="mul needs it")
    assert str(kept) == "g is kept in [0, 1]: mul needs it"
    assert json.loads(json.dumps(Kept("w", high=INF).to_dict()))["high"] is None
