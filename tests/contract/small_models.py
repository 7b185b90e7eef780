"""The models of the contract: one positive layer behind an activation, and networks to train."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.contract.description import Model, Value, described

MAPS = ("", "exp", "softplus", "softplus_mean", "square", "relu")
"""Of the weights of :func:`dense`; none is the projection."""

FEATURES = 3


def dense(fan_in: int, fan_out: int, through: str = "", **options: object) -> Model:
    """One positive layer behind a ReLU."""

    def layer(x: Value) -> Value:
        return x.act("relu").dense("layer", fan_out, through=through)

    return described(layer, (fan_in,), **options)


def on_images(write: Callable[[Value], Value], side: int, channels: int, **options: object) -> Model:
    """A positive layer behind a ReLU, on images."""

    def layer(x: Value) -> Value:
        return write(x.act("relu"))

    return described(layer, (side, side, channels), **options)


def network(through: str = "", *, skips: bool = True) -> Model:
    """A convex network of three layers, its positive weights behind a map."""

    def icnn(x: Value) -> Value:
        z = x.dense("free", 16).act("relu")
        z = z.dense("first", 12, through=through)
        if skips:
            z = z + x.dense("skip", 12, bias=False)
        return z.act("softplus").dense("second", 12, through=through).act("relu").dense("last", 1, through=through)

    return described(icnn, (FEATURES,))


POSITIVE = ("first", "second", "last")
"""Names of the positive layers of :func:`network`."""


def task() -> tuple[np.ndarray, np.ndarray]:
    """Something that is not convex, so that only the weights' sign keeps a network convex."""
    x = 2.0 * np.random.default_rng(1).standard_normal((256, FEATURES))
    return x.astype(np.float32), np.sin(2.0 * x).sum(1, keepdims=True).astype(np.float32)
