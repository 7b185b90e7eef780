"""Random graphs from allowed and forbidden pieces, for the fuzz of the judge.

Every value has the shape (ROWS, 4). A piece takes values made so far and makes one more; what it does to convexity is
known by construction and kept beside the value: see :class:`~tests.core.graphs.truth.Truth`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder
from tests.core.graphs.random_kinds import Kinds
from tests.core.graphs.truth import UNKNOWN, Truth, joined, largest, smallest

WIDTH, CONTEXT, ROWS = 4, 2, 64
Made = tuple[Node, Truth]
ROW = {"axes": (1,), "keepdims": True}
ALL = slice(None)


class RandomGraph(Kinds):
    """A random computation of x (ROWS, 4) and context y (ROWS, 2); ``truth`` is what it is by construction.

    Args:
        source: of all choices; a failing graph can be shrunk if it is hypothesis's.
        well_behaved: whether to avoid pieces that break convexity.
        steps: at most so many pieces.
    """

    def __init__(self, source: random.Random, well_behaved: bool, steps: int = 6):
        self.source, self.b = source, Builder()
        self.rng = np.random.default_rng(source.randrange(2**31))
        self.x, self.y = self.b.input("x", (ROWS, WIDTH)), self.b.input("y", (ROWS, CONTEXT))
        self.made: list[Made] = [(self.x, Truth("affine"))]
        self.names: list[str] = []
        for _ in range(source.randint(1, steps)):
            for _ in range(6 if well_behaved else 1):
                name = source.choice(NAMES)
                node, truth = getattr(self, name)(*self.made[-1])
                if truth.shape != "?":
                    break
            if well_behaved and truth.shape == "?":
                continue
            self.add(name, node, truth)
        node, truth = self.made[-1]
        if truth.shape == "concave" and (well_behaved or source.random() < 0.5):
            self.add("negated", self.b.negate(node), truth.scaled(-1))
        self.b.output(self.made[-1][0])

    def add(self, name: str, node: Node, truth: Truth) -> None:
        self.names.append(name)
        self.made.append((node, truth))

    @property
    def truth(self) -> Truth:
        return self.made[-1][1]

    # Choices

    def parameter(self, *shape: int, sign: int = 0) -> Node:
        numbers = 0.7 * self.rng.standard_normal(shape)
        return self.b.parameter(f"p{len(self.b.graph.nodes)}", numbers if sign == 0 else sign * np.abs(numbers))

    def one_of(self, *makers: Callable[[], Made]) -> Made:
        return self.source.choice(makers)()

    def weight(self, *shape: int) -> tuple[Node, int]:
        """A weight through some map, and its sign: 1, −1, or 0 for both."""
        b = self.b

        def single() -> tuple[Node, int]:
            numbers = np.abs(self.rng.standard_normal(shape))
            numbers.flat[0] = -1e-2
            return b.parameter(f"p{len(b.graph.nodes)}", numbers), 0

        return self.source.choice(
            (
                lambda: (self.parameter(*shape, sign=1), 1),
                lambda: (self.parameter(*shape, sign=-1), -1),
                lambda: (self.parameter(*shape), 0),
                single,
                lambda: (b.softplus(self.parameter(*shape)), 1),
                lambda: (b.softplus(self.parameter(*shape), beta=-1.0), -1),
                lambda: (b.divide(b.exp(self.parameter(*shape)), float(shape[-1])), 1),
                lambda: (b.square(self.parameter(*shape)), 1),
                lambda: (b.maximum(self.parameter(*shape), 0.0), 1),
                lambda: (b.abs(self.parameter(*shape)), 1),
            )
        )()

    # Pieces: linear

    def linear(self, z: Node, truth: Truth) -> Made:
        b = self.b
        weight, sign = self.weight(WIDTH, WIDTH)
        truth = truth.scaled(sign)
        out = self.source.choice(
            (
                lambda: b.linear(z, weight),
                lambda: b.matmul(z, weight),
                lambda: b.transpose(b.contract(weight, z, axes=((1,), (1,))), axes=(1, 0)),
                lambda: b.sum(b.multiply(b.reshape(z, (ROWS, 1, WIDTH)), weight), axes=(2,)),
                lambda: b.reshape(b.linear(b.reshape(z, (2, ROWS // 2, WIDTH)), weight), (ROWS, WIDTH)),
                lambda: b.reshape(
                    b.convolve(b.reshape(z, (ROWS, WIDTH, 1)), b.reshape(weight, (WIDTH, WIDTH, 1))), (ROWS, WIDTH)
                ),
            )
        )()
        if self.source.random() < 0.5:
            return b.add(out, self.parameter(WIDTH)), truth.unsigned()
        return out, truth

    def blocks(self, z: Node, truth: Truth) -> Made:
        """A layer that sees features and the input side by side, with weights that are free for the input alone."""
        b = self.b
        weight, sign = self.weight(WIDTH, WIDTH)
        parts, weights = [z, self.x], [weight, self.parameter(WIDTH, WIDTH)]
        if self.source.random() < 0.3:  # the free part for the features
            weights, sign = weights[::-1], 0
        whole = b.concatenate(*weights, axis=1)
        if self.source.random() < 0.5:  # a parameter of its own, whose parts are known by their numbers only
            whole = b.parameter(f"p{len(b.graph.nodes)}", b.samples[whole])
        both = b.concatenate(*parts, axis=1)
        out = self.source.choice(
            (
                lambda: b.linear(both, whole),
                lambda: b.matmul(both, b.transpose(whole, axes=(1, 0))),
                lambda: b.reshape(
                    b.convolve(b.reshape(both, (ROWS, 2 * WIDTH, 1)), b.reshape(whole, (WIDTH, 2 * WIDTH, 1))),
                    (ROWS, WIDTH),
                ),
            )
        )()
        return out, truth.scaled(sign).unsigned()

    def convolution(self, z: Node, truth: Truth) -> Made:
        b, groups = self.b, self.source.choice([1, 2])
        weight, sign = self.weight(2, 2 // groups, 3)
        a = b.pad(b.reshape(z, (ROWS, 2, 2)), 0.0, widths=((0, 0), (0, 0), (1, 1)))
        out = b.reshape(b.convolve(a, weight, groups=groups), (ROWS, WIDTH))
        return out, truth.scaled(sign)

    def moved(self, z: Node, truth: Truth) -> Made:
        """Elements moved, repeated, summed or pooled."""
        b = self.b

        def pooled(function: Callable[..., np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
            return lambda a: function(np.stack([a, np.roll(a, 1, 1)]), axis=0)

        halves = lambda: (b.part(z, ALL, slice(0, 2)), b.part(z, ALL, slice(2, 4)))  # noqa: E731
        plain: tuple[Callable[[], Node], ...] = (
            lambda: b.op("rearrange", z, run=lambda a: a[:, ::-1]),
            lambda: b.op("gather", z, np.array([2, 0, 3, 1]), run=lambda a, i: a[:, i], axis=1),
            lambda: b.concatenate(*halves()[::-1], axis=1),
            lambda: b.mean(b.stack(z, b.op("rearrange", z, run=lambda a: np.roll(a, 1, 1)), axis=0), axes=(0,)),
            lambda: b.cumulative_sum(z, axis=1),
            lambda: b.broadcast(b.sum(z, **ROW), (ROWS, WIDTH)),
            lambda: b.cast(b.cast(z, "float32"), "float64"),
            lambda: b.reshape(b.transpose(b.reshape(z, (ROWS, 2, 2)), axes=(0, 2, 1)), (ROWS, WIDTH)),
            lambda: b.op("average", z, run=pooled(np.mean)),
            lambda: b.dropout(z),
        )
        return self.one_of(
            lambda: (self.source.choice(plain)(), truth),
            lambda: (b.op("window_max", z, run=pooled(np.max)), largest(truth, truth)),
            lambda: (b.op("window_min", z, run=pooled(np.min)), smallest(truth, truth)),
            lambda: (b.part(b.pad(z, -1.0, widths=((0, 0), (2, 2))), ALL, slice(1, 5)), truth.unsigned()),
            lambda: (
                b.op("scatter", z, np.array([0, 2]), run=lambda a, i: a * np.isin(np.arange(WIDTH), i)),
                truth,
            ),
        )

    # Pieces: functions

    def rising(self, z: Node, truth: Truth) -> Made:
        b, number = self.b, self.source.choice([0.3, 1.0, 2.0])
        small = lambda: b.multiply(0.2, z)  # noqa: E731
        made: list[tuple[Callable[[], Node], int]] = [
            (lambda: b.relu(z), 1),
            (lambda: b.maximum(z, 0.0), 1),
            (lambda: b.threshold(z, at=0.0, value=0.0), 1),
            (lambda: b.leaky_relu(z), 0),
            (lambda: b.maximum(z, small()), 0),
            (lambda: b.prelu(z, np.array([0.1, 1.0, 0.0, 0.5])), 0),
            (lambda: b.elu(z, alpha=min(number, 1.0)), 0),
            (lambda: b.elu(z, alpha=number, input_scale=1.0 / number), 0),
            (lambda: b.softplus(z, beta=number, threshold=20.0), 1),
            (lambda: b.squareplus(z), 1),
            (lambda: b.sparse_plus(z), 1),
            (lambda: b.exp(small()), 1),
            (lambda: b.expm1(small()), 0),
            (lambda: b.power(1.5, small()), 1),
            (lambda: b.log(b.add(1.0, b.exp(z))), 0),
            (lambda: b.log1p(b.exp(z)), 1),
            (lambda: b.log_add_exp(z, 0.0), 0),
            (lambda: b.power(b.relu(z), max(number, 1.0)), 1),
            (lambda: b.square(b.softplus(z)), 1),
            (lambda: b.negate(b.log_sigmoid(b.negate(z))), 1),
            (lambda: b.negate(b.log(b.sigmoid(b.negate(z)))), 1),
            (lambda: b.negate(b.softplus(b.negate(z), beta=-1.0)), 1),
            (lambda: b.where(b.compare(z, ">", 0.0), z, small()), 0),
            (lambda: b.where(b.compare(0.0, ">=", z), b.expm1(b.minimum(z, 0.0)), z), 0),
            (lambda: b.multiply(z, b.cast(b.compare(z, ">", 0.0))), 1),
            (lambda: b.multiply(b.exp(small()), b.exp(b.op("rearrange", small(), run=lambda a: a[:, ::-1]))), 1),
        ]
        make, sign = self.source.choice(made)
        return make(), truth.rising(sign)

    def even(self, z: Node, truth: Truth) -> Made:
        b = self.b
        wide = lambda row: b.broadcast(row, (ROWS, WIDTH))  # noqa: E731
        makers: tuple[Callable[[], Node], ...] = (
            lambda: b.abs(z),
            lambda: b.square(z),
            lambda: b.multiply(z, z),
            lambda: b.multiply(b.negate(z), b.negate(z)),
            lambda: b.power(z, 2.0),
            lambda: b.multiply(0.01, b.power(z, 4.0)),
            lambda: b.cosh(b.multiply(0.2, z)),
            lambda: b.huber(z, delta=0.7),
            lambda: wide(b.norm(z, **ROW)),
            lambda: wide(b.norm(z, order=3.0, **ROW)),
            lambda: wide(b.norm(z, order=np.inf, **ROW)),
            lambda: wide(b.sqrt(b.add(b.sum(b.square(z), **ROW), 0.01))),
            lambda: b.log(b.cosh(b.multiply(0.2, z))),
            lambda: b.maximum(z, b.negate(z)),
            lambda: wide(b.distance(z, b.literal(np.zeros((1, WIDTH))))),
        )
        return self.source.choice(makers)(), truth.even()

    def whole(self, z: Node, truth: Truth) -> Made:
        """Convex functions of a whole row."""
        b, wide = self.b, lambda row: self.b.broadcast(row, (ROWS, WIDTH))
        ranked = lambda: b.sort(z, axis=1, descending=True)  # noqa: E731
        kept: tuple[Callable[[], Node], ...] = (
            lambda: wide(b.max(z, **ROW)),
            lambda: wide(b.largest(z, k=1, axis=1)),
            lambda: wide(b.sum(b.largest(z, k=2, axis=1, sorted=False), **ROW)),
            lambda: wide(b.mean(b.part(ranked(), ALL, slice(0, 3)), **ROW)),
            lambda: wide(b.sum(b.part(b.sort(z, axis=1, descending=False), ALL, slice(1, 4)), **ROW)),
            lambda: wide(b.part(ranked(), ALL, slice(0, 1))),
            lambda: b.cumulative_sum(ranked(), axis=1),
        )
        return self.one_of(
            lambda: (self.source.choice(kept)(), truth.rising(truth.sign)),
            lambda: (wide(b.log_sum_exp(z, **ROW)), truth.rising()),
            lambda: (b.cumulative_log_sum_exp(z, axis=1), truth.rising()),
            lambda: (wide(b.log(b.sum(b.exp(b.multiply(0.2, z)), **ROW))), truth.rising()),
            lambda: (wide(b.variance(z, **ROW)), truth.of_affine(1)),
            lambda: (wide(b.standard_deviation(z, **ROW)), truth.of_affine(1)),
            lambda: (b.negate(b.log_softmax(z, axis=1)), truth.of_affine(1)),
            lambda: self.form(z, truth),
        )

    def form(self, z: Node, truth: Truth) -> Made:
        """A quadratic form with a matrix of full rank, of low rank, or indefinite, by its numbers or as a product."""
        b, numbers = self.b, self.rng.standard_normal((WIDTH, self.source.choice([2, WIDTH])))
        kind = self.source.choice(["product", "numbers", "indefinite"])
        root = b.literal(numbers)
        matrix = b.matmul(root, b.transpose(root, axes=(1, 0)))
        if kind != "product":
            flip = np.diag([1.0, 1.0, 1.0, -1.0]) if kind == "indefinite" else 0.0
            matrix = b.parameter(f"p{len(b.graph.nodes)}", b.samples[matrix] + flip)
        shifted = self.source.random() < 0.3
        product = b.matmul(z, matrix)
        product = b.add(product, self.parameter(WIDTH)) if shifted else product
        found = b.sum(b.multiply(z, product), **ROW)
        return b.broadcast(found, (ROWS, WIDTH)), UNKNOWN if kind == "indefinite" else truth.of_affine(1 - shifted)

    def falling(self, z: Node, truth: Truth) -> Made:
        """Concave non-decreasing functions."""
        b = self.b
        make, sign = self.source.choice(
            (
                (lambda: b.log_sigmoid(z), -1),
                (lambda: b.minimum(z, 0.0), -1),
                (lambda: b.minimum(z, 1.0), 0),
                (lambda: b.negate(b.relu(b.negate(z))), -1),
                (lambda: b.softplus(z, beta=-2.0, threshold=20.0), -1),
                (lambda: b.broadcast(b.min(z, **ROW), (ROWS, WIDTH)), 0),
                (lambda: b.broadcast(b.sum(b.largest(z, k=2, axis=1, smallest=True), **ROW), (ROWS, WIDTH)), 0),
            )
        )
        truth = truth.scaled(-1).rising().scaled(-1)
        return make(), Truth(truth.shape, sign)

    def forbidden(self, z: Node, truth: Truth) -> Made:
        b = self.b
        names = ("tanh", "sigmoid", "gelu", "silu", "mish", "selu", "sin", "hardswish", "softsign", "round", "sign")
        names += ("hardsigmoid", "softshrink", "hardshrink", "tanhshrink", "atan", "erf", "floor", "frac", "sinh")
        flip = lambda: b.op("rearrange", z, run=lambda a: a[:, ::-1])  # noqa: E731
        two = lambda node: b.concatenate(node, node, axis=1)  # noqa: E731
        makers: tuple[Callable[[], Node], ...] = (
            *[lambda: b.op(self.source.choice(names), z)] * 4,
            lambda: b.minimum(b.maximum(z, 0.0), 1.0),
            lambda: b.softmax(z, axis=1),
            lambda: b.sort(z, axis=1, descending=False),
            lambda: two(b.part(b.largest(z, k=3, axis=1), ALL, slice(1, 3))),
            lambda: b.elu(z, alpha=1.7),
            lambda: b.leaky_relu(z, slope=1.8),
            lambda: b.softplus(z, threshold=2.0),
            lambda: b.threshold(z, at=0.0, value=-1.0),
            lambda: b.multiply(z, flip()),
            lambda: b.divide(z, b.add(1.0, b.abs(z))),
            lambda: b.where(b.compare(z, ">", 0.0), b.multiply(0.1, z), z),
            lambda: b.where(b.compare(z, ">", 0.0), z, b.subtract(z, 0.1)),
            lambda: b.where(b.compare(flip(), ">", 0.0), z, b.multiply(0.2, z)),
            lambda: b.subtract(z, b.multiply(2.0, b.relu(z))),
            lambda: b.sqrt(b.relu(z)),
            lambda: b.log(b.add(b.square(z), 1.0)),
            lambda: b.power(z, 3.0),
            lambda: b.huber(z, delta=-1.0),
            lambda: b.square(b.softplus(z, beta=-1.0)),
            lambda: b.opaque(z, run=lambda a: -np.abs(a), non_negative=False),
            lambda: b.cast(b.compare(z, ">", 0.0)),
            lambda: b.cast(b.compare(z, "!=", z)),
            lambda: b.norm(b.reshape(z, (ROWS, WIDTH, 1)), axes=(2,), order=0.5),
            lambda: two(b.part(b.concatenate(b.tanh(z), z, axis=1), ALL, slice(0, 2))),
            lambda: b.batch_norm(b.literal(np.ones((ROWS, WIDTH))), b.square(z), 0.0, 3.0, 1.0),
        )
        return self.source.choice(makers)(), UNKNOWN

    # Pieces: several values

    def other(self) -> Made:
        return self.made[self.source.randrange(len(self.made))]

    def summed(self, z: Node, a: Truth) -> Made:
        b, (other, c) = self.b, self.other()
        mask = np.array([True, False, False, True])
        return self.one_of(
            lambda: (b.add(z, other), joined(a, c)),
            lambda: (b.subtract(z, other), Truth("affine") if z is other else joined(a, c.scaled(-1))),
            lambda: (
                b.concatenate(b.part(z, ALL, slice(0, 2)), b.part(other, ALL, slice(2, 4)), axis=1),
                joined(a, c),
            ),
            lambda: (b.part(b.concatenate(z, other, axis=1), ALL, slice(0, WIDTH)), a),
            lambda: (b.part(b.concatenate(z, other, axis=1), ALL, slice(2, 6)), joined(a, c)),
            lambda: (b.mean(b.stack(z, other, axis=0), axes=(0,)), joined(a, c)),
            lambda: (b.where(mask, z, other), joined(a, c)),
            lambda: (b.add(b.multiply(-0.6, z), b.multiply(1.6, other)), joined(a.scaled(-1), c)),
            lambda: (b.op("join", z, other, run=lambda p, q: np.where(mask, p, q)), joined(a, c)),
        )

    def extreme(self, z: Node, a: Truth) -> Made:
        b, (other, c) = self.b, self.other()
        return self.one_of(
            lambda: (b.maximum(z, other), largest(a, c)),
            lambda: (b.max(b.stack(z, other, axis=2), axes=(2,)), largest(a, c)),
            lambda: (b.log_add_exp(z, other), joined(a, c).rising()),
            lambda: (b.minimum(z, other), smallest(a, c)),
        )

    def product(self, z: Node, truth: Truth) -> Made:
        """With constants, functions of the context, and another value."""
        b, (other, _) = self.b, self.other()
        gate = b.matmul(self.y, self.parameter(CONTEXT, WIDTH))
        factor, signed = np.array([0.5, 2.0, 0.0, 1.0]), np.array([0.5, -2.0, 0.0, 1.0])
        same = Truth("?") if other is not z else truth.even()
        return self.one_of(
            lambda: (b.multiply(z, b.softplus(gate)), truth),
            lambda: (b.multiply(b.sigmoid(gate), z), truth),
            lambda: (b.multiply(z, gate), truth.scaled(0)),
            lambda: (b.add(z, b.tanh(gate)), truth.unsigned()),
            lambda: (b.multiply(z, factor), truth),
            lambda: (b.multiply(z, signed), truth.scaled(0)),
            lambda: (b.divide(z, factor + 1.0), truth),
            lambda: (b.divide(z, -2.0), truth.scaled(-1)),
            lambda: (b.multiply(z, other), same),
        )

    def normalised(self, z: Node, truth: Truth) -> Made:
        scale, sign = self.weight(WIDTH)
        numbers = self.rng.standard_normal((3, WIDTH))
        out = self.b.batch_norm(z, scale, numbers[0], numbers[1], np.square(numbers[2]) + 0.1)
        return out, truth.scaled(sign).unsigned()

    def residual(self, z: Node, truth: Truth) -> Made:
        weight, sign = self.weight(WIDTH, WIDTH)
        out = self.b.add(z, self.b.linear(self.b.relu(z), weight))
        return out, joined(truth, truth.rising(1).scaled(sign)).unsigned()


NAMES = [
    *("linear", "linear", "linear", "rising", "rising", "rising", "blocks", "convolution", "moved", "moved"),
    *("even", "whole", "whole", "falling", "forbidden", "summed", "summed", "extreme", "product", "product"),
    *("normalised", "residual"),
    *("arguments", "where_pieces", "forms", "stabilised", "masks", "gates"),
]


def lies_above_a_chord(graph: RandomGraph, rng: np.random.Generator) -> bool:
    """Whether one of ROWS segments of many lengths is a counterexample, beyond the rounding of the largest value."""
    size = 10.0 ** rng.uniform(-1.5, 1.3, (2, ROWS, 1))
    ends = rng.standard_normal((2, ROWS, WIDTH)) * size
    near = rng.uniform(size=(ROWS, 1)) < 0.5
    ends[1] = np.where(near, ends[0] + ends[1], ends[1])
    y = rng.standard_normal((ROWS, CONTEXT))
    trails = []
    for x in (ends[0], ends[1], 0.5 * (ends[0] + ends[1])):
        known = graph.b.evaluate({"x": x, "y": y})
        trails.append([known[node] for node, _ in graph.made])
    with np.errstate(all="ignore"):
        above = trails[2][-1] - 0.5 * (trails[0][-1] + trails[1][-1])
        scale = np.max([np.abs(value).max(axis=1) for trail in trails for value in trail], axis=0) + 1.0
        return bool((np.nan_to_num(above / scale[:, None], nan=-1.0, posinf=-1.0, neginf=-1.0) > 1e-8).any())
