"""Of which nodes a node is an element-wise function of one number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node

_MOST = 64  # operations of one function


def bases_of(node: Node, values: Values, order: Mapping[Node, int]) -> Iterator[tuple[Node, list[Node]]]:
    """Yield the nodes of which a node is an element-wise function of one number, the nearest first.

    With each come the nodes on the way from it, in order, the node itself last. All else that they take is one number.

    Args:
        node: any.
        values: of the nodes before it.
        order: places of the nodes in the graph.
    """
    inside: list[Node] = []
    frontier = {node}
    while len(inside) < _MOST:
        last = max(frontier, key=lambda part: order.get(part, len(order)))
        if not (last.op.element_wise or is_kept(last)):
            return
        inside.append(last)
        frontier.remove(last)
        for part in last.inputs:
            if part.is_fixed:
                if values.number(part) is None:
                    return  # it differs from unit to unit
                continue
            if values[part].is_constant or part.shape != node.shape:
                return  # context, or units that meet
            frontier.add(part)
        if not frontier:
            return
        if len(frontier) == 1:
            yield next(iter(frontier)), inside[::-1]


def is_kept(node: Node) -> bool:
    """Whether an operation leaves each element in its place."""
    return node.name in ("cast", "reshape", "broadcast") and node.shape == node.inputs[0].shape
