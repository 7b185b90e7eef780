"""Functions that frameworks compute from simpler operations, known by the graph that the framework makes for them.

A library of functions traces ``jax.nn.elu`` to comparisons, choices and exponentials. A pattern is the graph of such a
function, made by the same tracer; where a model's graph holds the same operations with the same numbers, it computes
the same function, whatever it is called. Numbers that are parameters of the function are marked in the pattern by
:data:`MARK`, which frameworks represent exactly in every floating-point type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from convex_init_core.graph.nodes import Graph, Node

MARK = 0.40625
APPROXIMATE_GELU: Mapping[str, Any] = {
    "why": "approximates gelu, which is neither convex nor concave: it goes down before it rises",
    "non_negative": False,
}
"""What is known of gelu by tanh: it is not the function that its name says, so that their difference is not 0."""

_SMALL = (2, 3), (1,)  # an array and the axes along which a family is tried


class Found(NamedTuple):
    """A function that was recognised: its operation, parameters and inputs."""

    op: str
    params: dict[str, Any]
    inputs: tuple[Node, ...]


@dataclass(eq=False)
class _Bound:
    """What the nodes of a pattern stand for in a graph."""

    nodes: dict[Node, Node] = field(default_factory=dict)
    marked: float | None = None


@dataclass(frozen=True, eq=False)
class Pattern:
    """The graph of an element-wise function.

    Attributes:
        op: the operation that stands for it.
        graph: of the function, for inputs of any shape.
        params: the operation's parameters, from the number that was marked.
    """

    op: str
    graph: Graph
    params: Callable[[float], Mapping[str, Any]] = lambda number: {}

    @property
    def root(self) -> Node:
        """The node that the function returns."""
        return self.graph.outputs["output"]

    def match(self, node: Node) -> Found | None:
        """Return the function that ends in ``node``, if it is this one."""
        bound = _Bound()
        if not _agrees(self.root, node, bound, shape=node.shape):
            return None
        inputs = tuple(bound.nodes.get(wanted, node) for wanted in self.graph.inputs.values())
        if node in inputs or (len(inputs) == 1 and inputs[0].shape != node.shape):
            return None
        number = 0.0 if bound.marked is None else bound.marked
        return Found(self.op, dict(self.params(number)), inputs)


@dataclass(frozen=True, eq=False)
class Family:
    """The graphs of a function along axes, one for each shape.

    Attributes:
        op: the operation that stands for it.
        graph: from shape, dtype and axes to the graph of the function.
        params: the operation's parameters, from the axes; ``None`` if it has no form for them.
        dtype: of the numbers.
    """

    op: str
    graph: Callable[[tuple[int, ...], str, tuple[int, ...]], Graph]
    params: Callable[[tuple[int, ...]], Mapping[str, Any] | None]
    dtype: str = "float32"
    _known: dict[tuple[tuple[int, ...], tuple[int, ...]], Graph] = field(default_factory=dict)

    @property
    def root(self) -> Node:
        """The node that the function returns, for a small array."""
        return self._of(*_SMALL).outputs["output"]

    def match(self, node: Node) -> Found | None:
        """Return the function that ends in ``node``, if it is this one."""
        loose, small = _Bound(), self._of(*_SMALL)
        if not _agrees(self.root, node, loose, loose=True):
            return None
        data = next((loose.nodes[wanted] for wanted in small.inputs.values() if wanted in loose.nodes), None)
        sums = (made for wanted, made in loose.nodes.items() if wanted.name == "sum")
        axes = next((made.params["axes"] for made in sums), None)
        if data is None or axes is None or (params := self.params(axes)) is None:
            return None
        graph, bound = self._of(data.shape, axes), _Bound()
        if not _agrees(graph.outputs["output"], node, bound):
            return None
        return Found(self.op, dict(params), (bound.nodes[next(iter(graph.inputs.values()))],))

    def _of(self, shape: tuple[int, ...], axes: tuple[int, ...]) -> Graph:
        key = shape, axes
        if key not in self._known:
            self._known[key] = self.graph(shape, self.dtype, axes)
        return self._known[key]


@dataclass(eq=False)
class Patterns:
    """Functions that are looked for, in the order in which they are tried; see the module."""

    _by_root: dict[str, list[Pattern | Family]] = field(default_factory=dict)

    def add(self, *patterns: Pattern | Family) -> None:
        """Look for more functions, after those that are known."""
        for pattern in patterns:
            self._by_root.setdefault(pattern.root.name, []).append(pattern)

    def match(self, node: Node) -> Found | None:
        """Return the function that ends in a node; ``None`` if there is none."""
        for pattern in self._by_root.get(node.name, ()):
            if (found := pattern.match(node)) is not None:
                return found
        return None


def number_in(node: Node) -> float | None:
    """Return the one number, infinite or not, that all elements of a constant without parameters are."""
    if node.constant is None or node.parameters or node.constant.bounds is None:
        return None
    low, high = node.constant.bounds
    return low if low == high else None


def shortest(number: float, dtype: str) -> float:
    """Return the decimal number with the fewest digits that rounds to ``number``: what the code said, such as 0.2."""
    if dtype not in ("float16", "float32"):
        return number
    return float(str(np.dtype(dtype).type(number)))


def _agrees(
    wanted: Node, node: Node, bound: _Bound, *, shape: Sequence[int] | None = None, loose: bool = False
) -> bool:
    """Whether a node computes what a pattern's node does, on arrays of one shape; ``loose``: of any shape and axes."""
    if wanted in bound.nodes:
        return bound.nodes[wanted] is node
    if wanted.is_fixed:
        return loose or _same_number(wanted, node, bound)
    bound.nodes[wanted] = node
    if wanted.name == "input":
        return loose or wanted.dtype == node.dtype
    if wanted.op is not node.op or len(wanted.inputs) != len(node.inputs):
        return False
    if not loose:
        expected = wanted.shape if shape is None else shape
        if wanted.params != node.params or wanted.dtype != node.dtype or tuple(expected) != node.shape:
            return False
    return wanted.name != "opaque" and all(
        _agrees(part, made, bound, shape=shape, loose=loose)
        for part, made in zip(wanted.inputs, node.inputs, strict=True)
    )


def _same_number(wanted: Node, node: Node, bound: _Bound) -> bool:
    number, expected = number_in(node), number_in(wanted)
    if number is None or expected is None:
        return False
    if expected != MARK:
        return number == expected
    number = shortest(number, node.dtype)
    if bound.marked is None:
        bound.marked = number
    return bound.marked == number
