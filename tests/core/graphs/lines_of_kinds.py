"""More lines of graphs, by kind: what needs a pattern to be proved, and its neighbours that are refused."""

from __future__ import annotations

import math

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder

LAST, KEEP = (1,), {"axes": (1,), "keepdims": True}
MASK = np.array([True, False, False, True])
PAIR = {"axes": ((2,), (1,)), "batch": ((0,), (0,))}


def gram(b: Builder, S: Node) -> Node:
    return b.matmul(S, b.transpose(S, axes=(1, 0)))


def inner(b: Builder, x: Node, y: Node) -> Node:
    """Row by row, as torch's ``bmm`` computes it."""
    rows, width = x.shape
    return b.contract(b.reshape(x, (rows, 1, width)), b.reshape(y, (rows, width, 1)), **PAIR)


def bilinear(b: Builder, x: Node, matrix: Node) -> Node:
    rows, width = x.shape
    product = b.multiply(b.reshape(x, (rows, width, 1)), b.reshape(matrix, (1, width, width)))
    return b.sum(b.multiply(product, b.reshape(x, (rows, 1, width))), axes=(1, 2))


def stabilised(b: Builder, x: Node, top: Node, again: Node) -> Node:
    return b.add(b.log(b.sum(b.exp(b.subtract(x, top)), **KEEP)), again)


def steep(b: Builder, x: Node, beta: float, times: float = 1.0) -> Node:
    """``max(x, 0) + times · log(1 + exp(−β|x|))``."""
    return b.add(b.relu(x), b.multiply(times, b.log1p(b.exp(b.multiply(-beta, b.abs(x))))))


def bent(b: Builder, x: Node) -> Node:
    return b.concatenate(b.relu(x), b.tanh(x), axis=1)


def eight_bits(b: Builder, x: Node) -> Node:
    return b.cast(b.cast(x, "float8_e4m3fn"), "float64")


def top_of(b: Builder, x: Node) -> Node:
    return b.max(x, **KEEP)


CONVEX = {
    "-∞ under a maximum": lambda b, x, W, S, y: b.max(b.where(MASK, -math.inf, x), axes=LAST),
    "-∞ under a log-sum-exp": lambda b, x, W, S, y: b.log_sum_exp(b.where(MASK, -math.inf, b.relu(x)), axes=LAST),
    "-∞ around": lambda b, x, W, S, y: b.max(b.pad(x, -math.inf, widths=((0, 0), (1, 1))), axes=LAST),
    "bounded by infinities": lambda b, x, W, S, y: b.minimum(b.maximum(b.relu(x), -math.inf), math.inf),
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
    "log-sum-exp by hand": lambda b, x, W, S, y: stabilised(b, x, top_of(b, x), top_of(b, x)),
    "log-sum-exp by hand, of features": lambda b, x, W, S, y: stabilised(
        b, b.relu(x), top_of(b, b.relu(x)), top_of(b, b.relu(x))
    ),
    "softplus by hand": lambda b, x, W, S, y: steep(b, x, 1.0),
    "steep softplus by hand": lambda b, x, W, S, y: steep(b, b.matmul(x, S), 5.0, 0.2),
    "minus the log of a share": lambda b, x, W, S, y: b.negate(b.log(b.softmax(x, axis=1))),
    "minus the log of an inverse": lambda b, x, W, S, y: b.negate(b.log(b.reciprocal(b.add(1.0, b.exp(x))))),
    "a part that was bent elsewhere": lambda b, x, W, S, y: b.part(bent(b, x), slice(None), slice(0, 4)),
    "a part, scaled": lambda b, x, W, S, y: b.part(b.multiply(2.0, bent(b, x)), slice(None), slice(1, 4)),
    "one of a stack": lambda b, x, W, S, y: b.part(b.stack(b.tanh(x), b.relu(x), axis=0), slice(1, 2)),
    "gate of a range": lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(b.max(y, **KEEP), b.min(y, **KEEP))),
    "gate of one minus a square": lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(1.0, b.square(b.tanh(y)))),
}

REFUSED = {
    "-∞ in a parameter": (
        lambda b, x, W, S, y: b.maximum(x, b.parameter("P", np.full(4, -math.inf))),
        "holds NaN or infinite values",
    ),
    "nan under a maximum": (lambda b, x, W, S, y: b.max(b.where(MASK, math.nan, x), axes=LAST), "nan is not finite"),
    "∞ under a maximum of a concave value": (
        lambda b, x, W, S, y: b.max(b.where(MASK, -math.inf, b.negate(b.relu(x))), axes=LAST),
        "not all convex",
    ),
    "products of two rows": (lambda b, x, W, S, y: inner(b, x, b.matmul(x, S)), "negative eigenvalue"),
    "products with a transpose": (
        lambda b, x, W, S, y: b.contract(
            b.part(x, slice(None), slice(0, 3)), b.transpose(b.part(x, slice(None), slice(0, 3)), axes=(1, 0)),
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
    "log-sum-exp with another shift": (
        lambda b, x, W, S, y: stabilised(b, x, top_of(b, x), b.multiply(0.5, top_of(b, x))),
        "argument lives",
    ),
    "log-sum-exp with a shift of other rows": (
        lambda b, x, W, S, y: stabilised(
            b, b.part(x, slice(None), slice(0, 3)), b.max(b.part(x, slice(None), slice(0, 3)), axes=LAST),
            top_of(b, b.part(x, slice(None), slice(0, 3))),
        ),
        "argument lives",
    ),
    "softplus by hand, too steep": (lambda b, x, W, S, y: steep(b, x, 2.0), "argument lives"),
    "softplus by hand, halved": (lambda b, x, W, S, y: steep(b, x, 1.0, 0.5), "argument lives"),
    "log of one minus a share": (lambda b, x, W, S, y: b.negate(b.log(b.subtract(1.0, b.sigmoid(x)))), "sigmoid"),
    "the part that is bent": (lambda b, x, W, S, y: b.part(bent(b, x), slice(None), slice(3, 5)), "tanh"),
    "parts of which one is scaled down": (
        lambda b, x, W, S, y: b.part(
            b.multiply(b.concatenate(b.relu(x), x, axis=1), np.arange(-4.0, 4.0)), slice(None), slice(0, 4)
        ),
        "goes down to",
    ),
    "gate of two ranges": (
        lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(b.max(y, **KEEP), b.min(b.matmul(y, S), **KEEP))),
        "takes both signs",
    ),
    "eight bits in a choice": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), eight_bits(b, x), 0.0),
        "truth values",
    ),
    "eight bits of two parts": (
        lambda b, x, W, S, y: b.part(eight_bits(b, b.concatenate(x, b.relu(x), axis=1)), slice(None), slice(0, 4)),
        "rounds to float8_e4m3fn",
    ),
    "eight bits of two parts before a layer": (
        lambda b, x, W, S, y: b.linear(
            eight_bits(b, b.concatenate(b.relu(x), x, axis=1)),
            b.parameter("B", np.hstack([np.ones((2, 4)), [[1.0, -1.0, 1.0, -1.0]] * 2])),
        ),
        "rounds to float8_e4m3fn",
    ),
}  # fmt: skip
