"""The bends of an isometric network, moved: against the network's own signal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.bends import bends
from experiments.depth import build


def test_the_bend_wanders_to_the_threshold_and_the_mean_square_stays():
    """Each layer by itself, on the quantiles of a Gaussian signal: 200,000 points, so means are good to 1e-4."""
    z = torch.erfinv(torch.linspace(-1, 1, 200_003, dtype=torch.float64)[1:-1]) * 2**0.5
    found = bends(0.5, 4)
    s = z
    for _ in range(4):
        s = found.gain * s.relu() - found.shift
    features = s.relu()
    assert float(z[features > 0].min()) == pytest.approx(0.5, abs=1e-4)
    assert float(features.square().mean()) == pytest.approx(0.5, rel=1e-3)
    assert float(features.mean()) == pytest.approx(found.mean, rel=1e-3)
    assert float(features.var()) == pytest.approx(found.variance, rel=1e-3)


@pytest.mark.parametrize("depth", [5, 20])
def test_a_network_with_its_bends_apart_has_a_centred_output_of_variance_1(depth):
    run = {"width": 400, "depth": depth, "method": "isometric, bends apart", "seed": 0}
    x = torch.randn(2000, 50, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network = build(run, 50, 10)
        hidden = network.layers[0](x)
        for layer in list(network.layers)[1:-1]:
            hidden = layer(hidden.relu())
        outputs = network.layers[-1](hidden.relu())
    assert float((hidden > 0).double().mean()) == pytest.approx(0.3085, abs=0.03)  # P(z > 0.5)
    # 40 units feed an output: mean and variance over 10 outputs and inputs that correlate by 1/50.
    assert abs(float(outputs.mean())) < 0.4
    assert np.isclose(float(outputs.var()), 1.0, atol=0.4)
