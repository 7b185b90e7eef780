"""The paper's networks as ``ICNN`` builds them: which law each layer has, and what the forward pass computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, ConvexLinear
from tests.torch.networks import generator


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("activation", "gain"), [(nn.ReLU(), 2.0), (nn.LeakyReLU(0.5), 2.0 / 1.25)])
def test_the_non_convex_baseline_has_hes_variances_behind_activations_and_lecuns_in_front(activation, gain, skip):
    widths = (400, 300, 200, 100)
    model = ICNN(400, widths[1:3], 100, activation=activation, positivity=None, skip=skip)
    model.reset_parameters(generator())
    expected = {f"layers.{k}": (n, gain if k else 1.0) for k, n in enumerate(widths[:-1])}
    if skip:
        expected |= {"skips.0": (400, 1.0), "skips.1": (400, 1.0)}
    found = {path: layer for path, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    assert found.keys() == expected.keys()
    for path, (fan_in, variance) in expected.items():
        weight, bias = found[path].weight, found[path].bias
        assert not isinstance(found[path], ConvexLinear)
        # Five standard errors of the mean of a Gaussian sample (σ/√n) and of its variance (σ² √(2/n)).
        n = weight.numel()
        assert abs(weight.mean().item()) < 5.0 * (variance / fan_in / n) ** 0.5, path
        assert weight.var().item() * fan_in == pytest.approx(variance, rel=5.0 * (2.0 / n) ** 0.5), path
        assert bias is None or not bias.any(), path


@pytest.mark.parametrize(("skip", "bias"), [(False, True), (True, True), (True, False)])
def test_the_forward_pass_is_the_papers(skip, bias):
    model = ICNN(5, (7, 6), 2, activation=nn.Softplus(), skip=skip, bias=bias)
    x = torch.randn(4, 5, generator=generator(1))
    (w0, *ws), (b0, *bs) = zip(*((layer.weight, layer.bias) for layer in model.layers), strict=True)
    s = x @ w0.T + (b0 if bias else 0.0)
    for k, (w, b) in enumerate(zip(ws, bs, strict=True)):
        s = nn.functional.softplus(s) @ w.T + (b if bias else 0.0)
        if skip:
            s = s + model.skips[k](x)
            assert (model.skips[k].bias is None) == bias
    torch.testing.assert_close(model(x), s)
