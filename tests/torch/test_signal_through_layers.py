"""Contract, point 2: mean, variance and correlation of the pre-activations that torch's own layers compute.

Each repeat draws the layer and the data anew, so the bounds come from the spread of 32 independent repeats. Signals are
Gaussian with statistics on and off the fixed point; fan-in and fan-out differ.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, apply_, plan, read_activation
from convex_init_core import LayerStatistics, SignalStatistics, as_activation, forward, forward_convolution
from tests.contract.fields import correlated_field, field_statistics, unit_statistics
from tests.core.monte_carlo import assert_agrees
from tests.torch.networks import generator

REPEATS = 32
FIXED_POINT = SignalStatistics(0.0, 1.0, 0.5)
ELSEWHERE = SignalStatistics(0.2, 1.5, 0.2)


def repeats(
    make: Callable[[], nn.Sequential],
    settings: dict[str, object],
    signal: SignalStatistics,
    samples: int,
    channels: int,
    grid: tuple[int, ...],
    measure: Callable[[np.ndarray], list[float]],
) -> np.ndarray:
    """``measure`` of the layer's outputs, one row for each repeat."""
    found = []
    for seed in range(REPEATS):
        model = apply_(make(), generator=generator(seed), **settings)
        field = correlated_field(np.random.default_rng(seed), signal, samples, channels, grid, smooth=bool(grid))
        with torch.no_grad():
            s = model(torch.from_numpy(field).to(model[1].weight.dtype))
        found.append(measure(s.double().numpy()))
    return np.array(found)


def expected_of(signal: SignalStatistics) -> list[float]:
    return [signal.mean, signal.variance, signal.correlation * signal.variance]


DENSE = {
    "float32": (torch.float32, nn.ReLU(), {}),
    "float64": (torch.float64, nn.ReLU(), {}),
    "bfloat16": (torch.bfloat16, nn.ReLU(), {}),
    "leaky relu": (torch.float64, nn.LeakyReLU(0.3), {}),
    "softplus": (torch.float64, nn.Softplus(beta=2.0), {"variance": 2.0}),
    "elu, weakly correlated": (torch.float64, nn.ELU(), {"correlation": 0.2}),
    "strongly correlated": (torch.float32, nn.ReLU(), {"correlation": 0.8}),
    "bias noise": (torch.float32, nn.ReLU(), {"bias_noise": 0.5}),
    "log-normal": (torch.float64, nn.ReLU(), {"distribution": "log_normal"}),
}


@pytest.mark.parametrize("signal", [FIXED_POINT, ELSEWHERE], ids=["at the fixed point", "elsewhere"])
@pytest.mark.parametrize("case", DENSE)
def test_linear(case, signal):
    dtype, phi, chosen = DENSE[case]
    # Log-normal: narrow, and many units, so that every repeat sees the whole tail.
    fan_in, fan_out, samples = (3, 6000, 400) if case == "log-normal" else (40, 400, 1500)
    settings = {"distribution": "gamma", **chosen}
    layer = plan(nn.Sequential(phi, nn.Linear(fan_in, 2)), **settings).layers[0].recipe
    expected = forward(signal, layer.statistics, layer.activation)

    def measure(s: np.ndarray) -> list[float]:
        return list(unit_statistics(s, expected.mean))

    found = repeats(
        lambda: nn.Sequential(phi, nn.Linear(fan_in, fan_out, dtype=dtype)),
        settings,
        signal,
        samples,
        fan_in,
        (),
        measure,
    )
    assert_agrees(found, expected_of(expected), expected.variance, resolution=0.1)


def test_the_fixed_point_is_kept():
    """What the three targets say is what a layer fed with them gives back."""
    target = SignalStatistics(0.0, 3.0, 0.3)
    settings = {"correlation": 0.3, "variance": 3.0, "output_variance": 3.0, "bias_noise": 0.4}
    settings |= {"method": "log_normal", "distribution": "spike_and_slab"}
    found = repeats(
        lambda: nn.Sequential(nn.CELU(0.5), nn.Linear(30, 300)),
        settings, target, 1500, 30, (), lambda s: list(unit_statistics(s, 0.0)),
    )  # fmt: skip
    assert_agrees(found, [0.0, 3.0, 0.9], 3.0, resolution=0.1)


CONVOLUTIONS = {
    "Conv1d": (lambda: nn.Conv1d(8, 60, 5, padding="same", padding_mode="circular"), (12,)),
    "Conv1d, grouped and dilated": (
        lambda: nn.Conv1d(8, 60, 3, groups=4, dilation=3, padding="same", padding_mode="circular"), (12,)
    ),
    "Conv2d": (lambda: nn.Conv2d(5, 160, (3, 2), padding="same", padding_mode="circular"), (6, 5)),
    "Conv2d, depthwise": (lambda: nn.Conv2d(6, 60, 3, groups=6, padding="same", padding_mode="circular"), (6, 5)),
    "Conv2d, 1x1": (lambda: nn.Conv2d(20, 60, 1), (4, 3)),
    "Conv3d": (lambda: nn.Conv3d(3, 240, 2, dilation=(1, 2, 1), padding="same", padding_mode="circular"), (4, 4, 3)),
}  # fmt: skip


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case):
    make, grid = CONVOLUTIONS[case]
    module = make()
    settings = {"distribution": "spike_and_slab", "bias_noise": 0.2}
    recipe = plan(nn.Sequential(nn.ReLU(), make()), **settings).layers[0].recipe
    assert recipe.statistics.fan_in == module.weight[0].numel() != module.out_channels
    field = field_statistics(ELSEWHERE, grid, smooth=True)
    out = forward_convolution(field, recipe.statistics, recipe.activation, module.kernel_size, module.dilation)
    step = (1,) + (0,) * (len(grid) - 1)

    def measure(s: np.ndarray) -> list[float]:
        groups = np.split(s, module.groups, axis=1)  # channels of one group share their inputs
        rows = [np.moveaxis(group, 1, -1).reshape(-1, group.shape[1]) for group in groups]
        mean, variance, covariance = np.mean([unit_statistics(r, out.mean) for r in rows], axis=0)
        along = np.mean((s - out.mean) * (np.roll(s, 1, axis=2) - out.mean))
        return [mean, variance, covariance, along]

    found = repeats(
        lambda: nn.Sequential(nn.ReLU(), make()), settings, ELSEWHERE, 150, module.in_channels, grid, measure
    )
    assert_agrees(found, [*expected_of(out.signal), out.same[step]], out.signal.variance, resolution=0.15)


TRANSPOSED = {
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(8, 60, 4, stride=2), (10,)),
    "ConvTranspose1d, grouped": (lambda: nn.ConvTranspose1d(8, 60, 4, stride=2, groups=2), (10,)),
    "ConvTranspose1d, stride 1": (lambda: nn.ConvTranspose1d(8, 60, 3), (10,)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 40, (4, 3), stride=(2, 3)), (7, 5)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(4, 40, 2, stride=(2, 1, 2)), (3, 4, 3)),
}


def away_from_borders(s: np.ndarray, module: nn.Module) -> np.ndarray:
    """Outputs that every tap reaches."""
    for axis, (k, stride) in enumerate(zip(module.kernel_size, module.stride, strict=True), start=2):
        s = np.take(s, np.arange(k - stride, s.shape[axis] - (k - stride)), axis=axis)
    return s


@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolution_whose_stride_divides_its_kernel(case):
    make, grid = TRANSPOSED[case]
    module = make()
    layer = plan(nn.Sequential(nn.ReLU(), make()), distribution="spike_and_slab").layers[0]
    taps = [k // stride for k, stride in zip(module.kernel_size, module.stride, strict=True)]
    assert layer.recipe.statistics.fan_in == module.in_channels // module.groups * np.prod(taps)
    assert "uneven" not in layer.note
    field = field_statistics(ELSEWHERE, grid, smooth=True)
    # At each output, the taps that meet an input meet neighbouring ones: a convolution with a shorter kernel.
    out = forward_convolution(field, layer.recipe.statistics, layer.recipe.activation, taps).signal

    def measure(s: np.ndarray) -> list[float]:
        groups = np.split(away_from_borders(s, module), module.groups, axis=1)
        rows = [np.moveaxis(group, 1, -1).reshape(-1, group.shape[1]) for group in groups]
        return list(np.mean([unit_statistics(r, out.mean) for r in rows], axis=0))

    make_model = lambda: nn.Sequential(nn.ReLU(), make())  # noqa: E731
    found = repeats(make_model, {"distribution": "spike_and_slab"}, ELSEWHERE, 150, module.in_channels, grid, measure)
    assert_agrees(found, expected_of(out), out.variance, resolution=0.15)


def test_transposed_convolution_whose_stride_does_not_divide_its_kernel():
    """Outputs sum one tap and two taps in turn; the fan-in is their average, and the mean is right on average."""

    def make() -> nn.Sequential:
        return nn.Sequential(nn.ReLU(), nn.ConvTranspose1d(8, 400, 3, stride=2))

    layer = plan(make(), distribution="spike_and_slab").layers[0]
    moments = layer.recipe.statistics
    assert moments.fan_in == 12.0
    assert "average" in layer.note
    field = field_statistics(FIXED_POINT, (10,), smooth=True)
    by_taps = [
        forward_convolution(
            field,
            LayerStatistics(8 * taps, moments.weight_mean, moments.weight_variance, moments.bias_mean),
            layer.recipe.activation,
            (taps,),
        ).signal
        for taps in (1, 2)
    ]
    assert np.mean([signal.mean for signal in by_taps]) == pytest.approx(0.0, abs=1e-12)

    def measure(s: np.ndarray) -> list[float]:
        inner = away_from_borders(s, make()[1])
        phases = [np.moveaxis(inner[:, :, start::2], 1, -1).reshape(-1, 400) for start in (0, 1)]
        return [x for r, out in zip(phases, by_taps, strict=True) for x in unit_statistics(r, out.mean)]

    found = repeats(make, {"distribution": "spike_and_slab"}, FIXED_POINT, 400, 8, (10,), measure)
    assert_agrees(found, [x for out in by_taps for x in expected_of(out)], 1.0, resolution=0.15)


@pytest.mark.parametrize("bias", [True, False])
def test_a_positive_layer_with_a_free_skip(bias):
    """The skip carries its share of the variance, and without a bias on the layer the shift, too."""
    settings = {"distribution": "gamma", "skip_share": 0.4, "bias_noise": 0.2}
    found = []
    for seed in range(REPEATS):
        model = ICNN(25, (40,), 300, skip=True, bias=bias)
        model.reset_parameters(generator(seed), **settings)
        rng = np.random.default_rng(seed)
        field = correlated_field(rng, FIXED_POINT, 1500, 40)
        x = rng.standard_normal((1500, 25))
        with torch.no_grad():
            s = model.layers[1](torch.relu(torch.from_numpy(field).float())) + model.skips[0](
                torch.from_numpy(x).float()
            )
        found.append(unit_statistics(s.double().numpy(), 0.0))
    assert_agrees(np.array(found), [0.0, 1.0, 0.5], 1.0, resolution=0.1)


def test_the_free_first_layer():
    model = nn.Sequential(nn.Linear(30, 400))
    found = []
    for seed in range(REPEATS):
        apply_(model, output_variance=2.0, generator=generator(seed))
        x = torch.randn(1500, 30, generator=generator(seed + 100))
        with torch.no_grad():
            found.append(unit_statistics(model(x).double().numpy(), 0.0))
    assert_agrees(np.array(found), [0.0, 2.0, 0.0], 2.0)


def test_activations_are_those_of_torch():
    """The same function that torch applies: the core's moments are of what the layer really sees."""
    s = torch.linspace(-25.0, 25.0, 2001, dtype=torch.float64)
    modules = [
        nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.2), nn.PReLU(init=0.4), nn.ELU(0.5), nn.CELU(2.0),
        nn.Softplus(3.0, 30.0), nn.Threshold(0.0, 0.0),
    ]  # fmt: skip
    for module in modules:
        with torch.no_grad():
            expected = module.double()(s).numpy()
        assert read_activation(module)(s.numpy()) == pytest.approx(expected, rel=1e-6, abs=1e-9), module
    assert read_activation(torch.relu) == as_activation("relu")
    assert read_activation(lambda t: torch.relu(t) + t)(s.numpy()) == pytest.approx((s.relu() + s).numpy())
