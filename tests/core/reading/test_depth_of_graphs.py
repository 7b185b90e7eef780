"""Reading takes time in proportion to the number of layers, and no recursion."""

from __future__ import annotations

import time

import pytest

from convex_init_core.convexity.judge import judge
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.products_and_sums import read
from convex_init_core.reading.signals import Signals
from convex_init_core.signal.signal_moments import pre_activation
from tests.core.reading.drawn_graphs import Drawing

LAYERS = 1000


def chain(g):
    z = g.input(1, 2)
    for i in range(LAYERS):
        z = g.relu(g.linear(z, str(i), 2))


def stream(g):
    z = g.linear(g.input(1, 2), "in", 2)
    for i in range(LAYERS - 1):
        z = g.add(z, g.relu(g.linear(z, str(i), 2)))
    g.linear(z, "out", 2)


def one_sum(g):
    x = g.input(1, 2)
    total = g.linear(x, "0", 2)
    for i in range(1, LAYERS):
        total = g.add(total, g.linear(x, str(i), 2))


def element_wise(g):
    z = g.relu(g.input(1, 2))
    for _ in range(LAYERS):
        z = g.add(g.multiply(z, 0.5), 1.0)
    g.linear(z, "out", 2)


@pytest.mark.parametrize("make", [chain, stream, one_sum, element_wise])
def test_a_thousand_layers(make):
    g = Drawing()
    make(g)
    values = judge(g.graph)
    start = time.process_time()
    reading = read(g.graph, values)
    feeding = Feeding.of(g.graph, reading.values)
    signals = Signals(reading, feeding)
    for found in reading.sums:
        for term in found.terms:
            feeding.activation_behind(term.product.data)
            signals.of(term.product.data)
        signals.decided[found.root] = pre_activation()
    feeding.activation_behind(g.graph.nodes[-1])
    assert reading.products
    assert time.process_time() - start < 2.0  # about 0.2 s on an idle machine
