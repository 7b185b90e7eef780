"""Between which numbers context lies, whatever it holds: as narrow as claimed, and no narrower than it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convex_init_core.convexity.judge import certificate_of, judge
from tests.core.graphs.builder import Builder

INF = math.inf

BOUNDED = {
    "sine": (lambda b, y: b.sin(y), -1.0, 1.0),
    "cosine": (lambda b, y: b.cos(y), -1.0, 1.0),
    "sigmoid": (lambda b, y: b.sigmoid(y), 0.0, 1.0),
    "tanh": (lambda b, y: b.tanh(y), -1.0, 1.0),
    "softsign": (lambda b, y: b.softsign(y), -1.0, 1.0),
    "shares": (lambda b, y: b.softmax(y, axis=1), 0.0, 1.0),
    "a square": (lambda b, y: b.square(b.sin(y)), 0.0, 1.0),
    "a square, written out": (lambda b, y: b.multiply(b.tanh(y), b.tanh(y)), 0.0, 1.0),
    "a power": (lambda b, y: b.power(b.tanh(y), 2.0), 0.0, 1.0),
    "a square of what is far from 0": (lambda b, y: b.square(b.add(b.sin(y), 3.0)), 4.0, 16.0),
    "a size": (lambda b, y: b.abs(b.subtract(b.sin(y), 3.0)), 2.0, 4.0),
    "a sum": (lambda b, y: b.add(b.sin(y), b.multiply(b.cos(y), 2.0)), -3.0, 3.0),
    "a difference": (lambda b, y: b.subtract(b.sigmoid(y), b.multiply(b.tanh(y), 0.5)), -0.5, 1.5),
    "what is turned over": (lambda b, y: b.negate(b.sigmoid(y)), -1.0, 0.0),
    "a product of two signs": (lambda b, y: b.multiply(b.multiply(b.sin(y), 2.0), b.tanh(y)), -2.0, 2.0),
    "a quotient": (lambda b, y: b.divide(b.sin(y), b.add(b.sigmoid(y), 0.5)), -2.0, 2.0),
    "a falling exponential": (lambda b, y: b.exp(b.negate(b.square(y))), 0.0, 1.0),
    "a logarithm": (lambda b, y: b.log(b.add(b.sigmoid(y), 1.0)), 0.0, math.log(2.0)),
    "the larger of two": (lambda b, y: b.maximum(b.tanh(y), -0.25), -0.25, 1.0),
    "the smaller of two": (lambda b, y: b.minimum(b.tanh(y), 0.25), -1.0, 0.25),
    "a mean": (lambda b, y: b.mean(b.sigmoid(y), axes=(1,), keepdims=True), 0.0, 1.0),
    "a sum over rows": (lambda b, y: b.sum(b.sin(y), axes=(1,), keepdims=True), -4.0, 4.0),
    "the largest": (lambda b, y: b.max(b.tanh(y), axes=(1,), keepdims=True), -1.0, 1.0),
    "parts side by side": (lambda b, y: b.concatenate(b.sigmoid(y), b.multiply(b.tanh(y), 2.0), axis=0), -2.0, 2.0),
    "padded": (lambda b, y: b.pad(b.add(b.sigmoid(y), 1.0), 0.5, widths=((0, 0), (1, 0))), 0.5, 2.0),
    "above the smallest": (lambda b, y: b.subtract(y, b.min(y, axes=(1,), keepdims=True)), 0.0, INF),
    "below the largest": (lambda b, y: b.subtract(b.max(y, axes=(1,), keepdims=True), y), 0.0, INF),
    "a range": (
        lambda b, y: b.subtract(b.max(y, axes=(1,), keepdims=True), b.min(y, axes=(1,), keepdims=True)),
        0.0,
        INF,
    ),
    "the smallest below": (lambda b, y: b.subtract(b.min(y, axes=(1,), keepdims=True), y), -INF, INF),
    "another smallest": (lambda b, y: b.subtract(y, b.min(b.tanh(y), axes=(1,), keepdims=True)), -INF, INF),
    "the smallest of other rows": (lambda b, y: b.subtract(y, b.min(y, axes=(0,))), -INF, INF),
    "a quotient by what may be 0": (lambda b, y: b.divide(1.0, b.sigmoid(y)), -INF, INF),
    "a quotient by what may be below 0": (lambda b, y: b.divide(1.0, b.sin(y)), -INF, INF),
    "nothing": (lambda b, y: b.multiply(y, 2.0), -INF, INF),
}


def bounded(name):
    make, low, high = BOUNDED[name]
    b = Builder()
    b.input("x", (1, 1))
    y = b.input("y", (4, 4))
    return b, make(b, y), low, high


@pytest.mark.parametrize("name", BOUNDED)
def test_the_bounds_of_context(name):
    b, node, low, high = bounded(name)
    assert judge(b.graph, ["x"]).context_bounds[node] == pytest.approx((low, high), abs=1e-12)
    rng = np.random.default_rng(0)
    for scale in (0.1, 1.0, 30.0):
        numbers = b.evaluate({"y": scale * rng.standard_normal((4, 4))})[node]
        assert low - 1e-12 <= numbers.min() <= numbers.max() <= high + 1e-12


@pytest.mark.parametrize("name", [name for name, (_, low, _) in BOUNDED.items() if math.isfinite(low)])
def test_a_gate_is_certified_down_to_its_bound(name):
    for below, certified in ((0.0, True), (1e-3, False)):
        b, node, low, _ = bounded(name)
        x = b.graph.inputs["x"]
        b.output(b.multiply(b.relu(x), b.subtract(node, low + below)))
        assert bool(certificate_of(b.graph, judge(b.graph, ["x"]))) is certified


@pytest.mark.parametrize("name", [name for name, (*_, high) in BOUNDED.items() if math.isfinite(high)])
def test_a_gate_from_above_is_certified_down_to_its_bound(name):
    for above, certified in ((0.0, True), (1e-3, False)):
        b, node, _, high = bounded(name)
        x = b.graph.inputs["x"]
        b.output(b.multiply(b.relu(x), b.subtract(high - above, node)))
        assert bool(certificate_of(b.graph, judge(b.graph, ["x"]))) is certified
