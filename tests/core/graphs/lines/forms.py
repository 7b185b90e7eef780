"""Lines of graphs: squares and quadratic forms, in the ways in which people write them."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.lines.expressions import LAST, MIXED

PAIR = {"axes": ((2,), (1,)), "batch": ((0,), (0,))}


def gram(b: Builder, S: Node) -> Node:
    return b.matmul(S, b.transpose(S, axes=(1, 0)))


def form(b: Builder, z: Node, matrix: Node) -> Node:
    return b.multiply(0.5, b.sum(b.multiply(z, b.linear(z, matrix)), axes=LAST))


def inner(b: Builder, x: Node, y: Node) -> Node:
    """Row by row, as torch's ``bmm`` computes it."""
    rows, width = x.shape
    return b.contract(b.reshape(x, (rows, 1, width)), b.reshape(y, (rows, width, 1)), **PAIR)


def bilinear(b: Builder, x: Node, matrix: Node) -> Node:
    rows, width = x.shape
    product = b.multiply(b.reshape(x, (rows, width, 1)), b.reshape(matrix, (1, width, width)))
    return b.sum(b.multiply(product, b.reshape(x, (rows, 1, width))), axes=(1, 2))


CONVEX = {
    "squared norm": lambda b, x, W, S, y: b.add(
        b.sum(b.relu(x), axes=LAST), b.multiply(0.1, b.power(b.norm(x, axes=LAST), 2.0))
    ),
    "quadratic form": lambda b, x, W, S, y: b.sum(b.multiply(b.matmul(x, gram(b, S)), x), axes=LAST),
    "quadratic form by its numbers": lambda b, x, W, S, y: form(b, x, b.parameter("Q", MIXED @ MIXED.T)),
    "quadratic form of an affine map": lambda b, x, W, S, y: form(b, b.add(b.matmul(x, S), 1.0), gram(b, S)),
    "quadratic form with a linear term": lambda b, x, W, S, y: b.sum(
        b.multiply(x, b.add(b.matmul(x, gram(b, S)), y)), axes=LAST
    ),
    "root of a quadratic form": lambda b, x, W, S, y: b.sqrt(form(b, x, gram(b, S))),
    "quadratic form as an einsum": lambda b, x, W, S, y: b.contract(
        b.matmul(x, gram(b, S)), x, axes=((1,), (1,)), batch=((0,), (0,))
    ),
    "quadratic form from the left": lambda b, x, W, S, y: b.sum(
        b.multiply(b.contract(b.parameter("Q", np.diag([1.0, 2.0, 3.0])), x, axes=((1,), (0,))), x), axes=(0,)
    ),
    "squares as an einsum": lambda b, x, W, S, y: b.contract(
        b.matmul(x, S), b.matmul(x, S), axes=((1,), (1,)), batch=((0,), (0,))
    ),
    "square of a product computed twice": lambda b, x, W, S, y: b.multiply(b.matmul(x, S), b.matmul(x, S)),
    "squares row by row": lambda b, x, W, S, y: inner(b, x, x),
    "squares of a map row by row": lambda b, x, W, S, y: inner(b, b.matmul(x, S), b.matmul(x, S)),
    "weighted squares": lambda b, x, W, S, y: b.sum(b.multiply(b.multiply(x, b.part(W, slice(0, 1))), x), axes=LAST),
    "form row by row": lambda b, x, W, S, y: inner(b, b.matmul(x, gram(b, S)), x),
    "bilinear form": lambda b, x, W, S, y: bilinear(b, x, gram(b, S)),
    "half a form and a term": lambda b, x, W, S, y: b.sum(
        b.multiply(x, b.add(b.multiply(0.5, b.matmul(x, gram(b, S))), y)), axes=LAST
    ),
    "form and squares": lambda b, x, W, S, y: b.sum(
        b.add(b.multiply(x, b.matmul(x, gram(b, S))), b.multiply(x, x)), axes=LAST
    ),
    "form of a Laplacian": lambda b, x, W, S, y: inner(b, b.matmul(x, b.parameter("L", 4 * np.eye(4) - 1.0)), x),
    "form of rank one": lambda b, x, W, S, y: inner(b, b.matmul(x, b.parameter("L", np.ones((4, 4)))), x),
    "form of integers": lambda b, x, W, S, y: inner(
        b, b.matmul(x, b.parameter("L", np.outer([1, 2, 3, 4], [1, 2, 3, 4]))), x
    ),
}

REFUSED = {
    "indefinite form": (
        lambda b, x, W, S, y: b.sum(b.multiply(b.matmul(x, b.add(S, b.transpose(S, axes=(1, 0)))), x), axes=LAST),
        "negative eigenvalue",
    ),
    "form of a convex value": (lambda b, x, W, S, y: form(b, b.relu(x), gram(b, S)), "but not non-decreasing"),
    "part of a form": (
        lambda b, x, W, S, y: b.cumulative_sum(b.multiply(x, b.matmul(x, gram(b, S))), axis=1),
        "both depend on the input",
    ),
    "form over the rows": (
        lambda b, x, W, S, y: b.sum(b.multiply(x, b.matmul(x, gram(b, S))), axes=(0,)),
        "both depend on the input",
    ),
    "root of a form with a linear term": (
        lambda b, x, W, S, y: b.sqrt(b.sum(b.multiply(x, b.add(b.matmul(x, gram(b, S)), y)), axes=LAST)),
        "sqrt is concave",
    ),
    "products of two rows": (lambda b, x, W, S, y: inner(b, x, b.matmul(x, S)), "negative eigenvalue"),
    "products with a transpose": (
        lambda b, x, W, S, y: b.contract(
            b.part(x, slice(None), slice(0, 3)),
            b.transpose(b.part(x, slice(None), slice(0, 3)), axes=(1, 0)),
            axes=((0, 1), (0, 1)),
        ),
        "both depend on the input",
    ),
    "squares with weights of both signs": (
        lambda b, x, W, S, y: b.sum(b.multiply(b.multiply(x, b.part(S, slice(0, 1))), x), axes=LAST),
        "both depend on the input",
    ),
    "form with a barely negative direction": (
        lambda b, x, W, S, y: inner(b, b.matmul(x, b.parameter("L", np.diag([1.0, 1.0, 1.0, -1e-17]))), x),
        "too close to 0 to tell",
    ),
    "bilinear form that is indefinite": (lambda b, x, W, S, y: bilinear(b, x, S), "negative eigenvalue"),
}
