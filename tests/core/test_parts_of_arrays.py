"""What is known of a part of an array: what it was made from, where that can be followed."""

from __future__ import annotations

import pytest

from convex_init_core.convexity.calculus import Curvature
from convex_init_core.convexity.judge import judge
from tests.core.graphs.builder import Builder

CONVEX, CONCAVE, UNKNOWN = Curvature.CONVEX, Curvature.CONCAVE, Curvature.UNKNOWN


def both(b, x):
    """Columns 0 to 3 convex, 4 to 7 concave."""
    return b.concatenate(b.square(x), b.negate(b.square(x)), axis=1)


def cut(b, node, start, stop):
    return b.part(node, slice(None), slice(start, stop))


def padded(b, node, before, after, rows=(0, 0), value=0.0):
    return b.pad(node, value, widths=(rows, (before, after)))


PARTS = {
    "the first part": (lambda b, x: cut(b, both(b, x), 0, 4), CONVEX),
    "within the first part": (lambda b, x: cut(b, both(b, x), 1, 3), CONVEX),
    "the second part": (lambda b, x: cut(b, both(b, x), 4, 8), CONCAVE),
    "of both": (lambda b, x: cut(b, both(b, x), 3, 5), UNKNOWN),
    "moved on by padding": (lambda b, x: cut(b, padded(b, both(b, x), 2, 1), 2, 6), CONVEX),
    "moved on by padding, the second": (lambda b, x: cut(b, padded(b, both(b, x), 2, 1), 6, 10), CONCAVE),
    "moved on by padding, of both": (lambda b, x: cut(b, padded(b, both(b, x), 2, 1), 5, 7), UNKNOWN),
    "padding, and a part": (lambda b, x: cut(b, padded(b, both(b, x), 2, 1), 1, 4), UNKNOWN),
    "a part, and padding": (lambda b, x: cut(b, padded(b, both(b, x), 2, 1), 8, 11), UNKNOWN),
    "padding alone": (lambda b, x: cut(b, padded(b, both(b, x), 2, 1), 0, 2), UNKNOWN),
    "padding before what is cut off": (
        lambda b, x: cut(b, padded(b, both(b, x), 6, 0), 0, 5),
        UNKNOWN,
    ),
    "padded along both axes": (lambda b, x: cut(b, padded(b, both(b, x), 2, 0, (1, 0)), 2, 6), CONVEX),
    "of a transpose": (
        lambda b, x: b.part(b.transpose(both(b, x), axes=(1, 0)), slice(0, 4)),
        CONVEX,
    ),
    "of a part": (lambda b, x: cut(b, cut(b, both(b, x), 1, 6), 3, 5), CONCAVE),
    "of every second": (
        lambda b, x: cut(b, b.part(both(b, x), slice(None), slice(0, 8, 2)), 0, 3),
        UNKNOWN,
    ),
    "of rows": (
        lambda b, x: b.part(b.reshape(both(b, x), (3, 2, 4)), slice(None), slice(1, 2)),
        CONCAVE,
    ),
    "of rows that cross": (
        lambda b, x: b.part(b.reshape(both(b, x), (3, 4, 2)), slice(None), slice(1, 3)),
        UNKNOWN,
    ),
    "of a stack": (lambda b, x: b.part(b.stack(b.exp(x), b.negate(b.exp(x)), axis=0), slice(1, 2)), CONCAVE),
    "along a stack": (
        lambda b, x: b.part(b.stack(both(b, x), both(b, x), axis=0), slice(None), slice(None), slice(0, 4)),
        CONVEX,
    ),
    "of what is computed": (lambda b, x: cut(b, b.negate(both(b, x)), 4, 8), CONVEX),
    "of a sum": (lambda b, x: cut(b, b.add(both(b, x), 1.0), 0, 4), CONVEX),
    "of a difference": (lambda b, x: cut(b, b.subtract(1.0, both(b, x)), 0, 4), CONCAVE),
    "of a product": (lambda b, x: cut(b, b.multiply(-2.0, both(b, x)), 0, 4), CONCAVE),
    "of a quotient": (lambda b, x: cut(b, b.divide(both(b, x), -2.0), 4, 8), CONVEX),
    "of what is spread": (
        lambda b, x: b.part(b.broadcast(both(b, x), (2, 3, 8)), slice(None), slice(None), slice(0, 4)),
        CONVEX,
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_what_it_was_made_from(name):
    make, wanted = PARTS[name]
    b = Builder()
    found = make(b, b.input("x", (3, 4)))
    assert judge(b.graph)[found].curvature is wanted
