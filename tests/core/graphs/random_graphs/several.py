"""Pieces of random graphs that take several values."""

from __future__ import annotations

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.random_graphs.pieces import ALL, CONTEXT, WIDTH, Made, Pieces
from tests.core.graphs.truth import Truth, joined, largest, smallest


class Several(Pieces):
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
