"""Keep what a plan names in its intervals while training: as a transformation of optax, and at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from convex_init.jax.trace.arguments import path_name

if TYPE_CHECKING:
    import optax

    from convex_init_core.constraints.kept import Kept
    from convex_init_core.planning.plan import Plan


def projection(plan: Plan | Iterable[Kept]) -> optax.GradientTransformation:
    """Return a transformation after which all that a plan keeps is in its interval, ``plan.kept``.

    It is ``optax.keep_params_nonnegative`` on what must be non-negative, and the same for other intervals, such as
    [0, 1] for learnt slopes and gates; it has to be the last of a chain. It may stand in
    ``optax.MultiSteps``, ``apply_if_finite`` and the like, which wrap the whole chain; behind ``optax.lookahead`` it
    projects fast and slow weights. Averages of weights in an interval are in it. NaN stays NaN.

    Args:
        plan: of the model, by :func:`convex_init.jax.plan`, or its :func:`convex_init.jax.constraints`. The parameters
            that optax gets are found by their names in it: a module of equinox or the arrays of one, the state of an
            nnx module, linen variables or their ``"params"``, a tree of parameters; or all of them within a tree of
            one more level.

    Raises:
        TypeError: if it is no plan.
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

    wanted = _kept(plan)

    def kept_in(interval: tuple[float, float]) -> optax.GradientTransformation:
        def is_in(params: Any) -> Any:
            return jax.tree.map(lambda own: own == interval, _intervals(params, wanted), is_leaf=_is_interval)

        inner = optax.keep_params_nonnegative() if interval == (0.0, math.inf) else optax.stateless(_clipped(*interval))
        return optax.masked(inner, is_in)

    kept = [kept_in(interval) for interval in dict.fromkeys(each.interval for each in wanted)]
    return optax.chain(*kept) if kept else optax.identity()  # maps may keep all that there is


def project(model: Any, plan: Plan | Iterable[Kept]) -> Any:
    """Return a model, or a tree of its parameters, with all that a plan keeps clipped to its interval, ``plan.kept``.

    What lies in it stays as it is, −inf becomes its lower end, and NaN stays NaN, so that a diverged run is seen.

    Args:
        model: a module of equinox or nnx, linen variables, a pair ``(fn, params)``, or parameters as for
            :func:`projection`.
        plan: of the model, or its constraints.

    Raises:
        TypeError: if there is no plan.
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
    intervals = _intervals(model, _kept(plan))
    return jax.tree.map(
        lambda own, array: jnp.clip(array, *own) if own else array, intervals, model, is_leaf=_is_interval
    )


def _clipped(low: float, high: float) -> Callable[[Any, Any], Any]:
    """Return updates that end within an interval, also after the rounding of a sum."""

    def of_one(update: Any, param: Any) -> Any:
        update = jnp.where(param + update > high, high - param, jnp.where(param + update < low, low - param, update))
        update = jnp.where(param + update > high, jnp.nextafter(update, -jnp.inf), update)
        return jnp.where(param + update < low, jnp.nextafter(update, jnp.inf), update)

    return lambda updates, params: jax.tree.map(of_one, updates, params)


def _is_interval(leaf: Any) -> bool:
    return isinstance(leaf, tuple) and all(isinstance(end, float) for end in leaf)


def _kept(plan: Plan | Iterable[Kept]) -> tuple[Kept, ...]:
    found = plan.kept if hasattr(plan, "kept") else plan
    kept = tuple(found) if isinstance(found, Iterable) else (found,)
    if any(not hasattr(each, "interval") for each in kept):
        raise TypeError(
            "plan must be what convex_init.jax.plan(model, x) or constraints(model, x) returns, got "
            f"{type(plan).__name__}"
        )
    return kept


def _intervals(params: Any, intervals: Iterable[Kept]) -> Any:
    """Return a tree with the interval of each array that is kept, and an empty tuple for the others."""
    return told(params, {each.name: each.interval for each in intervals}, ())


def told(params: Any, by_name: Mapping[str, Any], otherwise: Any) -> Any:
    """Return a tree with what is told of each array of ``params`` by its name in a plan, or else ``otherwise``.

    The names may all have the same word before them, or several times all of them with another one.

    Raises:
        ValueError: if not all of the names are there.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    found = [path_name(path) for path, _ in paths]
    below = dict.fromkeys(("", *(name.partition(".")[0] + "." for name in found)))
    whole = [before for before in below if {before + name for name in by_name} <= {*found}]
    if by_name and not whole:
        lost = next((name for name in by_name if name not in found), "")
        raise ValueError(
            f"the plan keeps {lost!r}, which is not among these parameters ({', '.join(found[:4])}, …): pass all "
            "parameters of the planned model; around transformations of a part of them, put the projection last"
        )
    wanted = {before + name: value for before in whole for name, value in by_name.items()}
    return jax.tree_util.tree_unflatten(structure, [wanted.get(name, otherwise) for name in found])
