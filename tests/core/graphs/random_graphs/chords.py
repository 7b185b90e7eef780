"""Whether a random graph lies above one of its chords."""

from __future__ import annotations

import numpy as np

from tests.core.graphs.random_graphs.graph import RandomGraph
from tests.core.graphs.random_graphs.pieces import CONTEXT, ROWS, WIDTH


def lies_above_a_chord(graph: RandomGraph, rng: np.random.Generator) -> bool:
    """Whether one of ROWS segments of many lengths is a counterexample, beyond the rounding of the largest value."""
    size = 10.0 ** rng.uniform(-1.5, 1.3, (2, ROWS, 1))
    ends = rng.standard_normal((2, ROWS, WIDTH)) * size
    near = rng.uniform(size=(ROWS, 1)) < 0.5
    ends[1] = np.where(near, ends[0] + ends[1], ends[1])
    y = rng.standard_normal((ROWS, CONTEXT))
    trails = []
    for x in (ends[0], ends[1], 0.5 * (ends[0] + ends[1])):
        known = graph.b.evaluate({"x": x, "y": y})
        trails.append([known[node] for node, _ in graph.made])
    with np.errstate(all="ignore"):
        above = trails[2][-1] - 0.5 * (trails[0][-1] + trails[1][-1])
        sizes = [np.nan_to_num(np.abs(value), posinf=np.inf).max(axis=1) for trail in trails for value in trail]
        scale = np.max(sizes, axis=0) + 1.0
        return bool((np.nan_to_num(above / scale[:, None], nan=-1.0, posinf=-1.0, neginf=-1.0) > 1e-8).any())
