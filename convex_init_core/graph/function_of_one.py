"""A piece of a graph as a function of one number: what an element of a node is, given the same element of another.

Such functions name the activations and positivity maps that a model writes out of smaller operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_init_core.graph.nodes import Node
from convex_init_core.graph.walks import parts_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRID = 30.0
"""Functions are compared and judged on [−GRID, GRID]."""

_POINTS = np.array([-29.0, -11.3, -4.1, -2.7, -1.3, -0.71, -0.29, -0.013, 0.0, 0.017, 0.31, 0.83, 1.7, 3.9, 12.1, 28.0])


@dataclass(frozen=True)
class FunctionOfOne:
    """An element-wise function; two are equal if they have the same values.

    Attributes:
        function: on NumPy arrays.
        label: for messages.
    """

    function: Callable[[NDArray[np.float64]], NDArray[np.float64]] = field(compare=False, repr=False)
    label: str = field(default="", compare=False)
    _image: bytes = field(init=False, default=b"", repr=False)

    def __post_init__(self) -> None:
        """Take the values that equality goes by."""
        object.__setattr__(self, "_image", self(_POINTS).tobytes())

    def __call__(self, s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at ``s``."""
        with np.errstate(all="ignore"):
            made = np.asarray(self.function(np.asarray(s, dtype=np.float64)), dtype=np.float64)
        return made if made.shape == np.shape(s) else np.broadcast_to(made, np.shape(s)).copy()

    @cached_property
    def on_grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A grid over [−30, 30] and the values there."""
        grid = np.linspace(-GRID, GRID, 6001)
        return grid, self(grid)


def between(base: Node, made: Node) -> FunctionOfOne:
    """Return ``made`` as a function of ``base``.

    Moves on the way count as none: they leave each element as it is. Other fixed nodes must be one number.

    Args:
        base: the argument; itself not looked into.
        made: an element-wise function of it.

    Raises:
        ValueError: if it is no such function, with the operation that stands in the way.
    """
    order = list(parts_first(made, lambda node: () if node is base or node.number is not None else _operands(node)))
    if base not in order:
        raise ValueError(f"{made.at} does not depend on it")
    steps: list[tuple[Node, Any]] = []
    for node in order:
        if node is base:
            continue
        if node.number is not None:
            steps.append((node, node.number if node.kind.value != "boolean" else bool(node.number)))
        elif not (node.op.moves or (node.op.element_wise and node.op.numpy is not None)):
            raise ValueError(f"{node.at} is no function of single numbers")
        else:
            steps.append((node, None))
    names = dict.fromkeys(node.name for node, number in steps if number is None and not node.op.moves)

    def function(s: NDArray[np.float64]) -> NDArray[np.float64]:
        values: dict[Node, Any] = {base: s}
        for node, number in steps:
            if number is not None:
                values[node] = number
            elif node.op.moves:
                values[node] = values[node.inputs[0]]
            else:
                assert node.op.numpy is not None
                values[node] = node.op.numpy(*(values[part] for part in node.inputs), **node.params)
        result: NDArray[np.float64] = values[made]
        return result

    return FunctionOfOne(function, "∘".join(reversed(list(names))))


def bases_of(node: Node, order: Mapping[Node, int], limit: int = 64) -> Iterator[Node]:
    """Yield the nodes of which ``node`` is an element-wise function of one number, the nearest first.

    Args:
        node: that depends on an input of the model.
        order: places of nodes in their graph.
        limit: after how many operations to give up.
    """
    frontier = {node}
    for _ in range(limit):
        last = max(frontier, key=lambda part: order.get(part, -1))
        if not last.op.element_wise or last.op.numpy is None:
            return
        frontier.discard(last)
        for part in last.inputs:
            if not part.is_fixed:
                if part.shape != node.shape:
                    return  # units that meet
                frontier.add(part)
            elif part.number is None:
                return  # it differs from unit to unit
        if not frontier:
            return
        if len(frontier) == 1:
            yield next(iter(frontier))


def _operands(node: Node) -> tuple[Node, ...]:
    return node.inputs[:1] if node.op.moves else node.inputs
