"""Fit an ensemble of convex functions with equinox: ``python examples/equinox_ensemble.py``."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from convex_init.jax import apply, assert_convex, plan, projection


class ICNN(eqx.Module):
    """Takes one sample, as modules of equinox do; the last weight is kept non-negative by a map of its own."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear
    last: jax.Array
    offset: jax.Array

    def __init__(self, features: int, width: int, key: jax.Array) -> None:
        """Make a network of two hidden layers."""
        first, second = jax.random.split(key)
        self.first = eqx.nn.Linear(features, width, key=first)
        self.second = eqx.nn.Linear(width, width, key=second)
        self.last, self.offset = jnp.zeros(width), jnp.zeros(())

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return a number for one sample."""
        z = jax.nn.softplus(self.first(x))
        z = jax.nn.softplus(self.second(z))
        return jax.nn.softplus(self.last) @ z + self.offset


def main(steps: int = 500, members: int = 4) -> tuple[float, float]:
    """Train all members at once, and return their mean loss before and after."""
    x = jax.random.normal(jax.random.key(0), (1024, 4))
    y = jnp.linalg.norm(x, axis=1)
    model = ICNN(4, 64, jax.random.key(1))
    made = plan(model, x)

    # Nothing is measured under vmap, so that the example inputs may be a shape.
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    keys = jax.random.split(jax.random.key(2), members)
    ensemble = eqx.filter_vmap(lambda key: apply(model, shape, key=key))(keys)

    params, static = eqx.partition(ensemble, eqx.is_inexact_array)
    optimizer = optax.chain(optax.adam(3e-3), projection(made))
    state = optimizer.init(params)

    @jax.jit
    def step(params: ICNN, state: optax.OptState) -> tuple[ICNN, optax.OptState, jax.Array]:
        def loss(params: ICNN) -> jax.Array:
            of_one = lambda member: jax.vmap(member)(x)  # noqa: E731
            return jnp.square(eqx.filter_vmap(of_one)(eqx.combine(params, static)) - y).mean()

        found, slopes = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(slopes, state, params)
        return eqx.apply_updates(params, updates), state, found

    losses = []
    for _ in range(steps):
        params, state, found = step(params, state)
        losses.append(float(found))
    for index in range(members):
        one = jax.tree.map(lambda array, index=index: array[index], params)
        assert_convex(eqx.combine(one, static), x)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.5f}, and all {members} certified as convex")
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
