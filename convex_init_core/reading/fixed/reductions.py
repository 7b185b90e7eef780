"""Sums and means one after the other, with moves between them, as one sum over axes of what they began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convex_init_core.graph.nodes import Node


@dataclass(frozen=True)
class Reduction:
    """What happens to a value.

    Attributes:
        last: the last sum or mean.
        axes: of the value, over which is summed.
        divisor: of the sum: 1 but for means.
    """

    last: Node
    axes: tuple[int, ...]
    divisor: float


def reduction(node: Node, consumers: Mapping[Node, list[Node]]) -> Reduction | None:
    """Return the sum that takes a value and nothing else does: ``s.sum(1)``, ``s.flatten(1).sum(1)``; ``None`` if none.

    Args:
        node: the value.
        consumers: of every node.
    """
    found: Reduction | None = None
    at = node
    # Within each axis, those of the value.
    origins: list[tuple[int, ...]] = [(axis,) for axis in range(len(node.shape))]
    while len(ahead := consumers.get(at, [])) == 1:
        (then,) = ahead
        if then.name in ("sum", "mean"):
            gone = {axis % len(at.shape) for axis in then.params["axes"]}
            axes = tuple(origin for axis in sorted(gone) for origin in origins[axis])
            divisor = at.size / then.size if then.name == "mean" else 1.0
            before, over = ((), 1.0) if found is None else (found.axes, found.divisor)
            found = Reduction(then, (*before, *axes), over * divisor)
            keeps = then.params["keepdims"]
            origins = [() if axis in gone else of for axis, of in enumerate(origins) if keeps or axis not in gone]
        elif then.name == "reshape" and (merged := _merged(at.shape, then.shape, origins)) is not None:
            origins = merged
        else:
            break
        at = then
    return found


def _merged(
    before: tuple[int, ...], after: tuple[int, ...], origins: list[tuple[int, ...]]
) -> list[tuple[int, ...]] | None:
    """The origins of axes behind a reshape that takes neighbours together; ``None`` if it does something else."""
    found: list[tuple[int, ...]] = []
    place = 0
    for size in after:
        taken, met = 1, tuple[int, ...]()
        while taken < size and place < len(before):
            taken, met, place = taken * before[place], met + origins[place], place + 1
        if taken != size:
            return None
        found.append(met)
    return found if all(size == 1 for size in before[place:]) else None
