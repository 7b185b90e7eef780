"""JAX's side of a draw: the core's laws on explicit keys, one array at a time, wherever it lies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from convex_init_core.weights.laws import Normal
from convex_init_core.weights.positivity import as_positivity
from convex_init_core.weights.sampling import is_matched, is_structured, sample_raw

if TYPE_CHECKING:
    from convex_init_core.framework import Fill
    from convex_init_core.methods.isometric import Isometric
    from convex_init_core.weights.exact_moments import Matched
    from convex_init_core.weights.laws import Law
    from convex_init_core.weights.weight_axes import Geometry


def _log_gammas(key: jax.Array, a: Any, dtype: Any, starts: Sequence[Any], sizes: Sequence[int]) -> jax.Array:
    """A block of an array of which each number has a key of its own, by its place; JAX's own array is made whole."""

    def at(axis: int, key: jax.Array) -> jax.Array:
        if axis == len(sizes):
            return jax.random.loggamma(key, a, (), dtype)
        places = starts[axis] + jnp.arange(sizes[axis])
        return jax.vmap(lambda place: at(axis + 1, jax.random.fold_in(key, place)))(places)

    return at(0, key)


def _log_gamma(key: jax.Array, shape: tuple[int, ...], dtype: Any, sharding: Any, a: Any) -> jax.Array:
    if not isinstance(sharding, NamedSharding):
        return _log_gammas(key, a, dtype, [0] * len(shape), shape)
    sizes, spec = sharding.shard_shape(shape), sharding.spec

    def own(key: jax.Array, a: Any) -> jax.Array:
        names = (*spec, *(None,) * (len(shape) - len(spec)))
        starts = [jax.lax.axis_index(name) * size if name else 0 for name, size in zip(names, sizes, strict=True)]
        return _log_gammas(key, a, dtype, starts, sizes)

    spread = jax.shard_map(own, mesh=sharding.mesh, in_specs=(P(), P()), out_specs=spec, check_vma=False)
    found: jax.Array = spread(key, a)
    return found


_PRIMITIVES: dict[str, Callable[..., jax.Array]] = {
    "normal": lambda key, shape, dtype, _, mean, std: mean + std * jax.random.normal(key, shape, dtype),
    "log_normal": lambda key, shape, dtype, _, mean, std: jnp.exp(mean + std * jax.random.normal(key, shape, dtype)),
    "log_gamma": _log_gamma,
    "log_uniform": lambda key, shape, dtype, _: -jax.random.exponential(key, shape, dtype),
    "bernoulli": lambda key, shape, dtype, _, p: jax.random.bernoulli(key, p, shape).astype(dtype),
}


@lru_cache
def _compiled(name: str, shape: tuple[int, ...], dtype: Any, sharding: Any) -> Callable[..., jax.Array]:
    """One function for all laws, which is compiled once for each shape, and makes each shard where it lies."""
    primitive = _PRIMITIVES[name]
    compiled: Callable[..., jax.Array] = jax.jit(
        lambda key, *numbers: primitive(key, shape, dtype, sharding, *numbers), out_shardings=sharding
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
    made = _drawn(fill, jax.ShapeDtypeStruct(raw.shape, raw.dtype, sharding=_automatic(sharding)), key, axes)
    return made if sharding is None else jax.device_put(made, sharding)


def _automatic(sharding: Any) -> Any:
    """The same places by a mesh whose axes JAX follows by itself: of explicit ones every operation would be told."""
    if not isinstance(sharding, NamedSharding):
        return sharding
    mesh = sharding.mesh
    return NamedSharding(Mesh(mesh.devices, mesh.axis_names), sharding.spec, memory_kind=sharding.memory_kind)


def _drawn(fill: Fill, raw: jax.ShapeDtypeStruct, key: jax.Array, axes: Callable[[], Geometry]) -> jax.Array:
    shape, sharding = raw.shape, raw.sharding
    if isinstance(fill.law, Normal) and fill.law.std == 0.0:
        return jnp.full(shape, fill.law.mean, raw.dtype, device=sharding)
    if is_structured(fill.law):
        return _structured(fill, fill.law, raw, key)
    law, wide = cast("Law | Matched", fill.law), jnp.promote_types(raw.dtype, jnp.float32)
    units: int | Along = 0
    if is_matched(law) and len(shape) > 1:
        outputs = axes().outputs
        units = Along(shape, tuple(axis for axis in range(len(shape)) if axis not in outputs))
    return sample_raw(law, fill.positivity, JaxDraw(key, shape, wide, sharding), jnp, units).astype(raw.dtype)


@dataclass(frozen=True)
class Along:
    """Units whose weights lie along some axes of an array, for laws that are matched by unit.

    Neighbours are added two by two, each level by itself: numbers do not depend on how the array is spread, and no
    device gets another's part.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def count(self) -> int:
        """See :class:`convex_init_core.weights.exact_moments.Units`."""
        return math.prod(self.shape[axis] for axis in self.axes)

    def total(self, array: jax.Array) -> jax.Array:
        """See :class:`convex_init_core.weights.exact_moments.Units`."""
        return _folded(array, self.axes, jnp.add, 0.0)

    def largest(self, array: jax.Array) -> jax.Array:
        """See :class:`convex_init_core.weights.exact_moments.Units`."""
        return _folded(array, self.axes, jnp.maximum, -jnp.inf)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _folded(array: jax.Array, axes: tuple[int, ...], pair: Callable[..., jax.Array], neutral: float) -> jax.Array:
    for axis in axes:
        while array.shape[axis] > 1:
            if array.shape[axis] % 2:
                widths = [(0, int(place == axis)) for place in range(array.ndim)]
                array = jnp.pad(array, widths, constant_values=neutral)
            pairs = array.reshape(*array.shape[:axis], -1, 2, *array.shape[axis + 1 :])
            array = pair(*(jax.lax.index_in_dim(pairs, side, axis + 1, keepdims=False) for side in (0, 1)))
    return array


def _structured(fill: Fill, law: Isometric, raw: jax.ShapeDtypeStruct, key: jax.Array) -> jax.Array:
    """Few numbers that are drawn outside of what is compiled, and placed where the array lies."""
    from convex_init_core.methods.isometric import structured_raw  # most networks need none

    through = fill.positivity or as_positivity("projection")
    off, support, _ = structured_raw(law, through, 0)

    def entries(bits: Any) -> tuple[Any, Any]:
        _, places, values = structured_raw(law, through, int(bits))
        return np.asarray(np.unravel_index(places, raw.shape), np.int32), values.astype(raw.dtype)

    bits, count = jax.random.bits(key, (), jnp.uint32), len(support)
    if isinstance(bits, jax.core.Tracer):
        like = (
            jax.ShapeDtypeStruct((len(raw.shape), count), jnp.int32),
            jax.ShapeDtypeStruct((count,), raw.dtype),
        )
        at, values = jax.pure_callback(entries, like, bits, vmap_method="sequential")
    else:
        at, values = entries(bits)
    return _placed(raw.shape, raw.dtype, off, raw.sharding)(at, values)


@lru_cache
def _placed(shape: tuple[int, ...], dtype: Any, off: float, sharding: Any) -> Callable[..., jax.Array]:
    """Numbers at places of an array that has another one everywhere else, made where each shard lies."""
    compiled: Callable[..., jax.Array] = jax.jit(
        lambda at, values: jnp.full(shape, off, dtype).at[tuple(at)].set(values, unique_indices=True),
        out_shardings=sharding,
    )
    return compiled
