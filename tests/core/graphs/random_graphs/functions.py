"""Pieces of random graphs that are functions of one value: of its elements or of its rows, allowed and forbidden."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.random_graphs.pieces import ALL, ROW, ROWS, WIDTH, Made, Pieces
from tests.core.graphs.truth import UNKNOWN, Truth


class Functions(Pieces):
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
        b, wide = self.b, self.wide
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
        b, wide = self.b, self.wide
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
        return self.wide(found), UNKNOWN if kind == "indefinite" else truth.of_affine(1 - shifted)

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
                (lambda: self.wide(b.min(z, **ROW)), 0),
                (lambda: self.wide(b.sum(b.largest(z, k=2, axis=1, smallest=True), **ROW)), 0),
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
