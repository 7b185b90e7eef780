"""Input-convex networks in the ways that people write them, each with the plan that they should get."""

from __future__ import annotations

from tests.torch.zoo import bare, context, dense, endings, imaging, published, structure, sums, unlike, within
from tests.torch.zoo.entry import Entry
from tests.torch.zoo.refused import REFUSED

ZOO: dict[str, Entry] = {
    **dense.MODELS,
    **bare.MODELS,
    **structure.MODELS,
    **context.MODELS,
    **imaging.MODELS,
    **sums.MODELS,
    **within.MODELS,
    **published.MODELS,
    **endings.MODELS,
    **{name: entry for name, entry in unlike.MODELS.items() if name not in unlike.NOT_READ},
}

IMAGES = frozenset((*imaging.MODELS, "hourglass", "strided"))

__all__ = ["IMAGES", "REFUSED", "ZOO", "Entry"]
