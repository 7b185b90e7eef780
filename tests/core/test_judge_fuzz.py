"""No random graph is judged convex in which a counterexample is found, and almost all that are convex are judged so."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from convex_init_core.convexity.judge import certificate_of, judge
from tests.core.graphs.builder import NumpyFramework
from tests.core.graphs.random_graphs.chords import lies_above_a_chord
from tests.core.graphs.random_graphs.graph import RandomGraph


def is_certified(graph: RandomGraph) -> bool:
    return bool(certificate_of(graph.b.graph, judge(graph.b.graph, ["x"], framework=NumpyFramework())))


@pytest.mark.parametrize("graphs", [18_000])
def test_random_graphs(graphs):
    counts: Counter[str] = Counter()
    for seed in range(graphs):
        graph = RandomGraph(random.Random(seed), well_behaved=seed % 2 == 0)
        certified, above = is_certified(graph), lies_above_a_chord(graph, np.random.default_rng(seed))
        convex = graph.truth.shape in ("affine", "convex")
        assert not (certified and above), (seed, graph.names)
        assert not (convex and above), f"the test is wrong on {seed}: {graph.names}"
        counts.update(certified=certified, violated=above, convex=convex, both=convex and certified)
    # The claim would be empty if either kind were rare; of what is convex by construction, few go uncertified.
    assert counts["certified"] > 0.2 * graphs
    assert counts["violated"] > 0.1 * graphs
    assert counts["both"] > 0.98 * counts["convex"]


@pytest.mark.parametrize(
    ("function", "is_above"),
    [
        (lambda b, x: b.tanh(x), True),
        (lambda b, x: b.subtract(b.square(x), b.abs(x)), True),
        (lambda b, x: b.where(b.compare(x, ">", 0.0), x, b.add(x, 0.1)), True),
        (lambda b, x: b.square(x), False),
    ],
)
def test_the_check_sees_a_violation(function, is_above):
    graph = RandomGraph(random.Random(0), well_behaved=True, steps=1)
    graph.made.append((function(graph.b, graph.x), graph.truth))
    assert lies_above_a_chord(graph, np.random.default_rng(0)) == is_above
