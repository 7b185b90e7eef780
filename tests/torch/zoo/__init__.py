"""Input-convex networks in the ways that people write them, each with the plan that they should get."""

from __future__ import annotations

from tests.torch.zoo import bare, context, dense, imaging, structure, sums
from tests.torch.zoo.entry import Entry
from tests.torch.zoo.refused import REFUSED

ZOO: dict[str, Entry] = {
    **dense.MODELS,
    **bare.MODELS,
    **structure.MODELS,
    **context.MODELS,
    **imaging.MODELS,
    **sums.MODELS,
}

IMAGES = frozenset(imaging.MODELS)

__all__ = ["IMAGES", "REFUSED", "ZOO", "Entry"]
