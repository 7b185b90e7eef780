"""Lines of graphs: activations, losses and layers."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.lines.expressions import KEEP, LAST, clamp, column


def flipped(b: Builder, x: Node) -> Node:
    return b.op("rearrange", x, run=lambda a: a[:, ::-1])


def stabilised(b: Builder, x: Node, top: Node, again: Node) -> Node:
    return b.add(b.log(b.sum(b.exp(b.subtract(x, top)), **KEEP)), again)


def steep(b: Builder, x: Node, beta: float, times: float = 1.0) -> Node:
    """``max(x, 0) + times · log(1 + exp(−β|x|))``."""
    return b.add(b.relu(x), b.multiply(times, b.log1p(b.exp(b.multiply(-beta, b.abs(x))))))


def top_of(b: Builder, x: Node) -> Node:
    return b.max(x, **KEEP)


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
    "rows of a table": lambda b, x, W, S, y: b.multiply(
        b.relu(x), b.op("gather", W, np.arange(3), run=lambda a, i: a[i], axis=0)
    ),
    "scaled by its weights' norm": lambda b, x, W, S, y: b.matmul(
        b.relu(x), b.divide(W, b.maximum(b.sum(W, axes=(0,), keepdims=True), 1e-6))
    ),
    "weights through their own network": lambda b, x, W, S, y: b.matmul(b.relu(x), b.softplus(b.matmul(b.tanh(S), W))),
    "minus a concave function": lambda b, x, W, S, y: b.negate(b.minimum(x, b.matmul(x, S))),
    "log-cosh": lambda b, x, W, S, y: b.log(b.cosh(b.multiply(0.3, x))),
    "minus the log of a sigmoid": lambda b, x, W, S, y: b.negate(b.log(b.sigmoid(x))),
    "softplus of a negative beta, negated": lambda b, x, W, S, y: b.negate(b.softplus(x, beta=-1.0)),
    "squared leaky relu": lambda b, x, W, S, y: b.power(b.leaky_relu(b.matmul(x, S)), 2.0),
    "inverse of a positive concave value": lambda b, x, W, S, y: b.reciprocal(b.sqrt(x)),
    "dropout": lambda b, x, W, S, y: b.dropout(b.relu(x)),
    "the larger of a value and twice it": lambda b, x, W, S, y: b.maximum(
        b.subtract(b.relu(x), 1.0), b.multiply(2.0, b.subtract(b.relu(x), 1.0))
    ),
    "padded": lambda b, x, W, S, y: b.pad(b.relu(x), -1.0, widths=((0, 0), (1, 1))),
    "a value minus itself": lambda b, x, W, S, y: b.subtract(b.tanh(x), b.tanh(x)),
    "log-sum-exp by hand": lambda b, x, W, S, y: stabilised(b, x, top_of(b, x), top_of(b, x)),
    "log-sum-exp by hand, of features": lambda b, x, W, S, y: stabilised(
        b, b.relu(x), top_of(b, b.relu(x)), top_of(b, b.relu(x))
    ),
    "softplus by hand": lambda b, x, W, S, y: steep(b, x, 1.0),
    "softplus by hand, halved": lambda b, x, W, S, y: steep(b, x, 1.0, 0.5),
    "steep softplus by hand": lambda b, x, W, S, y: steep(b, b.matmul(x, S), 5.0, 0.2),
    "minus the log of a share": lambda b, x, W, S, y: b.negate(b.log(b.softmax(x, axis=1))),
    "minus the log of an inverse": lambda b, x, W, S, y: b.negate(b.log(b.reciprocal(b.add(1.0, b.exp(x))))),
}

REFUSED = {
    "hard swish": (lambda b, x, W, S, y: b.hardswish(x), "hardswish is neither convex nor concave"),
    "softmax": (lambda b, x, W, S, y: b.softmax(x, axis=1), "not convex in all its elements"),
    "inverse": (lambda b, x, W, S, y: b.divide(1.0, b.add(1.0, b.abs(x))), "argument lives"),
    "clamp": (lambda b, x, W, S, y: clamp(b, x, 0.0, 6.0), "takes a minimum of values that are not all concave"),
    "softplus with a low threshold": (lambda b, x, W, S, y: b.softplus(x, threshold=2.0), "jumps down"),
    "softplus of a negative beta": (lambda b, x, W, S, y: b.softplus(x, beta=-1.0), "is concave"),
    "root of what a negative softplus makes": (
        lambda b, x, W, S, y: b.square(b.negate(b.softplus(b.abs(x), beta=-1.0))),
        "where its",
    ),
    "squareplus of a negative number": (lambda b, x, W, S, y: b.squareplus(x, b=-1.0), "no values around 0"),
    "product of two moves": (
        lambda b, x, W, S, y: b.multiply(flipped(b, x), b.op("rearrange", x, run=lambda a: np.roll(a, 1, 1))),
        "both depend on the input",
    ),
    "the larger of a concave value and twice it": (
        lambda b, x, W, S, y: b.maximum(b.negate(b.relu(x)), b.multiply(2.0, b.negate(b.relu(x)))),
        "not all convex",
    ),
    "no norm": (lambda b, x, W, S, y: b.norm(x, axes=LAST, order=0.5), "is no norm for order 0.5"),
    "a variable exponent": (lambda b, x, W, S, y: b.power(b.exp(y), x), "has a variable exponent"),
    "slopes above 1": (lambda b, x, W, S, y: b.prelu(x, np.array([0.1, 1.2, 0.3, 0.4])), "slope drops from 1.2 to 1"),
    "selu": (lambda b, x, W, S, y: b.elu(x, alpha=1.67, scale=1.05), "slope drops at 0 from 1.75"),
    "elu above 1": (lambda b, x, W, S, y: b.elu(x, alpha=1.0 + 1e-10), "slope drops"),
    "square of a leaky relu of features": (
        lambda b, x, W, S, y: b.square(b.leaky_relu(b.elu(x))),
        "square is convex, but not non-decreasing",
    ),
    "log-sum-exp with another shift": (
        lambda b, x, W, S, y: stabilised(b, x, top_of(b, x), b.multiply(0.5, top_of(b, x))),
        "argument lives",
    ),
    "log-sum-exp with a shift of other rows": (
        lambda b, x, W, S, y: stabilised(
            b,
            b.part(x, slice(None), slice(0, 3)),
            b.max(b.part(x, slice(None), slice(0, 3)), axes=LAST),
            top_of(b, b.part(x, slice(None), slice(0, 3))),
        ),
        "argument lives",
    ),
    "softplus by hand, too steep": (lambda b, x, W, S, y: steep(b, x, 2.0), "argument lives"),
    "softplus by hand, half more": (lambda b, x, W, S, y: steep(b, x, 1.0, 1.5), "argument lives"),
    "log of one minus a share": (lambda b, x, W, S, y: b.negate(b.log(b.subtract(1.0, b.sigmoid(x)))), "sigmoid"),
}
