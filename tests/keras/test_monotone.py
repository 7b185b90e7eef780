"""``monotone=`` in Keras: proved, refuted, and refused for an input that does not exist."""

from __future__ import annotations

import keras
import pytest

from convex_init.keras import certify


def network() -> keras.Model:
    inputs = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(3, activation="softplus", kernel_initializer="ones")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(hidden))


def test_proved_refuted_and_refused():
    rising = certify(network(), monotone={"x": "non-decreasing"})
    assert rising, str(rising)
    assert "non-decreasing in 'x'" in str(rising)
    falling = certify(network(), monotone={"x": "non-increasing"})
    assert falling.verdict == "convex"
    assert falling.monotone[0].verdict == "not"
    assert not falling
    with pytest.raises(ValueError, match="monotone names 'z'"):
        certify(network(), monotone={"z": "non-increasing"})


@pytest.mark.parametrize("named", [0, "0", "x"])
def test_an_input_is_named_by_its_position_or_its_name_as_convex_inputs_are(named) -> None:
    found = certify(network(), convex_inputs=[named], monotone={named: "non-decreasing"})
    assert str(found).startswith("convex\nnon-decreasing in 'x'")
