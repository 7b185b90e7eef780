"""No certificate for a random graph in which a counterexample is found, and one for almost all that are convex."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch

import convex_init.torch as ci
from tests.core.graphs.truth import Truth
from tests.torch.random_graphs.chords import lies_above_a_chord
from tests.torch.random_graphs.graph import RandomGraph
from tests.torch.random_graphs.pieces import CONTEXT, WIDTH

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

GRAPHS = 5000


def certified(graph: RandomGraph, generator: torch.Generator) -> ci.Certificate:
    x = torch.randn(2, WIDTH, dtype=torch.float64, generator=generator)
    y = torch.randn(2, CONTEXT, dtype=torch.float64, generator=generator)
    return ci.certify(graph, (x, graph.context(y)), 0, search=False)


@pytest.mark.filterwarnings("ignore")  # of torch, for what random graphs do
def test_some_random_graphs():
    """With those of the core and of JAX, 20,000 at every run."""
    counts: Counter[str] = Counter()
    for seed in range(1850):
        graph = RandomGraph(random.Random(seed), well_behaved=seed % 2 == 0, steps=8)
        generator = torch.Generator().manual_seed(seed)
        certificate = certified(graph, generator)
        above = lies_above_a_chord(graph, generator, rows=128)
        convex = graph.truth.shape in ("affine", "convex")
        assert not (certificate and above), (seed, graph.names)
        assert not (convex and above), f"the test is wrong on {seed}: {graph.names}"
        counts.update(certified=bool(certificate), violated=above, convex=convex, both=convex and bool(certificate))
    assert counts["certified"] > 0.2 * 1850
    assert counts["violated"] > 0.1 * 1850
    assert counts["both"] > 0.95 * counts["convex"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch, for what random graphs do
def test_random_graphs():
    counts: Counter[str] = Counter()

    # Derandomised: the same graphs at every run. The source is hypothesis's, so that a failing graph shrinks.
    @hypothesis.settings(
        max_examples=GRAPHS,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.randoms(use_true_random=False), st.booleans())
    def check(source, well_behaved):
        graph = RandomGraph(source, well_behaved)
        generator = torch.Generator().manual_seed(counts["graphs"])
        certificate = certified(graph, generator)
        above = lies_above_a_chord(graph, generator, rows=128)
        convex = graph.truth.shape in ("affine", "convex")
        assert not (certificate and above), graph.names
        assert not (convex and above), f"the test is wrong on {graph.names}"
        counts.update(
            graphs=1,
            certified=bool(certificate),
            violated=above,
            convex=convex,
            both=convex and bool(certificate),
        )

    check()
    # The claim would be empty if either kind were rare; of what is convex by construction, few go uncertified.
    assert counts["graphs"] >= GRAPHS
    assert counts["certified"] > 0.2 * GRAPHS
    assert counts["violated"] > 0.1 * GRAPHS
    assert counts["both"] > 0.98 * counts["convex"]


def test_the_check_sees_a_violation():
    class Wrong(RandomGraph):
        def __init__(self, function):
            torch.nn.Module.__init__(self)
            self.steps = [lambda z, y: function(z[0])]
            self.truths = [Truth("affine"), Truth("?")]

    generator = torch.Generator().manual_seed(0)
    assert lies_above_a_chord(Wrong(torch.tanh), generator)
    assert lies_above_a_chord(Wrong(lambda a: a.square() - a.abs()), generator)
    assert not lies_above_a_chord(Wrong(torch.square), generator)
