"""What is known of the nodes of a graph under some assumptions, and which of them are the same value."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

from convex_init_core.convexity.calculus import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Node

# Two nodes of these may differ although operation, parameters and inputs agree: they draw, or the graph does not keep
# all that they do.
_NOT_DETERMINED = frozenset(
    ("opaque", "noise", "unset", "dropout", "rearrange", "gather", "scatter", "join", "average", "window_max")
) | {"window_min", "distance", "convolve", "input", "parameter", "buffer"}


class Values(Mapping["Node", Value]):
    """The value of each node that was judged so far, and numbers of constants as far as they may be looked at.

    Under an assumption about a parameter, the numbers of what was computed from it say nothing: ``bounds``, ``number``,
    ``numbers`` and ``bounds_along`` have none then.

    Attributes:
        assumed: for parameters of which something is taken for granted, whatever they hold: the interval in which all
            their numbers lie.
        overwritten: names of the parameters that will be drawn anew.
        asked: names of the inputs in which convexity is asked.
        notes: what the values hold for, where that is not plain.
        context: nodes that are made of context, although they come from an input of which a part is convex.
        context_bounds: between which numbers the elements of context lie, whatever it holds.
        doubts: of nodes that were asked for, whether they may be infinite or NaN, and which node makes them so.
        extremes_drop_nan: whether a maximum may leave NaN out.
    """

    def __init__(
        self,
        framework: Framework | None = None,
        assumed: Mapping[str, tuple[float, float]] | None = None,
        overwritten: Collection[str] = (),
    ) -> None:
        """Start without any value."""
        self.assumed = dict(assumed or {})
        self.overwritten = frozenset(overwritten)
        self.asked: tuple[str, ...] = ()
        self.notes: list[str] = []
        self.context: frozenset[Node] = frozenset()
        self.context_bounds: dict[Node, tuple[float, float]] = {}
        self.doubts: dict[Node, tuple[int, Node]] = {}
        self.extremes_drop_nan = False
        self._framework = framework
        self._values: dict[Node, Value] = {}
        self._first: dict[Node, Node] = {}
        self._known: dict[Hashable, Node] = {}

    def __getitem__(self, node: Node) -> Value:
        """Return what is known of a node."""
        return self._values[node]

    def __iter__(self) -> Iterator[Node]:
        """Iterate over the nodes in the order in which they were judged."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._values)

    def learn(self, node: Node, value: Value) -> None:
        """Keep the value of a node."""
        self._values[node] = value
        self._first[node] = self._known.setdefault(self._identity(node), node)

    def _identity(self, node: Node) -> Hashable:
        if node.name in _NOT_DETERMINED or (node.name == "literal" and (node.shape or self.number(node) is None)):
            return node
        parts = tuple(self._first[part] for part in node.inputs)
        if not parts and node.name != "literal":
            return node
        params = tuple(sorted(node.params.items())) if node.params else ()
        key = (node.op, params, parts, node.shape, node.dtype, self.number(node))
        try:
            hash(key)
        except TypeError:  # a parameter that is no number, name or tuple of these
            return node
        return key

    def are_same(self, a: Node, b: Node) -> bool:
        """Whether two nodes hold the same numbers for every input, being made in the same way from the same."""
        return self._first[a] is self._first[b]

    def is_assumed(self, node: Node) -> bool:
        """Whether a constant depends on a parameter of which something is assumed."""
        return bool(self.assumed) and any(name in self.assumed for name in node.parameters)

    def bounds(self, node: Node) -> tuple[float, float] | None:
        """Return smallest and largest number of a constant; ``None`` if they are not known."""
        return None if self.is_assumed(node) else node.bounds

    def number(self, node: Node) -> float | None:
        """Return the one finite number that all elements of a constant are; ``None`` if there is none."""
        return None if self.is_assumed(node) else node.number

    def numbers(self, node: Node) -> NDArray[np.float64] | None:
        """Return the numbers of a small constant; ``None`` if they are not known."""
        if node.constant is None or self._framework is None or self.is_assumed(node):
            return None
        return self._framework.numbers(node.constant)

    def bounds_along(self, node: Node, axis: int, start: int, stop: int) -> tuple[float, float] | None:
        """Return smallest and largest number of a part of a constant; ``None`` if they are not known."""
        if node.constant is None or self._framework is None or self.is_assumed(node):
            return None
        return self._framework.bounds_along(node.constant, axis, start, stop)
