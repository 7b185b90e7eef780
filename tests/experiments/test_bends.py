"""The method "isometric, bends apart" of the experiments is the library's threshold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convex_init_core.methods.bends.bend_spread import Bends
from experiments.convolutional import network_of
from experiments.depth import build

APART = "isometric, bends apart"


@pytest.mark.parametrize("depth", [5, 20])
def test_a_network_with_its_bends_apart_has_a_centred_output_of_variance_1(depth):
    run = {"width": 400, "depth": depth, "method": APART, "seed": 0}
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


def test_its_weights_are_those_of_isometric_but_for_their_scale():
    """So that the two methods differ in nothing else."""
    old, new = (
        [
            layer.weight.detach()
            for layer in build({"width": 64, "depth": 5, "method": method, "seed": 0}, 50, 10).layers
        ]
        for method in ("isometric", APART)
    )
    scales = [float(b.max() / a.max()) for a, b in zip(old, new, strict=True)]
    for scale, a, b in zip(scales, old, new, strict=True):
        torch.testing.assert_close(b, scale * a)
    assert scales == pytest.approx([1.0, *[Bends(0.5, 4).gain] * 4, scales[-1]])
    assert scales[-1] < 0.97


@pytest.mark.parametrize("head", ["flatten", "mean"])
def test_a_convolutional_one_has_a_run_on_each_side_of_its_stride(head):
    run = {"dataset": "mnist", "channels": 24, "depth": 10, "method": APART, "head": head}
    model = network_of(run, 10, 0, torch.zeros(1, 784))
    convolutions = [layer for layer in model if isinstance(layer, torch.nn.Conv2d)]
    shifts = [-layer.bias[0].item() for layer in convolutions]
    assert shifts[0] == 0.0
    assert shifts[1:5] + shifts[6:] == pytest.approx([Bends(0.5, 4).shift] * 8)
    assert shifts[5] > 0.5
