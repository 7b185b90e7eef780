"""Fit a convex function with flax linen: ``python examples/flax_linen.py``."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen

from convex_init.jax import apply, assert_convex, plan, projection


class ICNN(linen.Module):
    """Weights behind softplus must be non-negative for the output to be convex; nothing here says so, and need not."""

    width: int

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return one number for each row of ``x``."""
        z = linen.softplus(linen.Dense(self.width, name="first")(x))
        skip = linen.Dense(self.width, use_bias=False, name="skip")(x)
        z = linen.softplus(linen.Dense(self.width, name="second")(z) + skip)
        return linen.Dense(1, name="last")(z)[:, 0]


def main(steps: int = 500) -> tuple[float, float]:
    """Train, and return the loss before and after."""
    x = jax.random.normal(jax.random.key(0), (1024, 4))
    y = 5.0 + jax.nn.logsumexp(x, axis=1)
    network = ICNN(64)
    variables = network.init(jax.random.key(0), x[:1])
    print(made := plan((network, variables), x, targets=y))
    variables = apply((network, variables), x, key=jax.random.key(1), targets=y)
    optimizer = optax.chain(optax.adam(3e-3), projection(made))
    state = optimizer.init(variables)

    def loss_of(variables: Any) -> jax.Array:
        return jnp.square(network.apply(variables, x) - y).mean()

    @jax.jit
    def step(variables: Any, state: Any) -> tuple[Any, Any, jax.Array]:
        loss, slopes = jax.value_and_grad(loss_of)(variables)
        updates, state = optimizer.update(slopes, state, variables)
        return optax.apply_updates(variables, updates), state, loss

    losses = []
    for _ in range(steps):
        variables, state, loss = step(variables, state)
        losses.append(float(loss))
    assert_convex((network, variables), x)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.5f}, and certified as convex")
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
