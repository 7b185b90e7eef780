"""The paper's networks, and the report that sets their signal beside the theory."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, ConvexDense, apply_, plan, signal_report
from convex_init_core import SignalStatistics, forward
from tests.keras.arrays import array, normal, weights


def test_the_papers_networks():
    plain = ICNN(8, [16, 12], 3)
    kinds = [type(layer).__name__ for layer in plain.layers]
    assert kinds == ["InputLayer", "Dense", "Activation", "ConvexDense", "Activation", "ConvexDense"]
    assert [layer.role for layer in plan(plain).layers] == ["free", "positive", "positive"]
    skip = ICNN(8, [16, 12], 3, skip=True, positivity="exp")
    assert sorted(layer.role for layer in plan(skip).layers) == ["free", "positive", "positive", "skip", "skip"]
    baseline = ICNN(8, [400, 300], 3, positivity=None, seed=0)
    assert not any(isinstance(layer, ConvexDense) for layer in baseline.layers)
    # The first layer sees the input and gets LeCun's 1/N, the others sit behind a ReLU and get He's 2/N.
    for name, fan_in, expected in (("free", 8, 1.0), ("dense_1", 400, 2.0), ("dense_2", 300, 2.0)):
        kernel = array(baseline.get_layer(name).kernel)
        # Var of a sample variance of a Gaussian: 2 σ⁴ / n.
        assert abs(kernel.var() * fan_in / expected - 1.0) < 5.0 * np.sqrt(2.0 / kernel.size), name


def test_the_builder_draws_what_apply_would():
    model = ICNN(50, [80, 60], 2, skip=True, variance=2.0, bias_noise=0.2, skip_share=0.4, seed=1)
    found = plan(model, method="log_normal", variance=2.0, output_variance=2.0, bias_noise=0.2, skip_share=0.4).layers
    for layer in found:
        kernel, law = array(model.get_layer(layer.path).kernel), layer.recipe.weight
        if layer.role == "positive":
            logs = np.log(kernel)
            assert abs(logs.mean() - law.log_mean) < 5.0 * law.log_std / np.sqrt(logs.size)
        else:
            assert abs(kernel.var() / law.variance - 1.0) < 5.0 * np.sqrt(2.0 / kernel.size)
    first, second = ICNN(5, [6, 6], seed=2, skip=True), ICNN(5, [6, 6], seed=2, skip=True)
    assert all(np.array_equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((4, []), "hidden"), ((4, [3, 0]), "at least 1"), ((4, [3], 0), "at least 1"), ((0, [3]), "at least 1")],
)
def test_bad_widths(arguments, said):
    with pytest.raises(ValueError, match=said):
        ICNN(*arguments)


def test_report_measures_what_the_layers_compute():
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(40, activation="relu"), layers.Dense(30, activation="relu"), layers.Dense(5)]
    )
    apply_(model, seed=1, distribution="spike_and_slab")
    x = normal(64, 20)
    before = weights(model)
    report = signal_report(model, x)
    k1, b1, k2, b2, k3, b3 = (w.astype("float64") for w in before)
    s1 = x.astype("float64") @ k1 + b1
    s2 = np.maximum(s1, 0.0) @ k2 + b2
    s3 = np.maximum(s2, 0.0) @ k3 + b3
    d3 = np.ones_like(s3)
    d2 = (d3 @ k3.T) * (s2 > 0.0)
    d1 = (d2 @ k2.T) * (s1 > 0.0)
    for row, s, d in zip(report.layers, (s1, s2, s3), (d1, d2, d3), strict=True):
        cov = (s - s.mean()).T @ (s - s.mean()) / len(s)
        units = s.shape[1]
        pairs = (cov.sum() - np.trace(cov)) / (units * (units - 1))
        measured = [row.mean, row.variance, row.correlation * row.variance, row.active, row.gradient]
        due = [s.mean(), s.var(), pairs, np.mean(s > 0.0), np.sqrt(np.mean(d**2))]
        np.testing.assert_allclose(measured, due, rtol=1e-4, atol=1e-5)
    signal = SignalStatistics(*[getattr(report.layers[0].predicted, n) for n in ("mean", "variance", "correlation")])
    own = plan(model, distribution="spike_and_slab").layers[1].recipe
    assert forward(signal, own.statistics, own.activation).variance == pytest.approx(
        report.layers[1].predicted.variance, rel=0.2
    )
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))
    head = str(report).splitlines()[0].split()
    assert head[0] == "layer"
    assert head.count("(theory)") == 4
    np.testing.assert_allclose(array(model(x)), s3, rtol=1e-3, atol=1e-4)  # the model works as before


def test_report_sums_a_skip_into_its_layer():
    model = ICNN(10, [30, 20], 4, skip=True, positivity="softplus", seed=1)
    x = normal(32, 10)
    report = signal_report(model, x, loss=lambda y: keras.ops.sum(y[:, 0]))
    last = report.layers[-1]
    assert [row.path for row in report.layers] == ["free", "positive_1", "positive_2"]
    np.testing.assert_allclose([last.mean, last.variance], [array(model(x)).mean(), array(model(x)).var()], rtol=1e-4)
    assert last.gradient == pytest.approx(32 * np.sqrt(1.0 / 4.0))


def test_report_of_a_convolutional_model_and_errors():
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(8, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    )
    apply_(model, seed=1)
    rows = signal_report(model, normal(16, 6, 6, 2)).layers
    assert [row.path for row in rows] == [layer.path for layer in plan(model).layers]
    assert rows[0].variance == pytest.approx(rows[0].predicted.variance, rel=0.5)
    with pytest.raises(ValueError, match="two samples"):
        signal_report(model, normal(1, 6, 6, 2))


def test_report_of_a_dead_network_still_measures():
    model = keras.Sequential(
        [keras.Input((9,)), layers.Dense(20, activation="relu"), layers.Dense(20, activation="relu"), layers.Dense(3)]
    )
    apply_(model, seed=1)
    model.layers[0].bias.assign(0.0 * model.layers[0].bias - 24.0)
    rows = signal_report(model, normal(16, 9)).layers
    assert rows[0].active == 0.0
    assert rows[0].mean == pytest.approx(-24.0, abs=1.0)
    assert not rows[-1].predicted.variance > 1e-9  # 0, or NaN where even that cannot be integrated


def test_no_theory_is_shown_for_isometric_weights():
    """The equations are for weights drawn one by one; behind a permutation they are half as large again."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(24, 3, strides=2, activation="relu"),
            layers.Conv2D(24, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    apply_(model, seed=1, method="isometric")
    report = signal_report(model, normal(64, 8, 8, 3))
    assert [np.isnan(row.predicted.variance) for row in report.layers] == [False, True, True]
    assert [np.isnan(row.predicted_gradient) for row in report.layers] == [True, True, False]
    assert str(report).count("–") == 8
    apply_(model, seed=1, method="bounded_gain")
    assert not any(np.isnan(row.predicted.variance) for row in signal_report(model, normal(64, 8, 8, 3)).layers)


def test_the_report_draws_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="plot() needs matplotlib")
    model = ICNN(10, [30, 120], 4, seed=1)
    x = normal(64, 10)
    report = signal_report(model, x)
    features = np.maximum(x @ array(model.layers[1].kernel) + array(model.layers[1].bias), 0.0)
    moving = features.std(0) > 0
    expected = np.corrcoef(features[:, moving].T)
    np.testing.assert_allclose(report.layers[0].correlations[moving][:, moving], expected, atol=1e-4)
    assert [row.correlations.shape for row in report.layers] == [(30, 30), (100, 100), (4, 4)]
    figure = report.plot(str(tmp_path / "report.png"))
    assert len([axes for axes in figure.axes if axes.images]) == 3
    assert (tmp_path / "report.png").stat().st_size > 5000
