"""``signal_report``: measured values by hand, predictions by the core, and a model that stays as it was."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, apply_, signal_report
from convex_init_core import (
    GradientStatistics,
    LayerStatistics,
    SignalStatistics,
    as_activation,
    backward,
    forward,
    solve_centred,
)
from tests.torch.networks import generator


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def small() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    return apply_(model, generator=generator(), distribution="gamma")


def by_hand(s: np.ndarray) -> tuple[float, float, float]:
    """Mean, variance and correlation of different units, over pairs written out."""
    mean, variance = s.mean(), s.var()
    units = s.shape[1]
    pairs = [((s[:, i] - mean) * (s[:, j] - mean)).mean() for i in range(units) for j in range(units) if i != j]
    return mean, variance, np.mean(pairs) / variance


def test_measured_values_are_those_computed_by_hand():
    model, x = small(), normal(20, 3)
    report = signal_report(model, x)
    assert [layer.path for layer in report.layers] == ["0", "2", "4"]
    s = [part.detach() for part in (model[:1](x), model[:3](x), model(x))]
    for layer, found in zip(report.layers, s, strict=True):
        values = found.numpy()
        assert (layer.mean, layer.variance, layer.correlation) == pytest.approx(by_hand(values))
        assert layer.active == pytest.approx((values > 0).mean())
        assert sorted(layer.sample.tolist()) == pytest.approx(sorted(values.flatten()))
    for layer, features in zip(report.layers, (s[0].relu(), s[1].relu(), s[2]), strict=True):
        moving = features.std(0) > 0
        expected = np.corrcoef(features[:, moving].numpy().T)
        assert layer.correlations[moving][:, moving] == pytest.approx(expected)


def test_gradients_are_those_of_one_sample():
    model, x = small(), normal(20, 3)
    report = signal_report(model, x)
    for index, layer in zip((0, 2, 4), report.layers, strict=True):
        s = model[: index + 1](x).detach().requires_grad_()
        model[index + 1 :](s).sum().backward()  # the mean over the batch, times its size
        assert layer.gradient == pytest.approx(s.grad.square().mean().sqrt().item())
    with_loss = signal_report(model, x, lambda out: 3.0 * out.mean(0).sum())
    assert with_loss.layers[0].gradient == pytest.approx(3.0 * report.layers[0].gradient)


def layer_statistics(layer: nn.Linear) -> LayerStatistics:
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return LayerStatistics(layer.in_features, weight.mean(), weight.var(), bias.mean(), bias.var())


def test_predictions_are_those_of_the_core():
    model, x = small(), normal(20, 3)
    report = signal_report(model, x)
    signal = SignalStatistics(*by_hand(x.numpy()))
    signals = []
    for index, phi in ((0, "identity"), (2, "relu"), (4, "relu")):
        signal = forward(signal, layer_statistics(model[index]), as_activation(phi))
        signals.append(signal)
        found = report.layers[index // 2].predicted
        assert (found.mean, found.variance, found.correlation) == pytest.approx(
            (signal.mean, signal.variance, signal.correlation), rel=1e-9
        )
    gradient = GradientStatistics(1.0, 1.0, 1.0)  # of the sum of the outputs
    for index in (4, 2):
        layer = layer_statistics(model[index])
        phi, out = as_activation("relu"), model[index].out_features
        gradient = backward(gradient, layer, out, signals[index // 2 - 1], phi)
        assert report.layers[index // 2 - 1].predicted_gradient == pytest.approx(math.sqrt(gradient.second), rel=1e-9)


def test_predictions_come_true_in_a_wide_he_network():
    width = 1000
    torch.manual_seed(0)
    model = nn.Sequential(
        *(part for _ in range(4) for part in (nn.Linear(width, width), nn.ReLU())), nn.Linear(width, width)
    )
    for layer in model[::2]:
        phi = "identity" if layer is model[0] else "relu"
        nn.init.normal_(layer.weight, 0.0, solve_centred(width, phi).weight_std)
        nn.init.zeros_(layer.bias)
    x = torch.randn(200, width, generator=generator(1))
    report = signal_report(model, x, lambda out: (out * torch.randn(out.shape, generator=generator(2))).mean(0).sum())
    for layer in report.layers:
        # The gradient at the output is random noise of size 1, and He's initialisation halves nothing on the way.
        assert layer.predicted.variance == pytest.approx(1.0, rel=0.05)
        assert layer.variance == pytest.approx(layer.predicted.variance, rel=0.1)
        assert layer.mean == pytest.approx(0.0, abs=0.05)
        assert abs(layer.correlation - layer.predicted.correlation) < 0.05
        assert layer.active == pytest.approx(0.5, abs=0.05)
        assert layer.gradient == pytest.approx(1.0, rel=0.1)
        assert layer.gradient == pytest.approx(layer.predicted_gradient, rel=0.1)


def test_default_and_principled_initialisation_look_as_the_paper_says():
    """Non-negative weights without the shift blow up, and all features become one."""
    x = torch.randn(400, 200, generator=generator(1))
    widths = (200, 400, 300, 400)
    good = ICNN(200, widths, 100)
    good.reset_parameters(generator(), distribution="spike_and_slab")
    bad = ICNN(200, widths, 100, positivity=None)
    bad.reset_parameters(generator())
    for layer in bad.layers[1:]:
        layer.weight.data.clamp_(min=0.0)
    principled, clamped = signal_report(good, x).layers[1], signal_report(bad, x).layers[-1]
    assert principled.variance < 3.0
    assert clamped.variance > 1e4
    assert clamped.active == 1.0
    assert clamped.correlations.min() > 0.9


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(
        nn.BatchNorm1d(3), nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Dropout(0.9), nn.Linear(4, 2)
    ).double()
    apply_(model)
    model[3].eval()  # modes may differ from module to module
    model[1].weight.grad = torch.ones_like(model[1].weight)
    model[4].requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    x = normal(10, 3)
    kept, state = x.clone(), torch.get_rng_state()
    report = signal_report(model, x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert (model[1].weight.grad == 1.0).all()
    assert all(parameter.grad is None for name, parameter in model.named_parameters() if name != "1.weight")
    assert not model[4].weight.requires_grad
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert report.layers[0].gradient > 0.0  # although layers behind it are frozen


def test_the_model_is_left_as_it_was_after_an_error():
    model = small().train()
    with pytest.raises(ValueError, match="the model fails on them with RuntimeError"):
        signal_report(model, normal(10, 7))
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())


def test_in_place_activations_do_not_spoil_the_measurement():
    plain = small()
    in_place = copy.deepcopy(plain)
    in_place[1] = in_place[3] = nn.ReLU(inplace=True)
    x = normal(10, 3)
    assert str(signal_report(in_place, x)) == str(signal_report(plain, x))


def test_inside_no_grad():
    model, x = small(), normal(10, 3)
    expected = str(signal_report(model, x))
    with torch.no_grad():
        assert str(signal_report(model, x)) == expected


def test_skips_are_added():
    model = ICNN(3, (4, 5), 2, skip=True, dtype=torch.float64)
    x = normal(30, 3)
    report = signal_report(model, x)
    assert [layer.path for layer in report.layers] == ["layers.0", "layers.1", "layers.2"]
    first = model.layers[0](x)
    second = model.layers[1](first.relu()) + model.skips[0](x)
    found = report.layers[1]
    assert (found.mean, found.variance, found.correlation) == pytest.approx(by_hand(second.detach().numpy()))
    assert report.layers[2].variance == pytest.approx(model(x).detach().var(correction=0).item())


def test_a_wide_principled_layer_with_a_skip_comes_true():
    model = ICNN(300, (600,), 600, skip=True, bias=False)
    model.reset_parameters(generator(), distribution="spike_and_slab")
    layer = signal_report(model, torch.randn(600, 300, generator=generator(3))).layers[1]
    assert layer.variance == pytest.approx(layer.predicted.variance, rel=0.2)
    assert layer.mean == pytest.approx(layer.predicted.mean, abs=0.2)


def test_a_convolutional_network():
    model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(96, 3)).double()
    apply_(model)
    x = normal(12, 2, 8, 8)
    report = signal_report(model, x)
    s = model[:3](x).detach()
    assert (report.layers[1].mean, report.layers[1].variance) == pytest.approx(
        (s.mean().item(), s.var(correction=0).item())
    )
    rows = s.movedim(1, -1).reshape(-1, 6).numpy()
    assert report.layers[1].correlation == pytest.approx(by_hand(rows)[2])
    assert report.layers[1].correlations.shape == (96, 96)
    assert len(str(report).splitlines()) == 4


def test_linear_layers_on_sequences():
    """Units lie in the last dimension, all others are samples and positions."""
    model, x = small(), normal(6, 5, 3)
    sequences, flat = signal_report(model, x), signal_report(model, x.flatten(0, 1))
    for one, other in zip(sequences.layers, flat.layers, strict=True):
        assert (one.mean, one.variance, one.correlation) == pytest.approx(
            (other.mean, other.variance, other.correlation)
        )
        assert one.predicted.variance == pytest.approx(other.predicted.variance)
        assert one.correlations == pytest.approx(other.correlations, abs=1e-9)


def test_models_with_several_inputs_and_a_forward_of_their_own():
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
            return self.b(torch.relu(self.a(x + shift)))

    model = Network()
    inputs = torch.randn(5, 3), torch.randn(5, 3)
    told = signal_report(model, inputs, positive="b", fed_by="relu")
    assert len(told.layers) == 2
    for one, other in zip(signal_report(model, inputs).layers, told.layers, strict=True):  # the batch shows as much
        assert (one.path, one.variance, one.correlation, one.gradient) == pytest.approx(
            (other.path, other.variance, other.correlation, other.gradient)
        )
    first, other = signal_report(model, inputs).layers[0], told.layers[0]
    assert first.predicted.variance == pytest.approx(other.predicted.variance)


def test_a_compiled_model():
    model, x = small(), normal(10, 3)
    assert str(signal_report(torch.compile(model, backend="eager"), x)) == str(signal_report(model, x))


def test_a_single_sample_is_refused():
    with pytest.raises(ValueError, match="batch must hold at least two samples"):
        signal_report(small(), normal(1, 3))


def test_a_dead_signal_gives_numbers():
    model = small()
    model[2].weight.data.zero_()
    report = signal_report(model, normal(10, 3))
    assert report.layers[2].variance == pytest.approx(model[4].bias.var(correction=0).item(), abs=1e-12)
    assert all(math.isfinite(float(word)) for line in str(report).splitlines()[1:] for word in line.split()[1:])


def test_the_table_and_the_picture(tmp_path):
    report = signal_report(small(), normal(300, 3))
    lines = str(report).splitlines()
    assert lines[0].split()[:3] == ["layer", "mean", "(theory)"]
    assert lines[1].split()[1] == f"{report.layers[0].mean:.3g}"
    matplotlib = pytest.importorskip(
        "matplotlib", reason="matplotlib is not installed: pip install 'convex-init[plot]'"
    )
    figure = report.plot(str(tmp_path / "signal.png"))
    assert isinstance(figure, matplotlib.figure.Figure)
    assert len(figure.axes) == 2 * 3 + 1  # a histogram and a matrix for each layer, and the colour bar
    assert (tmp_path / "signal.png").stat().st_size > 5_000
    assert "matplotlib.pyplot" not in __import__("sys").modules  # no global figure, no backend chosen


def test_no_theory_is_shown_for_isometric_weights():
    """The equations are for weights drawn one by one; behind a permutation they are half as large again."""
    model = nn.Sequential(nn.Linear(20, 60), nn.ReLU(), nn.Linear(60, 60), nn.ReLU(), nn.Linear(60, 8))
    apply_(model, method="isometric", generator=generator())
    x = torch.randn(500, 20, generator=generator(1))
    report = signal_report(model, x)
    assert report.layers[0].predicted.variance == pytest.approx(report.layers[0].variance, rel=0.2)
    assert [math.isnan(layer.predicted.variance) for layer in report.layers] == [False, True, True]
    assert [math.isnan(layer.predicted_gradient) for layer in report.layers] == [True, True, False]
    assert str(report).count("–") == 8
    model[2].weight.data.add_(0.01)  # as soon as rows share features, there is one again
    assert math.isfinite(signal_report(model, x).layers[1].predicted.variance)


def test_no_theory_is_shown_for_isometric_weights_in_a_model_that_is_read_by_running():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.free, self.beside = nn.Linear(20, 60), nn.Linear(20, 60)
            self.square, self.kernel, self.last = nn.Linear(60, 60), nn.Conv1d(60, 60, 3, padding=1), nn.Linear(60, 8)

        def forward(self, x):
            first = torch.relu(self.free(x))
            second = torch.relu(self.square(first) + self.beside(x))
            return self.last(torch.relu(self.kernel(second[..., None].expand(-1, -1, 4))).sum(-1))

    model, x = Branching(), torch.randn(500, 20, generator=generator(1))
    apply_(model, x, method="isometric", generator=generator())
    found = {layer.path: layer.predicted.variance for layer in signal_report(model, x).layers}
    assert {path: math.isnan(value) for path, value in found.items()} == {
        "free": False,
        "square": True,
        "kernel": True,
        "last": True,
    }
    apply_(model, x, generator=generator())
    assert all(math.isfinite(layer.predicted.variance) for layer in signal_report(model, x).layers)
