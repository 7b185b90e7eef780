"""Functions that are not convex and were made to look so: state, callbacks, caught errors, arguments, containers."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import io_callback

from convex_init.jax import certify

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
SHAPE = jax.ShapeDtypeStruct(X.shape, X.dtype)
COUNT = {"calls": 0}


def energy(x):
    return x * x


def either(x, condition):
    return lax.cond(condition, lambda y: -energy(y), energy, x)


def counted():
    calls = itertools.count(1)
    return lambda x: -energy(x) if next(calls) > 2 else energy(x)


def counted_in_a_list(turn):
    calls = []

    def function(x):
        calls.append(None)
        return -energy(x) if len(calls) > turn else energy(x)

    return function


def counted_globally(x):
    COUNT["calls"] += 1
    return -energy(x) if COUNT["calls"] > 1000 else energy(x)


def drawn_by_numpy(x):
    return jax.nn.relu(x) * float(np.random.default_rng().uniform(0.0, 1.0) - 0.001)


def caught(ask):
    def function(x):
        try:
            if ask(x):
                return -energy(x)
        except (TypeError, IndexError):
            pass
        return energy(x)

    return function


def stored_and_read(x):
    """The reader takes no argument, but gives what another callback has stored."""
    stored = [np.zeros_like(X)]
    jax.debug.callback(lambda a: stored.append(-np.abs(a)), x)
    return jax.pure_callback(lambda: stored[-1], SHAPE)


def written_reference(x):
    reference = jax.new_ref(energy(x))
    reference[...] = -energy(x)
    return reference[...]


def product(x, **how):
    return lax.dot_general(x, jnp.eye(4), (((1,), (0,)), ((), ())), **how).astype(jnp.float32)


class Hidden:
    """Slots instead of attributes."""

    __slots__ = ("y",)

    def __init__(self, y):
        self.y = y


ATTACKS = {
    "a choice that hides NaN": lambda x: jnp.where(-jnp.log(x) > 0.0, -jnp.log(x), 0.0),
    "a choice that hides NaN on the right": lambda x: jnp.where(jnp.less(0.5, x - jnp.sqrt(x)), x - jnp.sqrt(x), 0.5),
    "a selection that hides NaN": lambda x: lax.select_n(-jnp.log(x) > 0.0, jnp.zeros_like(x), -jnp.log(x)),
    "a maximum without NaN": lambda x: jnp.fmax(-jnp.log(x), 0.0),
    "the largest without NaN": lambda x: jnp.nanmax(-jnp.log(x), axis=-1),
    "the smallest of a sort": lambda x: -jnp.sort(jnp.log(x), axis=-1)[:, :2].sum(-1),
    # The function does something else another time, or without a tracer (rows 1, 10, 14).
    "counter": counted(),
    "counter that turns at the second call": counted_in_a_list(1),
    "counter that turns late": counted_in_a_list(1000),
    "global counter": counted_globally,
    "numbers of NumPy": drawn_by_numpy,
    "caught truth": caught(lambda x: x.sum() > 50),
    "caught number": caught(lambda x: float(x.sum()) > 50),
    "caught array": caught(lambda x: np.asarray(x).sum() > 50),
    "caught mask": caught(lambda x: x[x > 20].size),
    "caught index": caught(lambda x: "abc"[x.sum().astype(int)] == "a"),
    # Code outside of JAX.
    "stored and read": stored_and_read,
    "callback of a constant": lambda x: jax.nn.relu(x) * jax.pure_callback(
        lambda a: np.float32(1.0), jax.ShapeDtypeStruct((), "float32"), jnp.zeros(())
    ),
    "callback in a loop": lambda x: jax.nn.relu(x) * lax.scan(
        lambda c, _: (jax.pure_callback(lambda a: np.float32(a), jax.ShapeDtypeStruct((), "float32"), c), None),
        jnp.ones(()), None, length=100,
    )[0],
    "ordered callback": lambda x: jax.nn.relu(x) * io_callback(lambda: np.float32(1.0), SHAPE.update(shape=())),
    "numbers of the device": lambda x: jax.nn.relu(x) * lax.rng_uniform(0.5, 1.0, ()),
    "reference": written_reference,
    # Arguments that change the function (rows 4 and 5).
    "applied function": lambda x: x.at[:, jnp.array([0, 1])].apply(jnp.sin),
    "applied square": lambda x: x.at[0].apply(lambda y: -y * y),
    "rounding methods": lambda x: (
        lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO) - lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    ),
    "gelu and its approximation": lambda x: jax.nn.gelu(x, approximate=True) - jax.nn.gelu(x, approximate=False),
    "squareplus of a negative number": lambda x: jax.nn.squareplus(x, -1.0),
    "turned leaky relu": lambda x: -jax.nn.leaky_relu(x, -2.0),
    "steep leaky relu": lambda x: jax.nn.leaky_relu(x, 1.5),
    "clip with crossed bounds": lambda x: jnp.clip(x, 1.0, -x),
    "norm of order below 1": lambda x: jnp.linalg.norm(x, 0.5, axis=1),
    "algorithm in 8 bits": lambda x: product(x, precision=lax.DotAlgorithmPreset.ANY_F8_ANY_F8_F32),
    "reduced precision": lambda x: lax.reduce_precision(x, 8, 7),
    "custom reduction": lambda x: lax.reduce(x, jnp.float32(0.0), lambda a, b: a - b, (1,)),
    "custom scan": lambda x: lax.associative_scan(lambda a, b: a - b, jax.nn.relu(x), axis=1),
    "order of another array": lambda x: lax.sort((x, -x), num_keys=1)[1],
    "bits": lambda x: -lax.bitcast_convert_type(lax.bitcast_convert_type(x, jnp.int32), jnp.float32),
    "custom root": lambda x: lax.custom_root(
        lambda y: y + energy(x), jnp.zeros_like(x), lambda f, g: -energy(x), lambda g, y: y
    ),
    # Sizes, and questions whether a value is finite (rows 2 and 3).
    "places": lambda x: either(x, jnp.nonzero(x.ravel() > 20, size=3, fill_value=-1)[0][0] >= 0),
    "finite exponential": lambda x: either(x, ~jnp.isfinite(jnp.exp(x)).all()),
    "differs from itself": lambda x: either(x, jnp.any(jnp.sqrt(x - 9) == jnp.sqrt(x - 9))),
    # Containers and names (row 11).
    "names": lambda x: {"a.b": -energy(x), "a": {"b": energy(x)}},
    "names in the other order": lambda x: {"a.b": energy(x), "a": {"b": -energy(x)}},
    "namespace": lambda x: (energy(x), SimpleNamespace(y=-energy(x))),
    "slots": lambda x: (energy(x), Hidden(-energy(x))),
    "closure": lambda x: (energy(x), (lambda y: lambda: y)(-energy(x))),
    # Casts (row 12).
    "float8": lambda x: x.astype(jnp.float8_e4m3fn).astype(jnp.float32),
    "whole numbers": lambda x: x.astype(jnp.int8).astype(jnp.float32),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_not_convex_gets_no_certificate(name):
    assert not certify((lambda params, x: ATTACKS[name](x), {}), X, search=False)


NARROW = {
    "cast": lambda x: x.astype(jnp.bfloat16).astype(jnp.float32),
    "product in a narrow type": lambda x: product(x, preferred_element_type=jnp.bfloat16),
    "product by an algorithm": lambda x: product(x, precision=lax.DotAlgorithmPreset.BF16_BF16_F32),
    "half": lambda x: (x - x.astype(jnp.float16).astype(jnp.float32)) * 1e3,
}


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_type_is_noted(name):
    certificate = certify((lambda params, x: NARROW[name](x), {}), X, search=False)
    assert certificate
    assert any("rounds to " in note for note in certificate.notes)


def test_context_in_an_object_is_doubted():
    context = SimpleNamespace(factor=jnp.ones(4))
    certificate = certify((lambda params, x, c: jax.nn.relu(x) * c.factor, {}), (X, context), search=False)
    assert "the argument '1' is a SimpleNamespace that holds arrays" in str(certificate)


HONEST = {
    "functions among the results": lambda x: {"energy": energy(x), "activation": jax.nn.relu},
    "text among the results": lambda x: {"energy": energy(x), "kind": "quadratic"},
    "print": lambda x: (jax.debug.print("{}", x.sum()), energy(x))[1],
    "two names": lambda x: {"a.b": energy(x), "a": {"b": energy(x)}},
    "update at a place": lambda x: x.at[:, 0].set(energy(x)[:, 0]),
    "checkpoint": lambda x: jax.checkpoint(energy)(x),
    "named call": lambda x: jax.named_call(energy, name="concave")(x),
    "precision": lambda x: product(x, precision="highest"),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_does_no_harm_keeps_its_certificate(name):
    certificate = certify((lambda params, x: HONEST[name](x), {}), X, search=False)
    assert str(certificate) == "convex"
