"""Primitives of JAX as the core's lowering sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from convex_init.jax.trace.program import Step
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.programs import lowering

Call = lowering.Call[Step]
Rule = Callable[[Call], "Node | Sequence[Node]"]
Lowering = partial(lowering.Lowering[Call], called=Call)


def bounds(array: Any) -> tuple[float, float] | None:
    """Return smallest and largest number of an array; ``None`` if it has none that can be read."""
    if array is None or isinstance(array, (jax.core.Tracer, jax.ShapeDtypeStruct)):
        return None
    if isinstance(array, jax.Array) and jax.numpy.issubdtype(array.dtype, jax.dtypes.extended):
        return None
    if np.size(array) == 0 or np.iscomplexobj(array):
        return None
    if not isinstance(array, jax.Array) or all(device.platform == "cpu" for device in array.devices()):
        array = np.asarray(array)  # JAX would compile a function for each shape
    return float(array.min()), float(array.max())
