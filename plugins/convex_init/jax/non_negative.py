"""Keep the weights of a plan non-negative while training: as a transformation of optax, and at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from convex_init.jax.trace.arguments import path_name

if TYPE_CHECKING:
    import optax

    from convex_init_core.planning.plan import Plan


def projection(plan: Plan) -> optax.GradientTransformation:
    """Return a transformation after which the weights that a plan projects are non-negative.

    It is ``optax.keep_params_nonnegative`` on these weights, and has to be the last of a chain. It may stand in
    ``optax.MultiSteps``, ``apply_if_finite`` and the like, which wrap the whole chain; behind ``optax.lookahead`` it
    projects fast and slow weights. Averages of non-negative weights are non-negative. NaN stays NaN.

    Args:
        plan: of the model, by :func:`convex_init.jax.plan`. The parameters that optax gets are found by their names in
            it: a module of equinox or the arrays of one, the state of an nnx module, linen variables or their
            ``"params"``, a tree of parameters; or all of them within a tree of one more level.

    Raises:
        ValueError: from ``init`` and ``update``, if the parameters do not hold all of these weights.
        ModuleNotFoundError: if optax is not installed.

    Example:
        >>> import jax, jax.numpy as jnp, optax, convex_init
        >>> fn = lambda p, x: jax.nn.relu(x @ p["first"]["w"]) @ p["last"]["w"]
        >>> params = {"first": {"w": jnp.ones((4, 8))}, "last": {"w": jnp.ones((8, 1))}}
        >>> made = convex_init.jax.plan((fn, params), jnp.ones((2, 4)))
        >>> optimizer = optax.chain(optax.sgd(9.0), convex_init.jax.projection(made))
        >>> slopes = jax.tree.map(jnp.ones_like, params)
        >>> updates, _ = optimizer.update(slopes, optimizer.init(params), params)
        >>> new = optax.apply_updates(params, updates)
        >>> float(new["first"]["w"].min()), float(new["last"]["w"].min())
        (-8.0, 0.0)
    """
    import optax

    return optax.masked(optax.keep_params_nonnegative(), lambda params: _is_projected(params, plan.project))


def project(model: Any, plan: Plan) -> Any:
    """Return a model, or a tree of its parameters, with negative weights set to 0 where a plan projects them.

    Positive values stay as they are, −inf becomes 0, and NaN stays NaN, so that a diverged run is seen.

    Args:
        model: a module of equinox or nnx, linen variables, a pair ``(fn, params)``, or parameters as for
            :func:`projection`.
        plan: of the model.

    Raises:
        ValueError: if it does not hold all weights that the plan projects.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> fn = lambda p, x: jax.nn.relu(x @ p["w"]) @ p["v"]
        >>> params = {"w": -jnp.ones((4, 8)), "v": -jnp.ones((8, 1))}
        >>> new = convex_init.jax.project(params, convex_init.jax.plan((fn, params), jnp.ones((2, 4))))
        >>> float(new["w"].max()), float(new["v"].max())
        (-1.0, 0.0)
    """
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        return model[0], project(model[1], plan)
    chosen = _is_projected(model, plan.project)
    return jax.tree.map(lambda array, is_in: jnp.maximum(array, 0) if is_in else array, model, chosen)


def _is_projected(params: Any, names: Collection[str]) -> Any:
    """Return a tree of truth values: which of the arrays have these names, with the same word before each or none."""
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    found = [path_name(path) for path, _ in paths]
    below = dict.fromkeys(name.partition(".")[0] + "." for name in found)
    wanted = {before + name for before in ("", *below) for name in names if {before + n for n in names} <= {*found}}
    if names and not wanted:
        lost = next((name for name in names if name not in found), "")
        raise ValueError(
            f"the plan projects {lost!r}, which is not among these parameters ({', '.join(found[:4])}, …): pass all "
            "parameters of the planned model; around transformations of a part of them, put the projection last"
        )
    return jax.tree_util.tree_unflatten(structure, [name in wanted for name in found])
