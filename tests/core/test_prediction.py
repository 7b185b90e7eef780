"""Predictions along a chain, and for which weights there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convex_init_core import (
    GradientStatistics,
    InitSettings,
    LayerStatistics,
    NumpyDraw,
    SignalStatistics,
    backward,
    forward,
    identity,
    non_negative_law,
    positive_recipe,
    relu,
)
from convex_init_core.methods.isometric import structured_raw
from convex_init_core.signal.prediction import Stage, is_isometric, predict_gradients, predict_signals
from convex_init_core.tables import signal_rows, table
from convex_init_core.weights.positivity import as_positivity
from convex_init_core.weights.weight_axes import Geometry, dense_geometry

SIGNAL = SignalStatistics(0.1, 1.2, 0.3)
LAYER = LayerStatistics(50, 0.04, 0.02, -0.5, 0.01)

GEOMETRIES = {
    "square": dense_geometry(40, 40),
    "narrowing": dense_geometry(30, 40),
    "to ten classes": dense_geometry(10, 100),
    "widening": dense_geometry(70, 40),
    "of Keras": Geometry((40, 30), (1,), (0,)),
    "convolution": Geometry((12, 12, 3, 3), (0,), (1,), (2, 3)),
    "strided": Geometry((12, 12, 3, 3), (0,), (1,), (2, 3), stride=(2, 2)),
    "grouped": Geometry((12, 3, 5), (0,), (1,), (2,), groups=4),
    "depthwise": Geometry((12, 1, 5), (0,), (1,), (2,), groups=12),
    "transposed": Geometry((8, 6, 4, 4), (1,), (0,), (2, 3), stride=(2, 2), transposed=True),
    "transposed, widening": Geometry((4, 8, 4, 4), (1,), (0,), (2, 3), stride=(2, 2), transposed=True),
    "transposed, grouped": Geometry((8, 3, 4), (1,), (0,), (2,), groups=2, stride=(2,), transposed=True),
    "transposed, widening, grouped": Geometry((4, 6, 4), (1,), (0,), (2,), groups=2, stride=(2,), transposed=True),
    "one for each head": Geometry((20, 4, 5), (1, 2), (0,)),
}


@pytest.mark.parametrize("positivity", ["projection", "exp"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_isometric_weights_are_known_in_every_layout(name, positivity):
    geometry = GEOMETRIES[name]
    through = as_positivity(positivity)
    recipe = positive_recipe(
        geometry.fan_in, "relu", InitSettings(method="isometric"), through, has_skip=False, geometry=geometry
    )
    off, places, values = structured_raw(recipe.weight, through, 3)
    raw = np.full(geometry.shape, off)
    raw.flat[places] = values
    weight = np.asarray(through.value(raw), float)
    assert is_isometric(weight, geometry)
    assert is_isometric(3.0 * weight, geometry)
    assert not is_isometric(-weight, geometry)
    assert not is_isometric(weight + 0.01 * weight.max(), geometry)  # as soon as training has moved them
    assert not is_isometric(0.0 * weight, geometry)


@pytest.mark.parametrize("distribution", ["log_normal", "gamma", "spike_and_slab"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_weights_drawn_one_by_one_are_not(name, distribution):
    geometry = GEOMETRIES[name]
    recipe = positive_recipe(
        geometry.fan_in, "relu", InitSettings(distribution=distribution), as_positivity("projection"), has_skip=False
    )
    for seed in range(20):
        weight = recipe.weight.sample(NumpyDraw(np.random.default_rng(seed), geometry.shape))
        assert not is_isometric(np.asarray(weight, float), geometry)


@pytest.mark.parametrize("size", [(2, 2), (2, 3), (2, 8), (3, 2)])
def test_sparse_weights_of_small_layers_are_not(size):
    """One in five reads one feature with each unit, but only by chance do two units sum to the same within 2 %."""
    law, geometry = non_negative_law("spike_and_slab", 0.3, 0.4), dense_geometry(*size)
    draws = [law.sample(NumpyDraw(np.random.default_rng(seed), size)) for seed in range(200)]
    assert sum(is_isometric(weight, geometry) for weight in draws) <= 6


def test_weights_that_are_no_numbers_are_not():
    assert not is_isometric(np.full((3, 3), np.inf), dense_geometry(3, 3))
    assert not is_isometric(np.full((3, 3), np.nan), dense_geometry(3, 3))


def test_a_blur_of_each_channel_is_not():
    """One input for each output, but taps of equal weight: neighbours are summed."""
    weight = np.ones((6, 1, 4))
    assert not is_isometric(weight, Geometry((6, 1, 4), (0,), (1,), (2,), groups=6))
    assert not is_isometric(weight, Geometry((6, 1, 4), (1,), (0,), (2,), groups=6, transposed=True))


@pytest.mark.parametrize("skip_share", [0.5, 0.99])
def test_a_small_part_of_a_sum_is_known_as_well(skip_share):
    geometry, through = dense_geometry(40, 40), as_positivity("exp")
    settings = InitSettings(method="isometric", skip_share=skip_share)
    recipe = positive_recipe(40, "relu", settings, through, has_skip=True, geometry=geometry)
    off, places, values = structured_raw(recipe.weight, through, 3)
    raw = np.full(geometry.shape, off)
    raw.flat[places] = values
    assert is_isometric(np.asarray(through.value(raw), float), geometry)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1)])
def test_one_unit_or_one_feature_tells_nothing(shape):
    law = non_negative_law("log_normal", 0.1, 0.01)
    assert not is_isometric(law.sample(NumpyDraw(np.random.default_rng(0), shape)), dense_geometry(*shape))


def stages(*independent: bool) -> list[Stage]:
    behind = [Stage(LAYER, relu(), 60.0, independent=each) for each in independent]
    return [Stage(LAYER, identity(), 60.0, SIGNAL), *behind]


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_a_chain_is_one_step_after_the_other(scale):
    chain = stages(True, True)
    expected = [forward(SIGNAL, LAYER, identity())]
    for _ in range(2):
        expected.append(forward(expected[-1], LAYER, relu()))
    found = predict_signals(chain)
    assert found == expected
    last = GradientStatistics(0.2 * scale, 1.5 * scale**2, 0.1 * scale**2)
    middle = backward(last, LAYER, 60.0, found[1], relu())
    first = backward(middle, LAYER, 60.0, found[0], relu())
    gradients = predict_gradients(chain, found, last)
    assert gradients == pytest.approx([math.sqrt(each.second) for each in (first, middle, last)], abs=0.0)


def test_nothing_is_predicted_from_dependent_weights_on():
    chain = stages(True, False, True)
    signals = predict_signals(chain)
    assert [math.isnan(each.variance) for each in signals] == [False, False, True, True]
    gradients = predict_gradients(chain, signals, GradientStatistics(0.0, 4.0, 0.0))
    assert [math.isnan(each) for each in gradients] == [True, True, True, False]
    chain.append(Stage(LAYER, identity(), 60.0, SIGNAL))
    assert predict_signals(chain)[-1] == signals[0]  # a measured input begins anew
    gradients = predict_gradients(chain, predict_signals(chain), GradientStatistics(0.0, 4.0, 0.0))
    assert [math.isnan(each) for each in gradients] == [True, True, True, True, False]


@pytest.mark.parametrize("mean", [1e200, -1e200, math.inf])
def test_a_signal_beyond_all_numbers_has_no_prediction_behind_it(mean):
    lost = SignalStatistics(mean, 1.0, 0.0)
    chain = [Stage(LAYER, identity(), 60.0, lost), *stages(True, True)[1:]]
    found = predict_signals(chain)
    assert not math.isfinite(found[-1].variance)
    assert math.isnan(predict_gradients(chain, found, GradientStatistics(0.0, 4.0, 0.0))[0])


def test_the_first_layer_needs_an_input():
    with pytest.raises(ValueError, match="incoming"):
        predict_signals(stages(True)[1:])


def test_tables_align_and_show_a_dash_where_nothing_is_predicted():
    assert table([("a", "bc"), ("def", "g")]) == "a    bc\ndef  g"

    class Row:
        path = ""
        mean, variance, correlation, active, gradient = 0.12345, 2.0, 0.5, 0.25, 1e-5
        predicted, predicted_gradient = SignalStatistics(math.nan, 1.0, math.nan), math.nan

    assert table(signal_rows([Row()])).splitlines()[1].split() == [
        *("(model)", "0.123", "–", "2", "1", "0.5", "–", "0.25", "1e-05", "–")
    ]
