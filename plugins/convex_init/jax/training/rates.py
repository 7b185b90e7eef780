"""Updates of positive weights at the share of the learning rate that suits them, as a transformation of optax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from convex_init.jax.training.projection import told
from convex_init_core.planning.plan import Plan

if TYPE_CHECKING:
    import optax


def scale_positive(plan: Plan) -> optax.GradientTransformation:
    """Return a transformation that scales the updates of each weight by its share of the learning rate, ``plan.rates``.

    With a free skip into each layer (the last may lack it) and at least three positive layers, positive weights that
    are clipped learn best at 0.3 of the learning rate of the rest (measured with Adam). It stands behind what makes the
    updates, such as ``optax.adam``, and in front of :func:`projection`. Where the plan knows of nothing better than one
    rate for all, it does nothing.

    Args:
        plan: of the model, by :func:`convex_init.jax.plan`. The parameters that optax gets are found by their names
            in it, as for :func:`projection`.

    Raises:
        TypeError: if it is no plan.
        ValueError: from ``update``, if the parameters do not hold all of these weights.
        ModuleNotFoundError: if optax is not installed.

    Example:
        >>> import jax, jax.numpy as jnp, optax, convex_init
        >>> def icnn(p, x):
        ...     z = jax.nn.relu(x @ p["a"])
        ...     for i in range(2):
        ...         z = jax.nn.relu(z @ p["w"][i] + x @ p["s"][i])
        ...     return z @ p["v"] + x @ p["t"]
        >>> hidden = [jnp.ones((8, 8))] * 2
        >>> params = {"a": jnp.ones((4, 8)), "w": hidden, "v": jnp.ones((8, 1))}
        >>> params |= {"s": [jnp.ones((4, 8))] * 2, "t": jnp.ones((4, 1))}
        >>> plan = convex_init.jax.plan((icnn, params), jax.random.normal(jax.random.key(0), (16, 4)))
        >>> optimizer = optax.chain(optax.sgd(1.0), convex_init.jax.scale_positive(plan))
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> [round(float(updates[name].mean()), 2) for name in ("a", "v", "t")]
        [-1.0, -0.3, -1.0]
    """
    import optax

    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be what convex_init.jax.plan(model, x) returns, got {type(plan).__name__}")
    rates = plan.rates

    def scaled(updates: Any, _: Any) -> Any:
        return jax.tree.map(lambda update, share: update * share, updates, told(updates, rates, 1.0))

    return optax.stateless(scaled) if rates else optax.identity()
