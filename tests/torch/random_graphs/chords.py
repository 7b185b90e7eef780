"""Whether a random model lies above one of its chords."""

from __future__ import annotations

import math

import torch

from tests.torch.random_graphs.graph import RandomGraph
from tests.torch.random_graphs.pieces import CONTEXT, WIDTH


def lies_above_a_chord(graph: RandomGraph, generator: torch.Generator, rows: int = 256, climbs: int = 0) -> bool:
    """Whether some of ``rows`` segments of many lengths (or ``climbs`` gradient steps from them) is a counterexample.

    Rounding is that of the largest value on the way, and torch's softplus drops by 2e-9 at its threshold.
    """
    graph.exact = True  # a certificate with casts to narrow types holds up to their rounding
    size = 10.0 ** (torch.rand(2, rows, 1, generator=generator, dtype=torch.float64) * 2.8 - 1.5)
    ends = torch.randn(2, rows, WIDTH, generator=generator, dtype=torch.float64) * size
    near = torch.rand(rows, 1, generator=generator) < 0.5
    ends[1] = torch.where(near, ends[0] + ends[1], ends[1])
    y = torch.randn(rows, CONTEXT, generator=generator, dtype=torch.float64)
    for climb in range(climbs + 1):
        ends = ends.detach().requires_grad_(climb < climbs)
        try:
            with torch.set_grad_enabled(climb < climbs):
                trails = [graph.trail(point, y) for point in (ends[0], ends[1], 0.5 * (ends[0] + ends[1]))]
                above = trails[2][-1] - 0.5 * (trails[0][-1] + trails[1][-1])
                sizes = [value.detach().abs().nan_to_num(0.0, math.inf).amax(1) for trail in trails for value in trail]
                scale = torch.stack(sizes).amax(0) + 1.0
                relative = above / scale[:, None]
            if bool((relative.detach().nan_to_num(-1.0, -1.0, -1.0) > 1e-8).any()):
                return True
            if climb < climbs:
                (gradient,) = torch.autograd.grad(relative.nan_to_num(0.0, 0.0, 0.0).amax(1).sum(), ends)
                step = gradient / (gradient.square().mean(-1, keepdim=True).sqrt() + 1e-12)
                ends = ends + 0.3 * size * step.nan_to_num(0.0, 0.0, 0.0)
        except RuntimeError:
            if climb == climbs:
                raise
            return False  # has no gradient, since it writes in place
    return False
