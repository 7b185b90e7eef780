"""Which method suits a model: the rule behind ``method="auto"``.

What it rests on: results/experiments/cpu/field.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convex_init_core.settings import InitSettings

THRESHOLD = 1.0
"""Of a chain of ReLUs: as far as the bends of its layers wander apart."""

LONGEST_CHAIN = 4
"""Layers in a row, nothing beside them, through which independent weights carry a signal; see
:mod:`convex_init_core.methods.choice.depth_advice`."""

MOST_INPUTS = 64
"""Inputs of a unit up to which it means something where it bends, if not all layers bend apart anyway."""


SKIP_SHARE = 0.9
"""Of free skips: with them every layer sees the input anew, and the less the layers have in common the better."""


@dataclass(frozen=True)
class Shape:
    """What the rule looks at.

    Attributes:
        depth: sums with positive layers, one behind the other.
        in_a_row: the same, if nothing stands beside any of them; else 0.
        with_skips: sums of positive layers and a free map of the input.
        inputs: the largest fan-in of the free first layers whose units may bend anywhere; 0 if there are none.
        is_relu_chain: whether ReLUs feed all positive layers, nothing stands beside them, and all are to be drawn.
        takes_zero: whether the maps of the positive weights reach 0.
    """

    depth: int
    in_a_row: int
    with_skips: int
    inputs: float
    is_relu_chain: bool
    takes_zero: bool = True


def candidates(shape: Shape, settings: InitSettings, named: Collection[str] = ()) -> Iterator[tuple[InitSettings, str]]:
    """Yield settings with a method of their own, the best first, each with a line that says which and why.

    The first that a model allows is meant; the last one has to do.

    Args:
        shape: of the model.
        settings: of the user; with a method other than ``"auto"`` they stay, but for ``kinks="auto"``.
        named: those that the user gave.
    """
    if settings.method != "auto":
        yield (replace(settings, kinks="origin") if settings.kinks == "auto" else settings), ""
        return
    law = settings.of_independent_weights
    if settings.threshold > 0.0:
        yield _told(replace(settings, method="isometric"), shape, "threshold= is given")
        return
    is_long = shape.in_a_row > LONGEST_CHAIN
    if not law and shape.is_relu_chain and shape.depth > 1 and (shape.takes_zero or is_long):
        why = f"{shape.in_a_row} positive layers follow one another through ReLUs alone"
        yield _told(replace(settings, method="isometric", threshold=THRESHOLD), shape, why)
    if not law and is_long:
        why = f"{shape.in_a_row} positive layers follow one another, nothing beside them"
        yield _told(replace(settings, method="isometric"), shape, why)
    beside = "with free skips" if shape.with_skips else "in a row" if shape.in_a_row else "one behind the other"
    why = f"{law}= is given" if law else f"{shape.depth} positive layer{'s' * (shape.depth != 1)} {beside}"
    share = SKIP_SHARE if shape.with_skips and "skip_share" not in named else settings.skip_share
    yield _told(replace(settings, method="bounded_gain", skip_share=share), shape, why)


def _told(chosen: InitSettings, shape: Shape, why: str) -> tuple[InitSettings, str]:
    if chosen.kinks == "auto":
        spreads = shape.inputs > 0.0 and (chosen.threshold > 0.0 or shape.inputs <= MOST_INPUTS)
        chosen = replace(chosen, kinks="spread" if spreads else "origin")
    names = ["method", *(["threshold"] if chosen.threshold else []), "kinks"]
    names += ["skip_share"] if shape.with_skips else []
    return chosen, f"auto: {', '.join(f'{name}={getattr(chosen, name)!r}' for name in names)}, since {why}"
