"""The same network in equinox, flax nnx and flax linen; what is not installed is skipped."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

WIDTH = 32


def in_equinox(features: int = 10) -> Any:
    eqx = pytest.importorskip("equinox", reason="equinox cannot be imported", exc_type=ImportError)

    class ICNN(eqx.Module):
        first: Any
        layers: list[Any]
        last: Any

        def __init__(self, key: jax.Array) -> None:
            keys = jax.random.split(key, 4)
            self.first = eqx.nn.Linear(features, WIDTH, key=keys[0])
            self.layers = [eqx.nn.Linear(WIDTH, WIDTH, key=k) for k in keys[1:3]]
            self.last = eqx.nn.Linear(WIDTH, 1, key=keys[3])

        def __call__(self, x: jax.Array) -> jax.Array:
            z = jax.nn.relu(self.first(x))
            for layer in self.layers:
                z = jax.nn.relu(layer(z))
            return self.last(z)

        def negated(self, x: jax.Array) -> jax.Array:
            return -self(x)

    return ICNN(jax.random.key(3))


def in_nnx(features: int = 10) -> Any:
    nnx = pytest.importorskip("flax.nnx", reason="flax cannot be imported", exc_type=ImportError)

    class ICNN(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Linear(features, WIDTH, rngs=rngs)
            self.layers = nnx.List([nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(2)])
            self.last = nnx.Linear(WIDTH, 1, rngs=rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            z = jax.nn.relu(self.first(x))
            for layer in self.layers:
                z = jax.nn.relu(layer(z))
            return self.last(z)

        def negated(self, x: jax.Array) -> jax.Array:
            return -self(x)

    return ICNN(nnx.Rngs(3))


def in_linen(features: int = 10) -> Any:
    nn = pytest.importorskip("flax.linen", reason="flax cannot be imported", exc_type=ImportError)

    class ICNN(nn.Module):
        def setup(self) -> None:
            self.first = nn.Dense(WIDTH)
            self.layers = [nn.Dense(WIDTH) for _ in range(2)]
            self.last = nn.Dense(1)

        def __call__(self, x: jax.Array) -> jax.Array:
            z = jax.nn.relu(self.first(x))
            for layer in self.layers:
                z = jax.nn.relu(layer(z))
            return self.last(z)

        def negated(self, x: jax.Array) -> jax.Array:
            return -self(x)

    return ICNN()


def as_a_function(features: int = 10) -> Any:
    """The same as a pair of a function and its parameters."""
    sizes = {"first": (features, WIDTH), "layers_0": (WIDTH, WIDTH), "layers_1": (WIDTH, WIDTH), "last": (WIDTH, 1)}
    params = {name: {"kernel": jnp.zeros(size), "bias": jnp.zeros(size[1])} for name, size in sizes.items()}

    def icnn(p: Any, x: jax.Array) -> jax.Array:
        z = x
        for name in list(sizes)[:-1]:
            z = jax.nn.relu(z @ p[name]["kernel"] + p[name]["bias"])
        return z @ p["last"]["kernel"] + p["last"]["bias"]

    return icnn, params


KINDS = {"equinox": in_equinox, "nnx": in_nnx, "linen": in_linen}
"""By name of the library."""
