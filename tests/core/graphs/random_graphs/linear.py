"""Pieces of random graphs that are linear in what they take, and layers made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convex_init_core.graph.nodes import Node
from tests.core.graphs.random_graphs.pieces import ALL, ROW, ROWS, WIDTH, Made, Pieces
from tests.core.graphs.truth import Truth, joined, largest, smallest


class Linear(Pieces):
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

    def normalised(self, z: Node, truth: Truth) -> Made:
        scale, sign = self.weight(WIDTH)
        numbers = self.rng.standard_normal((3, WIDTH))
        out = self.b.batch_norm(z, scale, numbers[0], numbers[1], np.square(numbers[2]) + 0.1)
        return out, truth.scaled(sign).unsigned()

    def residual(self, z: Node, truth: Truth) -> Made:
        weight, sign = self.weight(WIDTH, WIDTH)
        out = self.b.add(z, self.b.linear(self.b.relu(z), weight))
        return out, joined(truth, truth.rising(1).scaled(sign)).unsigned()
