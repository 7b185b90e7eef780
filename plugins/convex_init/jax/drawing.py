"""JAX's side of a draw: the core's laws on explicit keys, one array at a time, wherever it lies."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp

from convex_init_core.weights.laws import Normal
from convex_init_core.weights.positivity import as_positivity
from convex_init_core.weights.sampling import is_matched, is_structured, sample_raw

if TYPE_CHECKING:
    from convex_init_core.framework import Fill
    from convex_init_core.methods.isometric import Isometric
    from convex_init_core.weights.exact_moments import Matched
    from convex_init_core.weights.laws import Law
    from convex_init_core.weights.weight_axes import Geometry


_PRIMITIVES: dict[str, Callable[..., jax.Array]] = {
    "normal": lambda key, shape, dtype, mean, std: mean + std * jax.random.normal(key, shape, dtype),
    "log_normal": lambda key, shape, dtype, mean, std: jnp.exp(mean + std * jax.random.normal(key, shape, dtype)),
    "log_gamma": lambda key, shape, dtype, a: jax.random.loggamma(key, a, shape, dtype),
    "log_uniform": lambda key, shape, dtype: -jax.random.exponential(key, shape, dtype),
    "bernoulli": lambda key, shape, dtype, p: jax.random.bernoulli(key, p, shape).astype(dtype),
}


@lru_cache
def _compiled(name: str, shape: tuple[int, ...], dtype: Any, sharding: Any) -> Callable[..., jax.Array]:
    """One function for all laws, which is compiled once for each shape, and makes each shard where it lies."""
    primitive = _PRIMITIVES[name]
    compiled: Callable[..., jax.Array] = jax.jit(
        lambda key, *numbers: primitive(key, shape, dtype, *numbers), out_shardings=sharding
    )
    return compiled


class JaxDraw:
    """The core's ``Draw`` for arrays of one shape, each from a key of its own."""

    def __init__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any, sharding: Any = None) -> None:
        """Draw arrays of ``shape`` and ``dtype`` (float32 or wider), spread over devices by ``sharding``."""
        self.key, self.kind, self.count = key, (shape, jnp.dtype(dtype), sharding), 0

    def _drawn(self, name: str, *numbers: float) -> jax.Array:
        self.count += 1
        return _compiled(name, *self.kind)(jax.random.fold_in(self.key, self.count), *numbers)

    def normal(self, mean: float, std: float) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return self._drawn("normal", mean, std)

    def log_normal(self, log_mean: float, log_std: float) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return self._drawn("log_normal", log_mean, log_std)

    def log_gamma(self, concentration: float) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return self._drawn("log_gamma", concentration)

    def log_uniform(self) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return self._drawn("log_uniform")

    def bernoulli(self, probability: float) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return self._drawn("bernoulli", probability)

    def exp(self, value: jax.Array) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return jnp.exp(value)

    def add(self, value: jax.Array, other: jax.Array | float) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return value + other

    def multiply(self, value: jax.Array, other: jax.Array | float) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return value * other

    def absolute(self, value: jax.Array) -> jax.Array:
        """See ``convex_init_core.Draw``."""
        return jnp.abs(value)


def root_of(key: Any) -> jax.Array:
    """Return the key that all draws of one call are folded from.

    It is one of threefry, whose numbers do not depend on how an array is spread over devices.

    Raises:
        TypeError: if it is no key.
    """
    if not isinstance(key, jax.Array) or (key.ndim != 0 and not _is_old(key)):
        raise TypeError(f"key must be one key of jax.random, such as jax.random.key(0), got {key!r}")
    if not (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or _is_old(key)):
        raise TypeError(f"key must be one key of jax.random, such as jax.random.key(0), got an array of {key.dtype}")
    return jax.random.wrap_key_data(jax.random.bits(key, (2,), jnp.uint32), impl="threefry2x32")


def _is_old(key: jax.Array) -> bool:
    return bool(key.ndim == 1 and key.dtype == jnp.uint32)


def drawn(fill: Fill, raw: Any, key: jax.Array, axes: Callable[[], Geometry]) -> jax.Array:
    """Return raw numbers for a parameter, of its shape and dtype, and spread over devices as it is.

    Args:
        fill: what it gets.
        raw: the parameter as it is.
        key: of its own.
        axes: of its weight, for laws that are matched by unit.
    """
    sharding = getattr(raw, "sharding", None)
    if isinstance(fill.law, Normal) and fill.law.std == 0.0:
        return jnp.full(raw.shape, fill.law.mean, raw.dtype, device=sharding)
    if is_structured(fill.law):
        return _structured(fill, fill.law, raw, key)
    law = cast("Law | Matched", fill.law)
    shape, wide = tuple(raw.shape), jnp.promote_types(raw.dtype, jnp.float32)
    if not is_matched(law) or len(shape) < 2:
        return sample_raw(law, fill.positivity, JaxDraw(key, shape, wide, sharding), jnp).astype(raw.dtype)
    # The weights of one unit have to follow one another.
    units = axes().outputs
    order = [*units, *(axis for axis in range(len(shape)) if axis not in units)]
    moved = tuple(shape[axis] for axis in order)
    row = math.prod(moved[len(units) :])
    made = sample_raw(law, fill.positivity, JaxDraw(key, (math.prod(shape) // row, row), wide), jnp, row)
    back = [order.index(axis) for axis in range(len(shape))]
    placed = made.reshape(moved).transpose(back).astype(raw.dtype)
    return placed if sharding is None else jax.device_put(placed, sharding)


def _structured(fill: Fill, law: Isometric, raw: Any, key: jax.Array) -> jax.Array:
    from convex_init_core.methods.isometric import structured_raw  # most networks need none

    seed = int(jax.random.bits(key, (), jnp.uint32))
    off, places, values = structured_raw(law, fill.positivity or as_positivity("projection"), seed)

    def placed() -> jax.Array:
        at = jnp.unravel_index(jnp.asarray(places), raw.shape)
        return jnp.full(raw.shape, off, raw.dtype).at[at].set(jnp.asarray(values, raw.dtype))

    made: jax.Array = jax.jit(placed, out_shardings=getattr(raw, "sharding", None))()
    return made
