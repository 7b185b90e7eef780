"""One array of raw parameters from a law of the core: drawn one by one, by unit, or as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from convex_init.keras.draws.drawing import KerasDraw
from convex_init_core.weights.laws import Law
from convex_init_core.weights.positivity import Positivity, as_positivity
from convex_init_core.weights.sampling import is_matched, is_structured, sample_raw

if TYPE_CHECKING:
    from convex_init_core.methods.isometric import Isometric
    from convex_init_core.weights.exact_moments import Matched


def drawn(
    law: Law | Matched | Isometric,
    positivity: Positivity | None,
    shape: Sequence[int],
    dtype: str,
    seeds: Iterator[Any],
) -> Any:
    """Return a tensor of ``shape`` and ``dtype`` (float32 or wider) with the raw image of a draw from ``law``.

    Args:
        law: of the effective weight.
        positivity: the map; ``None`` for a weight of free sign.
        shape: of the kernel, whose last axis counts the units.
        dtype: to draw in.
        seeds: integers, or one ``SeedGenerator`` again and again.
    """
    sizes = tuple(int(size) for size in shape)
    if is_structured(law):
        from convex_init_core.methods.isometric import structured_raw

        off, places, values = structured_raw(law, positivity or as_positivity("projection"), _whole(next(seeds)))
        raw = np.full(math.prod(sizes), off, dtype)
        raw[places] = values
        return ops.convert_to_tensor(raw.reshape(sizes))
    by_unit = is_matched(law) and len(sizes) > 1
    row = math.prod(sizes[:-1]) if by_unit else 0
    draw = KerasDraw((sizes[-1], row) if by_unit else sizes, dtype, lambda: next(seeds))
    raw = sample_raw(law, positivity, draw, ops, row)  # type: ignore[arg-type]
    return ops.reshape(ops.transpose(raw), sizes) if by_unit else raw


def _whole(seed: Any) -> int:
    if isinstance(seed, keras.random.SeedGenerator):
        return int(np.asarray(ops.convert_to_numpy(seed.next())).astype(np.uint64).sum() % 2**32)
    return int(seed)
