"""What batch normalisation and residual sums do to the signal, measured through the layers of the models.

The theory's own numbers are tested in ``tests/core/test_normalised.py``; here they meet convolutions on images.
"""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

import convex_init.timm as ct
import convex_init_core as core
from convex_init_core.methods.normalised import forward_normalised, forward_residual, residual_gain, solve_normalised
from convex_init_core.weights.fans import convolution_fan_in


def noise(seed=5):
    """Images whose three channels are equal, so that the signal starts from something shared."""
    return torch.randn(32, 1, 12, 12, generator=torch.Generator().manual_seed(seed)).expand(32, 3, 12, 12)


def statistics(s):
    """Mean variance of the units, and mean covariance of two over it (positions count as samples)."""
    rows = s.detach().movedim(1, -1).flatten(0, -2).double()
    centred, units = rows - rows.mean(0), rows.shape[1]
    variance = centred.square().mean()
    pairs = (centred.sum(1).square().mean() / units - variance) / (units - 1)
    return float(variance), float(pairs / variance)


def recorded(model, layers, x, training=True):
    found = []
    handles = [layer.register_forward_hook(lambda m, args, out: found.append(out)) for layer in layers]
    with torch.no_grad():
        model.train(training)(x)
    for handle in handles:
        handle.remove()
    return found


def convnet(distribution=None, seed=0):
    torch.manual_seed(seed)
    model = timm.create_model("icnn_convnet5", widths=(48,) * 9)
    model.init_weights(distribution=distribution)
    return model


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_normalised_layers_keep_the_correlation_low(seed):
    model = convnet(seed=seed)
    outputs = [statistics(out) for out in recorded(model, [block.norm for block in model.blocks], noise())]
    # A normalised unit has variance 1 unless its weights are so small that the normalisation's epsilon counts.
    assert all(0.7 < variance < 1.001 for variance, _ in outputs)
    assert all(abs(correlation) < 0.35 for _, correlation in outputs)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weights_that_hear_many_features_run_to_correlation_one(seed):
    model = convnet(seed=seed)
    with torch.no_grad():
        for block in model.blocks:
            layer = core.solve(convolution_fan_in(48, (3, 3)))  # the paper's moments
            law = core.non_negative_law("gamma", layer.weight_mean, layer.weight_variance)
            shape = tuple(block.conv.weight.shape)
            sample = law.sample(core.NumpyDraw(np.random.default_rng(seed), shape))
            block.conv.weight.copy_(torch.as_tensor(sample))
    outputs = [statistics(out) for out in recorded(model, [block.norm for block in model.blocks], noise())]
    assert outputs[-1][1] > 0.7
    signal = core.SignalStatistics(0.0, 1.0, outputs[0][1])
    for _ in model.blocks[1:]:
        signal = forward_normalised(signal, layer, core.relu())
    assert signal.correlation > 0.7  # as the theory says


def test_evaluation_mode_passes_the_signal_before_any_training():
    model = convnet()
    outputs = [statistics(out) for out in recorded(model, [b.norm for b in model.blocks], noise(), training=False)]
    assert all(0.1 < variance < 10.0 for variance, _ in outputs)
    for block in model.blocks:
        block.norm.reset_running_stats()  # what batch normalisations start from otherwise
    plain = recorded(model, [block.norm for block in model.blocks], noise(), training=False)
    assert statistics(plain[-1])[0] < 1e-3  # uncentred, the signal runs away or, as here, dies


@pytest.mark.parametrize("blocks", [2, 6])
def test_residual_sums_add_variances(blocks):
    torch.manual_seed(0)
    model = timm.create_model("icnn_resnet8", layers=(blocks,), width=48)
    start, *sums = recorded(model, [model.stem, *model.blocks], noise())
    signal = core.SignalStatistics(0.0, *statistics(start))
    layer = solve_normalised(convolution_fan_in(48, (3, 3)))
    gain = residual_gain(blocks)
    for out in sums:
        signal = forward_residual(signal, [layer, layer], core.relu(), gain)
        variance, _ = statistics(out)
        # Less where the epsilon mutes units of small weights, more where neighbouring positions are alike.
        assert variance == pytest.approx(signal.variance, rel=0.15)
    assert abs(float(sums[-1].mean())) < 1e-2


def test_convexify_gives_residual_branches_their_gain():
    from timm.models.resnet import BasicBlock, ResNet

    model = ResNet(BasicBlock, layers=(2, 1, 1, 1), channels=(64, 12, 12, 12))
    ct.convexify(model, torch.zeros(2, 3, 32, 32))
    # Identity shortcuts in both blocks of layer 1 and where the width stays but the stride does not: none.
    assert float(model.layer1[0].bn2.weight[0].detach()) == pytest.approx(2**-0.5)
    assert float(model.layer2[0].bn2.weight[0].detach()) == pytest.approx(2**-0.5)
    assert float(model.layer1[0].bn1.weight[0].detach()) == 1.0
