"""Messages name the line of the user's code, also behind transformations, and none that only happened to be first."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from convex_init.jax import certify

X = jnp.ones((4, 3))


def wave(x):
    return jnp.sin(x)


def first_user_of_silu(params, x):
    return jax.nn.silu(x)


def second_user_of_silu(params, x):
    return jax.nn.silu(x + 1.0)


def looped(params, x):
    return jax.lax.scan(lambda c, _: (wave(c), None), x, None, length=2)[0]


JITTED = jax.jit(wave)
CASES = {
    "an operation": (lambda p, x: wave(x), wave, 1),
    "behind jit": (lambda p, x: JITTED(x), wave, 1),
    "behind vmap": (lambda p, x: jax.vmap(wave)(x), wave, 1),
    "behind checkpoint": (lambda p, x: jax.checkpoint(wave)(x), wave, 1),
    "in a loop that is unrolled": (looped, looped, 1),
    "a function of JAX": (first_user_of_silu, first_user_of_silu, 1),
    "the same function of JAX, traced before": (second_user_of_silu, second_user_of_silu, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_the_line_is_that_of_the_user(case):
    function, where, offset = CASES[case]
    line = where.__code__.co_firstlineno + offset
    assert f"(test_messages.py:{line})" in str(certify((function, {}), X, search=False))


def test_what_a_layer_of_a_library_does_belongs_to_the_line_that_calls_it():
    nnx = pytest.importorskip("flax.nnx", reason="flax cannot be imported", exc_type=ImportError)
    layer = nnx.Linear(3, 2, rngs=nnx.Rngs(0))

    def called(params, x):
        return layer(jax.nn.relu(x))

    line = called.__code__.co_firstlineno + 1
    assert f"(test_messages.py:{line})" in str(certify((called, {}), X, search=False))


def test_a_model_without_code_of_its_user_names_no_line():
    eqx = pytest.importorskip("equinox", reason="equinox cannot be imported", exc_type=ImportError)
    model = eqx.nn.MLP(3, 1, 4, 1, activation=jax.nn.relu, key=jax.random.key(0))
    assert ".py:" not in str(certify(model, X, search=False))
