"""Quadratic forms whose matrix is almost semi-definite: told without rounding, and never too well."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity.calculus import Curvature
from convex_init_core.convexity.judge import judge
from tests.core.graphs.builder import Builder, NumpyFramework

STEP = 2.0**-52


def curvature_of(matrix):
    b = Builder()
    x = b.input("x", (3, len(matrix)))
    form = b.sum(b.multiply(x, b.linear(x, b.parameter("Q", matrix))), axes=(1,))
    return judge(b.graph, framework=NumpyFramework())[form].curvature


def neighbours(count):
    """Differences along a ring: rows that sum to 0, so that 0 is an eigenvalue."""
    eye = np.eye(count)
    return 2.0 * eye - np.roll(eye, 1, axis=1) - np.roll(eye, -1, axis=1)


def pair(beside, count=2):
    matrix = np.eye(count)
    matrix[0, 1] = matrix[1, 0] = beside
    return matrix


def least(count):
    """A ring of which one row sums to less than 0."""
    matrix = neighbours(count)
    matrix[0, 0] -= 4.0 * STEP
    return matrix


FORMS = {
    "two equal rows": (pair(1.0), True),
    "a step below": (pair(1.0 - STEP), True),
    "a step above": (pair(1.0 + STEP), False),
    "a step above, turned": (pair(-1.0 - STEP), False),
    "a step above, among many rows": (pair(1.0 + STEP, 40), False),
    "one half of it only": (np.array([[1.0, 2.0], [0.0, 1.0]]), True),
    "one half, a step above": (np.array([[1.0, 2.0 + 2.0 * STEP], [0.0, 1.0]]), False),
    "a ring": (neighbours(6), True),
    "a large ring": (neighbours(40), True),
    "a ring that leaks": (least(6), False),
    "a large ring that leaks": (least(40), False),
    "rows that do not dominate": (np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [1.0, 2.0, 2.0]]), True),
    "a zero with something beside it": (np.array([[1.0, 0.0, 0.0], [0.0, 0.0, STEP], [0.0, STEP, 1.0]]), False),
    "zeros": (np.zeros((3, 3)), True),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_on_the_edge_is_told_exactly(name):
    matrix, is_convex = FORMS[name]
    found = curvature_of(matrix), curvature_of(-matrix)
    if is_convex:
        assert (found[0].is_convex, found[1].is_concave) == (True, True)
    else:
        assert found == (Curvature.UNKNOWN, Curvature.UNKNOWN)


def test_whole_numbers_are_told_exactly():
    """A product with itself of few columns has eigenvalues of 0; a little less in one place makes them negative."""
    rng, spoilt = np.random.default_rng(0), 0
    for _ in range(60):
        columns = int(rng.integers(2, 5))
        made = rng.integers(-2, 3, (5, columns)).astype(float)
        matrix = made @ made.T
        assert curvature_of(matrix).is_convex
        unseen = np.linalg.svd(made.T)[2][columns:]
        if np.abs(unseen[:, 0]).max() > 1e-3:
            matrix[0, 0] -= 1e-13
            assert curvature_of(matrix) is Curvature.UNKNOWN
            spoilt += 1
    assert spoilt > 30
