"""What ``MODULE:FACTORY`` can name, in JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def _icnn(params, x):
    return jax.nn.relu(x @ params["first"]) @ params["last"]


def pair(last=1.0):
    return _icnn, {"first": jax.random.normal(jax.random.key(0), (4, 8)), "last": jnp.full((8, 1), last)}


def concave():
    return pair(last=-1.0)


def equinox_module():
    import equinox

    return equinox.nn.MLP(4, 1, 8, 1, key=jax.random.key(0))


def flax_module():
    from flax import nnx

    rngs = nnx.Rngs(0)
    return nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), jax.nn.relu, nnx.Linear(8, 1, rngs=rngs))


def linen_module():
    from flax import linen

    return linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(1)])
