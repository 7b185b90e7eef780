"""Does a model do the same whenever it is traced?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from convex_init_core.graph.nodes import Graph
from convex_init_core.repetition import doubt_of_repetition as doubt_of_runs


def doubt_of_repetition(first: Graph, again: Callable[[], Graph], model: Any) -> str:
    """Return why a model may do something else the next time it is traced; empty if nothing speaks for it."""
    return doubt_of_runs(first, again, [model], is_closed=is_array, equal=equal)


def is_array(item: Any) -> bool:
    """Whether an object is an array of JAX."""
    return isinstance(item, jax.Array)


def equal(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same numbers."""
    if isinstance(a, jax.Array) and jax.numpy.issubdtype(a.dtype, jax.dtypes.extended):
        a, b = jax.random.key_data(a), jax.random.key_data(b)
    one, other = np.asarray(a), np.asarray(b)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.tobytes() == other.tobytes() or bool(np.array_equal(one, other))
