"""No two weights of a network share a random number, however large the tensors are and however they are spread."""

from __future__ import annotations

import pytest
import torch

from convex_init.torch.write.drawing import Fill, fill_
from convex_init_core import LogNormal, Normal
from convex_init_core.weights.exact_moments import matched
from convex_init_core.weights.sampling import BLOCK
from tests.torch.networks import generator


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("first", [1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
def test_no_number_is_drawn_twice(first, threads):
    tensors = [torch.zeros(size, dtype=torch.float64) for size in (first, BLOCK + 7, 50, 50)]
    kept = torch.get_num_threads()
    torch.set_num_threads(threads)
    fill_([Fill(tensor, Normal(0.0, 1.0)) for tensor in tensors], generator())
    torch.set_num_threads(kept)
    drawn = torch.cat(tensors)
    # float64 normals: two of 800,000 agree by chance with a probability below 1e-4.
    assert drawn.unique().numel() == drawn.numel()
    assert drawn.mean().abs() < 5.0 / drawn.numel() ** 0.5


@pytest.mark.parametrize("shape", [(600,), (1, 600), (3, 600), (3, 20, 30)])
def test_matched_units_are_drawn_as_wholes(shape):
    """The units of a weight lie along its first axis; a weight of one axis is one unit."""
    law = LogNormal.from_moments(0.05, 0.01)
    weight = torch.zeros(shape, dtype=torch.float64)
    fill_([Fill(weight, matched(law))], generator())
    for unit in weight.reshape(-1, 600):
        assert unit.mean().item() == pytest.approx(law.mean, rel=1e-6)
        assert unit.var(correction=0).item() == pytest.approx(law.variance, rel=1e-4)
