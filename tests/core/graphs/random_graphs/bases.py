"""More pieces for random graphs: forms of an affine base, and values that are hidden."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.random_graphs.pieces import ROW, Made, Pieces
from tests.core.graphs.truth import UNKNOWN, Truth


class Bases(Pieces):
    def bases(self, z: Node, truth: Truth) -> Made:
        """Squares of ``z @ Q + b``, written as squares, as inner products, and as a form with linear terms."""
        b, size = self.b, self.source.choice([2, 4])
        root, shift = self.parameter(4, size), self.parameter(size)
        base = b.add(b.matmul(z, root), shift)
        signs = np.array([1.0, 0.0, 2.0, self.source.choice([1.0, -1.0])])[-size:]
        row = lambda node: self.wide(b.sum(node, **ROW))  # noqa: E731
        column, across = b.reshape(base, (z.shape[0], size, 1)), b.reshape(base, (z.shape[0], 1, size))
        pair = {"axes": ((2,), (1,)), "batch": ((0,), (0,))}
        square, loose = truth.of_affine(1), truth.of_affine()
        form = lambda: b.multiply(b.matmul(b.matmul(z, root), b.transpose(root, axes=(1, 0))), z)  # noqa: E731
        linear = lambda: b.matmul(z, b.matmul(root, b.reshape(shift, (size, 1))))  # noqa: E731
        return self.one_of(
            lambda: (row(b.square(base)), square),
            lambda: (row(b.multiply(base, base)), square),
            lambda: (self.wide(b.reshape(b.contract(across, column, **pair), (z.shape[0], 1))), square),
            lambda: (row(b.multiply(b.multiply(base, signs), base)), square if signs.min() >= 0.0 else UNKNOWN),
            lambda: (self.wide(b.add(b.sum(form(), **ROW), b.multiply(2.0, linear()))), loose),
            lambda: (row(b.multiply(base, b.subtract(base, shift))), loose),
            lambda: (row(b.multiply(b.matmul(base, b.transpose(root, axes=(1, 0))), z)), loose),
            lambda: (self.wide(b.power(b.norm(base, **ROW), 2.0)), square),
            lambda: (row(b.negate(b.multiply(base, base))), square.scaled(-1)),
        )

    def hidden(self, z: Node, truth: Truth) -> Made:
        """Values that are NaN for some inputs, before a choice that shows it and before one that hides it."""
        b, c = self.b, self.source.choice([-1.0, 0.0, 1.0])
        a = self.source.choice(
            (lambda: b.negate(b.log(z)), lambda: b.negate(b.sqrt(z)), lambda: b.negate(b.log1p(z)))
        )()
        smallest = {"k": 2, "axis": 1, "smallest": True}
        return self.one_of(
            lambda: (b.where(b.compare(a, ">", c), a, c), UNKNOWN),
            lambda: (b.where(b.compare(c, "<=", a), a, c), UNKNOWN),
            lambda: (b.where(b.compare(a, "<=", c), c, a), UNKNOWN),
            lambda: (b.maximum(a, c), UNKNOWN),
            lambda: (self.wide(b.negate(b.sum(b.largest(b.negate(a), **smallest), **ROW))), UNKNOWN),
            lambda: (self.wide(b.negate(b.largest(b.negate(a), **{**smallest, "k": 1}))), UNKNOWN),
        )
