"""Networks and layers of ours keep the settings that they were made with; a contradiction is an error."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from convex_init.keras import ICNN, apply_, icnn, plan
from tests.keras.arrays import array

KEPT = {
    "method": {"method": "isometric"},
    "threshold": {"method": "isometric", "threshold": 1.5},
    "bias noise": {"bias_noise": 0.3},
    "law": {"distribution": "gamma", "variance": 2.0},
}
OTHER = {"method": "log_normal", "threshold": 0.5, "bias_noise": 0.1, "distribution": "two_point", "variance": 1.0}


@pytest.mark.parametrize("case", KEPT)
def test_apply_draws_a_network_as_it_was_made(case):
    settings = KEPT[case]
    model = ICNN(4, [8, 8], 1, seed=0, **settings)
    for _ in range(2):  # after the first time its initializers are gone
        asked = plan(model).settings
        assert {name: getattr(asked, name) for name in settings} == settings
        apply_(model, seed=1)
    other = apply_(ICNN(4, [8, 8], 1), seed=1, **settings)
    assert all(map(np.array_equal, map(array, model.weights), map(array, other.weights)))
    for name, value in settings.items():
        with pytest.raises(ValueError, match=rf"was made with {name}={value!r}, and {name}=.* was given"):
            apply_(model, **{name: OTHER[name]})


def test_layers_of_ours_keep_their_settings_after_saving(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(8, **icnn("relu", method="isometric"))]
    )
    model.save(tmp_path / "model.keras")
    assert plan(keras.saving.load_model(tmp_path / "model.keras")).settings.method == "isometric"
    model.add(layers.Dense(1, **icnn("relu", variance=2.0)))
    assert plan(model).settings.variance == 2.0


def test_spread_bends_are_drawn_at_once():
    model = ICNN(4, [8, 8], 1, seed=0, method="isometric", threshold=1.5)
    plain = ICNN(4, [8, 8], 1, seed=0, method="isometric")
    biases = [array(layer.bias) for net in (model, plain) for layer in net.layers if getattr(layer, "use_bias", False)]
    assert any(not np.allclose(a, b) for a, b in zip(biases[:3], biases[3:], strict=True))
