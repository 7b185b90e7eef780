"""What a user of JAX writes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from typing_extensions import assert_type

from convex_init.jax import (
    Certificate,
    Plan,
    SignalReport,
    apply,
    certify,
    icnn,
    plan,
    project,
    projection,
    signal_report,
)


def energy(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    return jax.nn.relu(x @ params["first"]) @ params["last"]


params, x = {"first": jnp.ones((4, 8)), "last": jnp.ones((8, 1))}, jnp.ones((2, 4))
made = plan((energy, params), x, method="isometric")
assert_type(made, Plan)
assert_type(certify((energy, params), x), Certificate)
assert_type(signal_report((energy, params), x), SignalReport)
apply((energy, params), x, key=jax.random.key(0))
apply((energy, params), x)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
plan((energy, params), x, activation="relu")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
project(params, made)
projection(made)
apply((energy, params), x, key=jax.random.key(0), fed_by=jax.nn.relu)
icnn("relu", fan_in=8)
