"""Outputs that move as one with their last sum: behind a maximum or a log-sum-exp of its units, and what is like them.

``max(s + c) = max(s) + c``, so the bias of such a sum sets the output's mean, which is far from that of the units: the
log-sum-exp of 32 of them lies log 32 above.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convex_init_core.planning.outputs.last_sums import last_sums

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Graph, Node
    from convex_init_core.planning.decisions import Decisions
    from convex_init_core.reading.parts import Reading, Sum

_FAR_FROM_ITS_UNITS = frozenset(("max", "min", "log_sum_exp", "maximum", "minimum", "log_add_exp"))
_AS_ITS_INPUT = frozenset(
    ("max", "min", "window_max", "window_min", "largest", "sort", "mean", "log_sum_exp", "cumulative_log_sum_exp")
)
_AS_ALL_INPUTS = frozenset(("maximum", "minimum", "log_add_exp", "concatenate", "stack"))


@dataclass(frozen=True, eq=False)
class Level:
    """An output whose mean is set by the bias of a sum before it.

    Attributes:
        root: the output.
        paths: of the layers of the sum, for messages.
        bias: that is shifted, with what the output moves by for 1.
        mean: that the output is to have.
    """

    root: Node
    paths: tuple[str, ...]
    bias: tuple[str, float]
    mean: float = 0.0

    def __str__(self) -> str:
        """Name the layers."""
        return ", ".join(path or "(model)" for path in self.paths)


def level_of(reading: Reading, decisions: Decisions, mean: float = 0.0) -> Level | None:
    """Return how the mean of the output is set, where the model returns one that moves as one with its last sum.

    Args:
        reading: of the model.
        decisions: on all sums.
        mean: that the output is to have.
    """
    found = moved_by(reading, decisions.outputs)
    if found is None or found[0] not in decisions.carrier:
        return None
    last, gain = found
    name = decisions.carrier[last]
    factor = decisions.facts.factor(last, name) * gain
    if factor == 0.0 or decisions.facts.sums_of_bias[name] > 1:
        return None
    (root,) = reading.graph.outputs.values()
    return Level(root, decisions.facts.paths(last.terms), (name, factor), mean)


def moved_by(reading: Reading, outputs: Collection[Sum] = ()) -> tuple[Sum, float] | None:
    """Return the last sum before the one output, and how far that moves with it; ``None`` if it does not.

    It is ``None``, too, if the output is that sum, or linear in it: then their means are the same.

    Args:
        reading: of the model.
        outputs: sums that the model returns, but for a link; they have a mean of their own.
    """
    last = last_sums(reading)
    if len(last) != 1 or last[0] in outputs or len(reading.graph.outputs) != 1 or last[0].normalised is not None:
        return None
    (root,) = reading.graph.outputs.values()
    gains = _gains(reading.graph, last[0].root)
    gain = gains[root]
    is_far = any(node.name in _FAR_FROM_ITS_UNITS and gains[node] for node in gains)
    return (last[0], gain) if gain and is_far else None


def _gains(graph: Graph, root: Node) -> dict[Node, float | None]:
    """By how much each node moves if all elements of one move by 1; ``None`` where they do not move as one."""
    found: dict[Node, float | None] = {}
    for node in graph.nodes:
        found[node] = 1.0 if node is root else _gain(node, [found[part] for part in node.inputs])
    return found


def _gain(node: Node, of: list[float | None]) -> float | None:
    if not any(gain is None or gain for gain in of):
        return 0.0
    first, others = of[0], of[1:]
    if first is None or any(gain is None for gain in of):
        return None
    name = node.name
    if name == "subtract":
        return first - (others[0] or 0.0)
    if name == "add":
        return first + (others[0] or 0.0)
    if name == "negate":
        return -first
    if name in ("multiply", "divide"):
        return _times(node, first, others[0] or 0.0)
    if name == "sum":
        return first * node.inputs[0].size / max(node.size, 1)
    if name in _AS_ALL_INPUTS:
        return first if all(gain == first for gain in others) else None
    if name == "compare":
        return 0.0 if others[0] == first else None
    if name == "where":
        return others[0] if first == 0.0 and others[0] == others[1] else None
    return first if (node.op.moves or name in _AS_ITS_INPUT) and not any(others) else None


def _times(node: Node, first: float, second: float) -> float | None:
    """A product with one number, or its inverse."""
    number = node.inputs[1 if first else 0].number
    if (first and second) or number is None:
        return None
    if node.name == "multiply":
        return (first or second) * number
    return first / number if first and number else None
