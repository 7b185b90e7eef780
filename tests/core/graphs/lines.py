"""What people write, one expression each, as graphs: of x (3, 4) and weights W ≥ 0, S of both signs, both (4, 4)."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder

RNG = np.random.default_rng(0)
SORTS = {"why": "sorts", "non_negative": False}
PLUS, MIXED = RNG.uniform(size=(4, 4)), RNG.standard_normal((4, 4))
LAST, KEEP = (1,), {"axes": (1,), "keepdims": True}


def line(function) -> Builder:
    """A graph of one expression, with context y (3, 4)."""
    b = Builder()
    x, y = b.input("x", (3, 4)), b.input("y", (3, 4))
    b.output(function(b, x, b.parameter("W", PLUS), b.parameter("S", MIXED), y))
    return b


def gram(b: Builder, S: Node) -> Node:
    return b.matmul(S, b.transpose(S, axes=(1, 0)))


def form(b: Builder, z: Node, matrix: Node) -> Node:
    return b.multiply(0.5, b.sum(b.multiply(z, b.linear(z, matrix)), axes=LAST))


def descending(b: Builder, x: Node) -> Node:
    return b.sort(x, axis=1, descending=True)


def both(b: Builder, x: Node) -> Node:
    """Features beside the input."""
    return b.concatenate(b.relu(x), x, axis=1)


def clamp(b: Builder, x: Node, low: float, high: float) -> Node:
    return b.minimum(b.maximum(x, low), high)


def elu_by_choice(b: Builder, x: Node) -> Node:
    left = b.subtract(b.exp(b.minimum(x, 0.0)), 1.0)
    return b.where(b.compare(x, ">", 0.0), x, left)


def squares(b: Builder, y: Node) -> Node:
    return b.contract(y, y, axes=((0,), (0,)))


def flipped(b: Builder, x: Node) -> Node:
    return b.op("rearrange", x, run=lambda a: a[:, ::-1])


def column(b: Builder, x: Node, i: int) -> Node:
    return b.part(x, slice(None), slice(i, i + 1))


CONVEX = {
    "half a squared relu": lambda b, x, W, S, y: b.multiply(
        0.5, b.sum(b.power(b.relu(b.matmul(x, S)), 2.0), axes=LAST)
    ),
    "softplus through 0": lambda b, x, W, S, y: b.subtract(b.softplus(x), b.softplus(b.literal(np.zeros(1)))),
    "squareplus": lambda b, x, W, S, y: b.divide(b.add(x, b.sqrt(b.add(b.power(x, 2.0), 4.0))), 2.0),
    "smoothed leaky relu": lambda b, x, W, S, y: b.add(b.multiply(0.2, x), b.multiply(0.8, b.softplus(x))),
    "maxout": lambda b, x, W, S, y: b.max(b.reshape(b.matmul(x, b.concatenate(S, W, axis=1)), (3, 4, 2)), axes=(2,)),
    "softmax of weights": lambda b, x, W, S, y: b.matmul(b.relu(x), b.softmax(S, axis=1)),
    "squared weights": lambda b, x, W, S, y: b.matmul(b.relu(x), b.power(S, 2.0)),
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
    "total variation": lambda b, x, W, S, y: b.sum(
        b.abs(b.subtract(b.part(x, slice(None), slice(1, 4)), b.part(x, slice(None), slice(0, 3)))), axes=LAST
    ),
    "group lasso": lambda b, x, W, S, y: b.sum(b.norm(b.reshape(x, (3, 2, 2)), axes=(2,)), axes=LAST),
    "pinball loss": lambda b, x, W, S, y: b.maximum(b.multiply(0.3, x), b.multiply(-0.7, x)),
    "size by an extreme": lambda b, x, W, S, y: b.maximum(b.multiply(-1.0, b.abs(x)), b.abs(x)),
    "hinge loss": lambda b, x, W, S, y: b.mean(
        b.relu(b.subtract(1.0, b.multiply(x, np.array([1.0, -1.0, 1.0, -1.0])))), axes=(0, 1)
    ),
    "softmax regression": lambda b, x, W, S, y: b.subtract(b.log_sum_exp(x, **KEEP), column(b, x, 0)),
    "cross entropy": lambda b, x, W, S, y: b.negate(column(b, b.log_softmax(x, axis=1), 2)),
    "relu by a choice": lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, 0.0),
    "relu by a choice of zeros": lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, np.zeros((3, 4))),
    "relu by a choice, number first": lambda b, x, W, S, y: b.where(b.compare(0.0, "<", x), x, 0.0),
    "relu of a product computed twice": lambda b, x, W, S, y: b.where(
        b.compare(b.matmul(x, S), ">", 0.0), b.matmul(x, S), 0.0
    ),
    "leaky relu by a choice": lambda b, x, W, S, y: b.matmul(
        b.where(b.compare(x, ">=", 0.0), x, b.multiply(0.2, x)), W
    ),
    "leaky relu, other way round": lambda b, x, W, S, y: b.matmul(
        b.where(b.compare(x, "<", 0.0), b.multiply(0.2, x), x), W
    ),
    "elu by a choice": lambda b, x, W, S, y: b.matmul(elu_by_choice(b, x), W),
    "relu by a mask": lambda b, x, W, S, y: b.matmul(b.multiply(x, b.cast(b.compare(x, ">", 0.0))), W),
    "squared relu by a choice": lambda b, x, W, S, y: b.matmul(
        b.where(b.compare(x, ">", 0.0), b.power(x, 2.0), 0.0), W
    ),
    "huber by a choice": lambda b, x, W, S, y: b.where(
        b.compare(x, ">", 0.1), b.subtract(b.multiply(0.2, x), 0.01), b.square(x)
    ),
    "rows of a table": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.op("gather", W, np.arange(3), run=lambda a, i: a[i], axis=0)
    ),
    "the largest two": lambda b, x, W, S, y: b.sum(b.largest(x, k=2, axis=1), axes=LAST),
    "the largest": lambda b, x, W, S, y: b.largest(x, k=1, axis=1),
    "the first of the sorted": lambda b, x, W, S, y: column(b, descending(b, x), 0),
    "a prefix of the sorted": lambda b, x, W, S, y: b.sum(
        b.part(descending(b, x), slice(None), slice(0, 3)), axes=LAST
    ),
    "the last of the sorted": lambda b, x, W, S, y: b.sum(
        b.part(b.sort(x, axis=1, descending=False), slice(None), slice(2, 4)), axes=LAST
    ),
    "running sums of the sorted": lambda b, x, W, S, y: b.cumulative_sum(descending(b, x), axis=1),
    "scaled by its weights' norm": lambda b, x, W, S, y: b.matmul(
        b.relu(x), b.divide(W, b.maximum(b.sum(W, axes=(0,), keepdims=True), 1e-6))
    ),
    "weights through their own network": lambda b, x, W, S, y: b.matmul(b.relu(x), b.softplus(b.matmul(b.tanh(S), W))),
    "minus a concave function": lambda b, x, W, S, y: b.negate(b.minimum(x, b.matmul(x, S))),
    "log-cosh": lambda b, x, W, S, y: b.log(b.cosh(b.multiply(0.3, x))),
    "minus the log of a sigmoid": lambda b, x, W, S, y: b.negate(b.log(b.sigmoid(x))),
    "softplus of a negative beta, negated": lambda b, x, W, S, y: b.negate(b.softplus(x, beta=-1.0)),
    "a weight for two parts": lambda b, x, W, S, y: b.linear(both(b, x), b.parameter("B", np.hstack([PLUS, MIXED]))),
    "a weight of two parts": lambda b, x, W, S, y: b.linear(both(b, x), b.concatenate(b.exp(S), S, axis=1)),
    "parts behind moves": lambda b, x, W, S, y: b.linear(
        b.transpose(b.transpose(b.reshape(both(b, x), (3, 1, 8)), axes=(2, 1, 0)), axes=(2, 1, 0)),
        b.parameter("B", np.hstack([PLUS, MIXED])),
    ),
    "channels of two parts": lambda b, x, W, S, y: b.convolve(
        b.reshape(both(b, x), (3, 8, 1)), b.parameter("B", np.hstack([PLUS, MIXED])[:, :, None])
    ),
    "gates for two parts": lambda b, x, W, S, y: b.multiply(
        both(b, x), b.parameter("g", [1.0, 0.0, 2.0, 3.0, -1.0, 1.0, -2.0, 0.0])
    ),
    "a part cut back out": lambda b, x, W, S, y: b.part(
        b.concatenate(b.relu(x), b.negate(b.relu(x)), axis=1), slice(None), slice(0, 4)
    ),
    "scaled by context": lambda b, x, W, S, y: b.multiply(b.relu(x), b.softplus(b.matmul(y, S))),
    "shifted by context": lambda b, x, W, S, y: b.relu(b.add(x, b.tanh(b.matmul(y, S)))),
    "a share and the rest of it": lambda b, x, W, S, y: b.add(
        b.multiply(b.sigmoid(y), b.relu(x)), b.multiply(b.subtract(1.0, b.sigmoid(y)), b.abs(x))
    ),
    "scaled by one plus a tanh": lambda b, x, W, S, y: b.multiply(b.relu(x), b.add(1.0, b.tanh(b.matmul(y, S)))),
    "scaled by context above its least": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.subtract(y, b.min(y, axes=(1,), keepdims=True))
    ),
    "scaled by context below its largest": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.subtract(b.broadcast(b.max(y, axes=(0, 1)), (3, 4)), y)
    ),
    "scaled by a clipped context": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.divide(b.add(clamp(b, y, -2.0, 2.0), 2.0), b.exp(1.0))
    ),
    "distance to context": lambda b, x, W, S, y: b.distance(x, y),
    "batch norm": lambda b, x, W, S, y: b.batch_norm(
        b.relu(x), b.parameter("g", PLUS[0]), b.parameter("c", MIXED[0]), MIXED[1], PLUS[1]
    ),
    "squared leaky relu": lambda b, x, W, S, y: b.power(b.leaky_relu(b.matmul(x, S)), 2.0),
    "inverse of a positive concave value": lambda b, x, W, S, y: b.reciprocal(b.sqrt(x)),
    "dropout": lambda b, x, W, S, y: b.dropout(b.relu(x)),
    "the larger of a value and twice it": lambda b, x, W, S, y: b.maximum(
        b.subtract(b.relu(x), 1.0), b.multiply(2.0, b.subtract(b.relu(x), 1.0))
    ),
    "padded": lambda b, x, W, S, y: b.pad(b.relu(x), -1.0, widths=((0, 0), (1, 1))),
    "a value minus itself": lambda b, x, W, S, y: b.subtract(b.tanh(x), b.tanh(x)),
    "a narrow type on the way": lambda b, x, W, S, y: b.relu(b.cast(b.cast(x, "bfloat16"), "float64")),
}

REFUSED = {
    "group sort": (lambda b, x, W, S, y: descending(b, b.matmul(x, S)), "picks by rank"),
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
    "third largest": (lambda b, x, W, S, y: column(b, b.largest(x, k=3, axis=1), 2), "picks by rank"),
    "two of the largest, in no order": (
        lambda b, x, W, S, y: b.sum(
            b.part(b.largest(x, k=3, axis=1, sorted=False), slice(None), slice(0, 2)), axes=LAST
        ),
        "picks by rank",
    ),
    "the last of the largest": (
        lambda b, x, W, S, y: b.sum(b.part(b.largest(x, k=3, axis=1), slice(None), slice(1, 3)), axes=LAST),
        "picks by rank",
    ),
    "every other of the sorted": (
        lambda b, x, W, S, y: b.sum(b.part(descending(b, x), slice(None), slice(0, 4, 2)), axes=LAST),
        "picks by rank",
    ),
    "sums of the sorted over rows": (lambda b, x, W, S, y: b.sum(descending(b, x), axes=(0,)), "picks by rank"),
    "the smallest two": (
        lambda b, x, W, S, y: b.sum(b.largest(x, k=2, axis=1, smallest=True), axes=LAST),
        "is concave",
    ),
    "choice that jumps": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, b.subtract(x, 1.0)),
        "jumps from -1 to 0",
    ),
    "choice that jumps a little": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, b.add(x, 1e-10)),
        "jumps from 1e-10 to 0",
    ),
    "choice that bends down": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), b.multiply(0.2, x), x),
        "slope drops from 1 to 0.2",
    ),
    "choice by another value": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), b.matmul(x, S), x),
        "truth values",
    ),
    "choice by several numbers": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", np.array([0.0, 0.0, 1.0, 0.0])), x, 0.0),
        "truth values",
    ),
    "hard swish": (lambda b, x, W, S, y: b.hardswish(x), "hardswish is neither convex nor concave"),
    "softmax": (lambda b, x, W, S, y: b.softmax(x, axis=1), "not convex in all its elements"),
    "inverse": (lambda b, x, W, S, y: b.divide(1.0, b.add(1.0, b.abs(x))), "argument lives"),
    "clamp": (lambda b, x, W, S, y: clamp(b, x, 0.0, 6.0), "takes a minimum of values that are not all concave"),
    "a weight for two parts, exchanged": (
        lambda b, x, W, S, y: b.linear(both(b, x), b.parameter("B", np.hstack([MIXED, PLUS]))),
        "'B' for inputs 0 to 3 goes down to",
    ),
    "channels of two parts in groups": (
        lambda b, x, W, S, y: b.convolve(
            b.reshape(both(b, x), (3, 8, 1)), b.parameter("B", np.vstack([MIXED, PLUS])[:, :, None]), groups=2
        ),
        "'B' goes down to",
    ),
    "gates for two parts, exchanged": (
        lambda b, x, W, S, y: b.multiply(both(b, x), np.array([-1.0, 0.0, 2.0, 3.0, 1.0, 1.0, 2.0, 0.0])),
        "goes down to -1",
    ),
    "a gate for one of two parts": (
        lambda b, x, W, S, y: b.multiply(both(b, x), np.array([[1.0], [-1.0], [1.0]])),
        "goes down to -1",
    ),
    "both parts of a cut": (
        lambda b, x, W, S, y: b.part(b.concatenate(b.relu(x), b.negate(b.relu(x)), axis=1), slice(None), slice(3, 5)),
        "joins a convex and a concave value",
    ),
    "scaled by context of any sign": (lambda b, x, W, S, y: b.multiply(b.relu(x), y), "input 'y' takes both signs"),
    "scaled by one minus twice a share": (
        lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(1.0, b.multiply(2.0, b.sigmoid(y)))),
        "a constant takes both signs",
    ),
    "scaled by context above the least of another": (
        lambda b, x, W, S, y: b.multiply(b.relu(x), b.subtract(y, b.min(b.matmul(y, S), axes=(1,), keepdims=True))),
        "a constant takes both signs",
    ),
    "scaled by context above the least of its columns": (  # which meets rows
        lambda b, x, W, S, y: b.multiply(
            b.relu(b.part(x, slice(0, 1))), b.subtract(squares(b, y), b.min(squares(b, y), axes=(1,)))
        ),
        "a constant takes both signs",
    ),
    "softplus with a low threshold": (lambda b, x, W, S, y: b.softplus(x, threshold=2.0), "jumps down"),
    "softplus of a negative beta": (lambda b, x, W, S, y: b.softplus(x, beta=-1.0), "is concave"),
    "root of what a negative softplus makes": (
        lambda b, x, W, S, y: b.square(b.negate(b.softplus(b.abs(x), beta=-1.0))),
        "where its",
    ),
    "squareplus of a negative number": (lambda b, x, W, S, y: b.squareplus(x, b=-1.0), "no values around 0"),
    "batch norm with a scale from the input": (  # whose mean is above what it is subtracted from
        lambda b, x, W, S, y: b.batch_norm(b.literal(np.ones((3, 4))), b.square(x), 0.0, 3.0, 1.0),
        "takes both signs",
    ),
    "choice of a bounded value that ends before": (
        lambda b, x, W, S, y: b.where(b.compare(x, ">", 0.0), x, b.expm1(b.minimum(x, -1.0))),
        "truth values",
    ),
    "batch norm with a variance around 0": (
        lambda b, x, W, S, y: b.batch_norm(x, 1.0, 0.0, 0.0, MIXED[1]),
        "not known to be positive",
    ),
    "an array of eight bits": (
        lambda b, x, W, S, y: b.subtract(x, b.cast(b.cast(x, "float8_e4m3fn"), "float64")),
        "rounds to float8_e4m3fn",
    ),
    "product of two moves": (
        lambda b, x, W, S, y: b.multiply(flipped(b, x), b.op("rearrange", x, run=lambda a: np.roll(a, 1, 1))),
        "both depend on the input",
    ),
    "the larger of a concave value and twice it": (
        lambda b, x, W, S, y: b.maximum(b.negate(b.relu(x)), b.multiply(2.0, b.negate(b.relu(x)))),
        "not all convex",
    ),
    "root of a form with a linear term": (
        lambda b, x, W, S, y: b.sqrt(b.sum(b.multiply(x, b.add(b.matmul(x, gram(b, S)), y)), axes=LAST)),
        "sqrt is concave",
    ),
    "parts that a reshape mixes": (
        lambda b, x, W, S, y: b.contract(
            b.parameter("B", np.hstack([PLUS, MIXED])), b.reshape(both(b, x), (8, 3)), axes=((1,), (0,))
        ),
        "'B' goes down to",
    ),
    "divided by zero": (lambda b, x, W, S, y: b.divide(x, 0.0), "divides by zero"),
    "divided by the input": (lambda b, x, W, S, y: b.divide(y, b.exp(x)), ""),
    "a number that is none": (lambda b, x, W, S, y: b.add(x, np.nan), "the number nan is not finite"),
    "no norm": (lambda b, x, W, S, y: b.norm(x, axes=LAST, order=0.5), "is no norm for order 0.5"),
    "a variable exponent": (lambda b, x, W, S, y: b.power(b.exp(y), x), "has a variable exponent"),
    "slopes above 1": (lambda b, x, W, S, y: b.prelu(x, np.array([0.1, 1.2, 0.3, 0.4])), "slope drops from 1.2 to 1"),
    "noise of the input": (
        lambda b, x, W, S, y: b.op("noise", x, run=lambda a: a, non_negative=True),
        "draws from a law that depends on the input",
    ),
    "memory without numbers": (
        lambda b, x, W, S, y: b.add(b.op("unset", run=lambda: np.zeros(4)), x),
        "before a recorded operation has written to it",
    ),
    "what has no rule": (
        lambda b, x, W, S, y: b.opaque(x, run=np.fft.fft, why="is a custom operation, which has no rule"),
        "is a custom operation, which has no rule",
    ),
    "places from the input": (
        lambda b, x, W, S, y: b.gather(x, b.opaque(x, run=np.isfinite, **SORTS), axis=None, run=lambda a, i: a),
        "truth values",
    ),
    "selu": (lambda b, x, W, S, y: b.elu(x, alpha=1.67, scale=1.05), "slope drops at 0 from 1.75"),
    "elu above 1": (lambda b, x, W, S, y: b.elu(x, alpha=1.0 + 1e-10), "slope drops"),
    "square of a leaky relu of features": (
        lambda b, x, W, S, y: b.square(b.leaky_relu(b.elu(x))),
        "square is convex, but not non-decreasing",
    ),
}
