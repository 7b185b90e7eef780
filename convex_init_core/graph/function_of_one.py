"""A piece of a graph as a function of one number: what an element of a node is, given the same element of another.

Such functions name the activations and positivity maps that a model writes out of smaller operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
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
        steps: the nodes to compute, in order, each with its number if it is one.
        base: the argument.
        made: the result.
    """

    steps: tuple[tuple[Node, float | None], ...] = field(compare=False, repr=False)
    base: Node = field(compare=False, repr=False)
    made: Node = field(compare=False, repr=False)
    _image: bytes = field(init=False, default=b"", repr=False)

    def __post_init__(self) -> None:
        """Take the values that equality goes by."""
        object.__setattr__(self, "_image", self(_POINTS).tobytes())

    def __call__(self, s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at ``s``."""
        made: NDArray[np.float64] = np.asarray(self._run(s)[self.made], dtype=np.float64)
        return made if made.shape == np.shape(s) else np.broadcast_to(made, np.shape(s)).copy()

    @property
    def label(self) -> str:
        """Its operations, the last one first."""
        names = dict.fromkeys(node.name for node, number in self.steps if number is None and not node.op.moves)
        return "∘".join(reversed(list(names)))

    @cached_property
    def on_grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A grid over [−30, 30] and the values there."""
        grid = np.linspace(-GRID, GRID, 6001)
        return grid, self(grid)

    @cached_property
    def turns(self) -> tuple[float, ...]:
        """Places on the grid at which a piece of the function ends and another begins."""
        grid, _ = self.on_grid
        found: set[float] = set()
        for node, number in self.steps:
            if number is None and node.name in _EDGES:
                for one in range(len(_EDGES[node.name](node, [grid] * len(node.inputs)))):
                    found.update(_zeros(partial(self._edge, node, one), grid))
        return tuple(sorted(found))

    def _edge(self, node: Node, one: int, s: NDArray[np.float64]) -> NDArray[np.float64]:
        known = self._run(s)
        return np.broadcast_to(_EDGES[node.name](node, [known[part] for part in node.inputs])[one], s.shape)

    def _run(self, s: NDArray[np.float64]) -> dict[Node, Any]:
        known: dict[Node, Any] = {self.base: np.asarray(s, dtype=np.float64)}
        with np.errstate(all="ignore"):
            for node, number in self.steps:
                if number is not None:
                    known[node] = number
                elif node.op.moves:
                    known[node] = known[node.inputs[0]]
                else:
                    assert node.op.numpy is not None
                    known[node] = node.op.numpy(*(known[part] for part in node.inputs), **node.params)
        return known


# Where a function that is made of pieces goes from one to the next: where one of these is 0.
_EDGES: dict[str, Callable[[Node, list[Any]], list[Any]]] = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "prelu", "abs", "sign", "selu", "softsign"), lambda n, x: [x[0]]),
    **dict.fromkeys(("maximum", "minimum", "compare"), lambda n, x: [np.subtract(x[0], x[1])]),
    **dict.fromkeys(("softshrink", "hardshrink"), lambda n, x: [x[0] - 0.5, x[0] + 0.5]),
    **dict.fromkeys(("hardsigmoid", "hardswish"), lambda n, x: [x[0] - 3.0, x[0] + 3.0]),
    "sparse_plus": lambda n, x: [x[0] - 1.0, x[0] + 1.0],
    "threshold": lambda n, x: [x[0] - n.params["at"]],
    "huber": lambda n, x: [x[0] - n.params["delta"], x[0] + n.params["delta"]],
}


def _zeros(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], grid: NDArray[np.float64]) -> list[float]:
    """Where a function changes its sign."""
    signs = np.sign(function(grid))
    on_grid = np.flatnonzero((signs[1:-1] == 0.0) & ((signs[:-2] != 0.0) | (signs[2:] != 0.0))) + 1
    between_two = np.flatnonzero(signs[:-1] * signs[1:] < 0.0)
    low, high, before = grid[between_two], grid[between_two + 1], signs[between_two]
    for _ in range(50):
        middle = 0.5 * (low + high)
        is_left = np.sign(function(middle)) == before
        low, high = np.where(is_left, middle, low), np.where(is_left, high, middle)
    return [round(float(place), 12) for place in (*grid[on_grid], *high)]


def between(base: Node, made: Node) -> FunctionOfOne:
    """Return ``made`` as a function of ``base``.

    Moves on the way count as none: they leave each element as it is. Other fixed nodes must be one number, which does
    not depend on the base, as a mean of it would.

    Args:
        base: the argument; itself not looked into.
        made: an element-wise function of it.

    Raises:
        ValueError: if it is no such function, with the operation that stands in the way.
    """

    def number_of(node: Node) -> float | None:
        return None if set(base.parameters) & set(node.parameters) else node.number

    def parts_of(node: Node) -> tuple[Node, ...]:
        if node is base or number_of(node) is not None:
            return ()
        return node.inputs[:1] if node.op.moves else node.inputs

    order = [node for node in parts_first(made, parts_of) if node is not base]
    for node in order:
        is_known = number_of(node) is not None or node.op.moves or (node.op.element_wise and node.op.numpy is not None)
        if not is_known or (node.op.moves and not node.inputs):
            raise ValueError(f"{node.at} is no function of single numbers")
    return FunctionOfOne(tuple((node, number_of(node)) for node in order), base, made)


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
        if not (_is_kept(last) or (last.op.element_wise and last.op.numpy is not None)):
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


def _is_kept(node: Node) -> bool:
    """Whether a move leaves each element in its place."""
    return node.name in ("cast", "reshape", "broadcast") and node.shape == node.inputs[0].shape
