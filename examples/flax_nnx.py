"""Fit a convex function with flax nnx: ``python examples/flax_nnx.py``."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from convex_init.jax import apply_, assert_convex, plan, projection


class ICNN(nnx.Module):
    """Weights behind a ReLU must be non-negative for the output to be convex; nothing here says so, and need not."""

    def __init__(self, features: int, width: int, rngs: nnx.Rngs) -> None:
        """Make a network with free skips from the input."""
        self.first = nnx.Linear(features, width, rngs=rngs)
        self.second = nnx.Linear(width, width, rngs=rngs)
        self.skip = nnx.Linear(features, width, use_bias=False, rngs=rngs)
        self.last = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return one number for each row of ``x``."""
        z = nnx.relu(self.first(x))
        z = nnx.relu(self.second(z) + self.skip(x))
        return self.last(z)[:, 0]


def main(steps: int = 500) -> tuple[float, float]:
    """Train, and return the loss before and after."""
    x = jax.random.normal(jax.random.key(0), (1024, 4))
    y = jax.nn.logsumexp(x, axis=1)
    model = ICNN(4, 64, nnx.Rngs(0))
    print(made := plan(model, x))
    apply_(model, x, key=jax.random.key(1))
    optimizer = nnx.Optimizer(model, optax.chain(optax.adam(3e-3), projection(made)), wrt=nnx.Param)

    @nnx.jit
    def step(model: ICNN, optimizer: nnx.Optimizer) -> jax.Array:
        loss, slopes = nnx.value_and_grad(lambda model: jnp.square(model(x) - y).mean())(model)
        optimizer.update(model, slopes)
        return loss

    losses = [float(step(model, optimizer)) for _ in range(steps)]
    assert_convex(model, x)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.5f}, and certified as convex")
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
