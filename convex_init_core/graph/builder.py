"""What tracers share: making nodes one after the other, with places, constants and recognised functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from convex_init_core.graph.compounds.patterns import Found
from convex_init_core.graph.nodes import Constant, Graph, Node, Place, Source
from convex_init_core.graph.ops import OPS


@dataclass(eq=False)
class Builder:
    """A graph that is being made.

    Attributes:
        bounds: smallest and largest number of an array of the framework; ``None`` if they cannot be read.
        recognised: the function that a node completes, which is known by what it does; ``None`` if there is none.
        graph: so far.
        source: file and line of the user's code that makes what comes next, if they are known.
    """

    bounds: Callable[[Any], tuple[float, float] | None]
    recognised: Callable[[Node], Found | None]
    graph: Graph = field(default_factory=Graph)
    source: Source | None = None
    _made: Counter[tuple[str, str]] = field(default_factory=Counter)

    def place(self, operation: str, module: str = "") -> Place:
        """Return the next place of an operation in a module."""
        ordinal = self._made[operation, module]
        self._made[operation, module] += 1
        return Place(operation, module, ordinal)

    def leaf(self, op: str, shape: Sequence[int], dtype: str, place: Place, **params: Any) -> Node:
        """Return a new node without inputs, which is no constant until it is given one."""
        return self._kept(_node(op, (), shape, dtype, place, params))

    def literal(self, handle: object, shape: Sequence[int], dtype: str) -> Node:
        """Return a new node for a number or an array in the code."""
        node = self.leaf("literal", shape, dtype, Place("literal"))
        node.constant = Constant(handle, self.bounds(handle))
        return node

    def node(
        self, op: str, inputs: Sequence[Node], shape: Sequence[int], dtype: str, place: Place, **params: Any
    ) -> Node:
        """Return a new node, or the one that stands for the whole function which it completes.

        A node that is made of constants only is one; :meth:`evaluated` adds its numbers.
        """
        made = _node(op, inputs, shape, dtype, place, params)
        if all(part.is_fixed for part in made.inputs):
            names = dict.fromkeys(name for part in made.inputs for name in part.parameters)
            made.constant = Constant(parameters=tuple(names))
        found = self.recognised(made)
        if found is not None:
            at = place if found.op == "opaque" else self.place(found.op, place.module)
            whole = _node(found.op, found.inputs, shape, dtype, at, found.params)
            whole.constant = made.constant
            return self._kept(whole)
        return self._kept(made)

    def changing(self, inputs: Sequence[Node], shape: Sequence[int], dtype: str, place: Place, why: str) -> Node:
        """Return a new node for a result that may be another one next time, for all that its inputs tell."""
        parts = (*inputs, *self.graph.inputs.values())
        return self._kept(_node("opaque", parts, shape, dtype, place, {"why": why, "non_negative": False}))

    def evaluated(self, node: Node, handle: object) -> Node:
        """Add the numbers of a constant to its node; what is computed from literals alone becomes a literal."""
        if node.constant is None or node.constant.handle is not None:
            return node
        if node.inputs and all(part.name == "literal" for part in node.inputs):
            return self.literal(handle, node.shape, node.dtype)
        moved = node.op.moves and node.name != "cast"
        bounds = node.inputs[0].constant.bounds if moved and node.inputs[0].constant else None
        if bounds is None or node.name in ("slice", "gather"):  # which may drop the smallest
            bounds = self.bounds(handle)
        node.constant = replace(node.constant, handle=handle, bounds=bounds)
        return node

    def finished(self) -> Graph:
        """Return the graph, without the nodes that no output depends on."""
        needed, waiting = set[Node](), list(self.graph.outputs.values())
        while waiting:
            node = waiting.pop()
            if node not in needed:
                needed.add(node)
                waiting.extend(node.inputs)
        leaves = ("input", "parameter", "buffer")
        self.graph.nodes = [node for node in self.graph.nodes if node in needed or node.name in leaves]
        return self.graph

    def _kept(self, node: Node) -> Node:
        if node.inputs:
            node.source = self.source
        self.graph.nodes.append(node)
        return node


def _node(
    op: str, inputs: Sequence[Node], shape: Sequence[int], dtype: str, place: Place, params: dict[str, Any]
) -> Node:
    row = OPS[op]
    if set(params) != set(row.params):
        raise TypeError(f"{op} takes the parameters {row.params}, not {tuple(params)}")
    return Node(row, tuple(inputs), params, tuple(map(int, shape)), dtype, place)
