"""Layers behind a batch normalisation, in models that are read by running them: their own theory holds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import apply_, mark_projected, plan, signal_report
from convex_init_core import InitSettings, as_activation
from convex_init_core.methods.normalised import normalised_recipe
from tests.torch.networks import generator


class Normalised(nn.Module):
    """Two layers with a batch normalisation behind each, and a last one without."""

    def __init__(self, *, convolutional: bool = False, width: int = 64, bias: bool = True):
        super().__init__()
        self.free, self.last = nn.Linear(20, width), nn.Linear(width, 1)
        self.convolutional = convolutional
        make = (
            (lambda: nn.Conv1d(width, width, 3, bias=bias)) if convolutional else lambda: nn.Linear(width, width, bias)
        )
        self.layers = nn.ModuleList(make() for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(2))
        for norm in self.norms:
            mark_projected(norm, "weight")

    def forward(self, x):
        z = self.free(x).relu()
        z = z[..., None].expand(-1, -1, 7) if self.convolutional else z
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = norm(layer(z)).relu()
        return self.last(z.sum(-1) if self.convolutional else z)


X = torch.randn(1000, 20, generator=generator(1))


@pytest.mark.parametrize("method", ["log_normal", "isometric"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("convolutional", [False, True])
def test_the_weights_are_those_of_normalised_layers(convolutional, bias, method):
    model = Normalised(convolutional=convolutional, bias=bias)
    rows = {layer.path: layer for layer in plan(model, X, method=method).layers}
    fan_in = 192 if convolutional else 64
    settings = InitSettings(method=method)
    expected = normalised_recipe(fan_in, as_activation("relu"), settings)
    for path in ("layers.0", "layers.1"):
        assert rows[path].recipe.statistics == expected.statistics
        assert "its scale is set by the normalisation behind it" in rows[path].note
    assert "normalisation" not in rows["last"].note


def test_the_report_shows_what_is_behind_the_normalisation():
    """Mean and variance are the normalisation's own; its statistics are set on the same batch.

    The correlation is a property of the sampled weights, 300 · 300 gamma weights with 1.3 effective ones in each unit.
    """
    model = Normalised(width=300)
    apply_(model, X, distribution="gamma", generator=generator())
    with torch.no_grad():
        model.norms[1].weight.fill_(0.5)
        model.norms[1].bias.copy_(torch.linspace(-0.75, 0.25, 300))
    rows = {layer.path: layer for layer in signal_report(model, X).layers}
    spread = float(model.norms[1].bias.detach().double().var(correction=0))
    for path, shift, variance in (("layers.0", 0.0, 1.0), ("layers.1", -0.25, 0.25 + spread)):
        assert (rows[path].predicted.mean, rows[path].predicted.variance) == pytest.approx((shift, variance))
        assert rows[path].mean == pytest.approx(shift, abs=1e-3)
        assert 0.8 * variance < rows[path].variance < 1.001 * variance  # units of next to no weight have less
        assert abs(rows[path].correlation - rows[path].predicted.correlation) < 0.15


@pytest.mark.parametrize("method", ["log_normal", "isometric"])
def test_the_running_statistics_are_those_of_the_examples(method):
    model = Normalised()
    apply_(model, X, method=method, generator=generator())
    model.eval()
    seen = {}
    for path, norm in model.norms.named_children():
        norm.register_forward_hook(lambda _, args, out, path=path: seen.update({path: (args[0], out)}))
    model(X)
    for path, norm in model.norms.named_children():
        before, behind = seen[path]
        assert norm.running_mean.numpy() == pytest.approx(before.mean(0).detach().numpy(), rel=1e-3, abs=1e-4)
        living = before.var(0) > 0.01  # above the normalisation's epsilon
        assert int(living.sum()) > 32
        assert behind[:, living].var(0).detach().numpy() == pytest.approx(1.0, abs=0.01)
