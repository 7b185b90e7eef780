"""More pieces for random graphs: kinds that once got a false certificate, and their honest forms."""

from __future__ import annotations

import math

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.random_graphs.pieces import ALL, ROW, Made, Pieces
from tests.core.graphs.truth import UNKNOWN, Truth, joined, largest


class Kinds(Pieces):
    def arguments(self, z: Node, truth: Truth) -> Made:
        """Functions outside of their usual parameters."""
        b = self.b
        a = self.source.choice([-2.0, -0.5, 0.0, 0.3, 1.0, 1.5])
        t = self.source.choice([-1.0, 0.0, 2.0, 20.0, math.inf])
        return self.one_of(
            lambda: (b.softplus(z, beta=a or 1.0, threshold=t), UNKNOWN),
            lambda: (b.elu(z, alpha=a, scale=self.source.choice([1.0, -1.0])), UNKNOWN),
            lambda: (b.elu(z, alpha=1.0, input_scale=a or 1.0), UNKNOWN),
            lambda: (b.leaky_relu(z, slope=a), truth.rising() if 0.0 <= a <= 1.0 else UNKNOWN),
            lambda: (b.squareplus(z, b=a), truth.rising(1) if a >= 0.0 else UNKNOWN),
            lambda: (b.huber(z, delta=a), UNKNOWN),
            lambda: (b.power(b.abs(z), abs(a) + 0.5), UNKNOWN),
            lambda: (self.wide(b.norm(z, order=abs(a) + 0.5, **ROW)), UNKNOWN),
            lambda: (b.prelu(z, np.array([0.1, a, 0.5, 1.0])), UNKNOWN if not 0 <= a <= 1 else truth.rising()),
        )

    def where_pieces(self, z: Node, truth: Truth) -> Made:
        """Choices by a comparison, with pieces that meet or not."""
        b = self.b
        c, p, q, s = (self.source.choice([-1.0, -0.2, 0.0, 0.2, 1.0]) for _ in range(4))
        above = self.source.choice(
            (
                lambda: b.multiply(p, z),
                lambda: b.add(b.multiply(p, z), (q - p) * c),
                lambda: b.square(b.subtract(z, c)),
                lambda: b.multiply(b.maximum(z, c), p),
                lambda: b.floor(z),
                lambda: b.minimum(z, s),
            )
        )()
        below = b.add(b.multiply(q, z), self.source.choice([0.0, s]))
        relation = self.source.choice([">", ">=", "<", "<="])
        return b.where(b.compare(z, relation, c), above, below), UNKNOWN

    def forms(self, z: Node, truth: Truth) -> Made:
        """Squares and quadratic forms as products that sum over axes."""
        b = self.b
        root = self.rng.standard_normal((4, self.source.choice([2, 4])))
        flips = self.source.random() < 0.4
        matrix = b.parameter(f"p{len(b.graph.nodes)}", root @ root.T + np.diag([1.0, 1.0, 1.0, -1.0 if flips else 1.0]))
        weights = np.array([0.5, 1.0, 0.0, -1.0 if flips else 2.0])
        shape = z.shape
        row, column = b.reshape(z, (shape[0], 1, 4)), b.reshape(z, (shape[0], 4, 1))
        pair = {"axes": ((2,), (1,)), "batch": ((0,), (0,))}
        form, square = (UNKNOWN if flips else truth.of_affine(1)), truth.even()
        return self.one_of(
            lambda: (self.wide(b.reshape(b.contract(row, column, **pair), (shape[0], 1))), square),
            lambda: (self.wide(b.sum(b.multiply(b.multiply(z, weights), z), **ROW)), UNKNOWN if flips else square),
            lambda: (self.wide(b.sum(b.multiply(z, b.matmul(z, matrix)), **ROW)), form),
            lambda: (
                self.wide(b.sum(b.multiply(z, b.add(b.matmul(z, matrix), weights)), **ROW)),
                Truth(form.shape),
            ),
            lambda: (
                self.wide(
                    b.reshape(
                        b.contract(b.reshape(b.matmul(z, matrix), (shape[0], 1, 4)), column, **pair), (shape[0], 1)
                    )),
                form,
            ),
            lambda: (
                self.wide(
                    b.reshape(b.sum(b.multiply(b.multiply(column, b.reshape(matrix, (1, 4, 4))), row), axes=(1, 2)),
                              (shape[0], 1))), form),
            lambda: (b.multiply(b.matmul(z, matrix), b.matmul(z, matrix)), truth.of_affine(1)),
            lambda: (b.broadcast(b.sum(b.multiply(z, b.matmul(z, matrix)), axes=(0,), keepdims=True), shape), UNKNOWN),
        )  # fmt: skip

    def stabilised(self, z: Node, truth: Truth) -> Made:
        """Log-sum-exp and softplus by hand, with and without mistakes."""
        b, heat = self.b, self.source.choice([0.5, 1.0, 2.0])
        top = b.max(z, **ROW)
        again = self.source.choice([top, b.max(z, **ROW), b.multiply(1.0, top), b.multiply(0.9, top), b.min(z, **ROW)])
        right = again.name == "max" or (again.name == "multiply" and again.inputs[0].number == 1.0)
        exponentials = b.exp(b.divide(b.subtract(z, top), heat))
        return self.one_of(
            lambda: (
                self.wide(b.add(b.multiply(heat, b.log(b.sum(exponentials, **ROW))), again)),
                truth.rising() if right else UNKNOWN,
            ),
            lambda: (
                self.wide(b.add(b.log(b.sum(exponentials, **ROW)), top)),
                truth.rising() if heat == 1.0 else UNKNOWN,
            ),
            lambda: (
                b.add(b.relu(z), b.divide(b.log1p(b.exp(b.multiply(-heat, b.abs(z)))), heat)),
                truth.rising(1),
            ),
            lambda: (
                b.add(b.relu(z), b.log1p(b.exp(b.multiply(-heat, b.abs(z))))),
                truth.rising(1) if heat == 1.0 else UNKNOWN,
            ),
            lambda: (b.negate(b.log(b.sigmoid(b.negate(z)))), truth.rising(1)),
            lambda: (b.negate(b.log(b.softmax(z, axis=1))), truth.of_affine(1)),
        )  # fmt: skip

    def masks(self, z: Node, truth: Truth) -> Made:
        """Infinities before an extreme, and parts that are cut out again."""
        b, (other, c) = self.b, self.made[self.source.randrange(len(self.made))]
        mask = np.array([True, False, False, True])
        bent = b.concatenate(z, b.tanh(other), axis=1)
        return self.one_of(
            lambda: (self.wide(b.max(b.where(mask, -np.inf, z), **ROW)), largest(truth, truth)),
            lambda: (self.wide(b.log_sum_exp(b.where(mask, -np.inf, z), **ROW)), truth.rising()),
            lambda: (b.maximum(z, -np.inf), truth),
            lambda: (b.part(bent, ALL, slice(0, 4)), truth),
            lambda: (b.part(b.multiply(2.0, b.relu(bent)), ALL, slice(0, 4)), truth.rising(1)),
            lambda: (b.reshape(b.part(b.stack(b.tanh(other), z, axis=1), ALL, slice(1, 2)), z.shape), truth),
            lambda: (b.part(b.concatenate(other, z, axis=1), ALL, slice(3, 7)), joined(truth, c)),
            lambda: (b.part(b.reshape(bent, (z.shape[0] * 2, 4)), slice(0, z.shape[0])), UNKNOWN),
        )

    def gates(self, z: Node, truth: Truth) -> Made:
        """Products with context of which bounds are known."""
        b, y = self.b, self.b.sum(self.y, **ROW)
        rows = {"axes": (1,), "keepdims": True}
        return self.one_of(
            lambda: (b.multiply(z, b.subtract(1.0, b.sigmoid(y))), truth),
            lambda: (b.multiply(z, b.add(1.0, b.tanh(y))), truth),
            lambda: (b.multiply(z, b.subtract(1.0, b.square(b.tanh(y)))), truth),
            lambda: (b.multiply(z, b.subtract(b.max(self.y, **rows), b.min(self.y, **rows))), truth),
            lambda: (b.multiply(z, b.subtract(y, b.min(y, axes=(0, 1), keepdims=True))), truth),
            lambda: (b.multiply(z, b.subtract(y, b.min(self.y, axes=(0, 1), keepdims=True))), truth.scaled(0)),
            lambda: (b.multiply(z, b.subtract(1.0, b.multiply(2.0, b.sigmoid(y)))), truth.scaled(0)),
            lambda: (b.multiply(z, b.divide(b.abs(y), b.add(b.abs(y), 0.1))), truth),
            lambda: (b.cast(b.cast(z, "bfloat16"), "float64"), truth),
        )
