"""``monotone=`` in JAX: proved, refuted, and refused for an input that does not exist."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import convex_init.jax as cj

PARAMS, X = {"w": jnp.ones((4, 3))}, jnp.ones((2, 4))


def layer(params, x):
    return jax.nn.relu(x @ params["w"])


def test_proved_refuted_and_refused():
    rising = cj.certify((layer, PARAMS), X, monotone={0: "non-decreasing"})
    assert rising
    assert str(rising) == "convex\nnon-decreasing in '0'"
    falling = cj.certify((layer, PARAMS), X, monotone={"0": "non-increasing"})
    assert falling.verdict == "convex"
    assert falling.monotone[0].verdict == "not"
    assert not falling
    with pytest.raises(ValueError, match="monotone names 'z'"):
        cj.certify((layer, PARAMS), X, monotone={"z": "non-increasing"})
    tanh = cj.certify((lambda params, x: jnp.tanh(x), PARAMS), X, monotone={0: "non-decreasing"})
    assert tanh.verdict == "not convex"
    assert tanh.monotone[0]


@pytest.mark.parametrize("named", [0, "0", "x"])
def test_an_input_is_named_by_its_position_or_in_the_signature_as_convex_inputs_are(named):
    found = cj.certify((layer, PARAMS), X, [named], monotone={named: "non-decreasing"})
    assert str(found) == "convex\nnon-decreasing in '0'"
