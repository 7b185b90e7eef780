"""Fixed matrices and kernels behind a sum, with what moves its elements between: an activation sees what they return.

A sum that is read from the back goes through those that take it directly. A padding that repeats elements, or a write
to parts of an array, takes it several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convex_init_core.graph.nodes import Node
from convex_init_core.reading.factors import Numbers
from convex_init_core.reading.fixed.maps import fixed_map
from convex_init_core.reading.parts import Factor, Sum

_JOINS = ("join", "concatenate", "stack", "pad")
_MOST = 64  # operations on the way


def whole_sum(found: Sum, consumers: Mapping[Node, list[Node]], order: Mapping[Node, int], numbers: Numbers) -> Sum:
    """Return a sum up to the last fixed matrix behind it.

    Args:
        found: up to its last addition.
        consumers: of the nodes of the graph.
        order: their places.
        numbers: that stand behind constants.
    """
    while (step := _next(found.root, consumers, order, numbers)) is not None:
        node, factor = step
        found = replace(
            found,
            root=node,
            terms=[replace(term, factor=term.factor.times(factor)) for term in found.terms],
            biases=[(name, number * factor.mean) for name, number in found.biases],
            present=[(part, own.times(factor)) for part, own in found.present],
            offset=found.offset * factor.mean,
            mixed=node.label,
        )
    return found


def _next(
    root: Node, consumers: Mapping[Node, list[Node]], order: Mapping[Node, int], numbers: Numbers
) -> tuple[Node, Factor] | None:
    """The fixed matrix that takes all of a value and nothing else, with its factor."""
    seen, waiting = {root}, set(consumers.get(root, ()))
    while waiting and len(seen) < _MOST:
        node = min(waiting, key=order.__getitem__)
        if any(not part.is_fixed and part not in seen for part in node.inputs):
            return None
        mixed = fixed_map(node, numbers)
        if mixed is not None:
            return (node, mixed[1]) if len(waiting) == 1 and len(consumers.get(mixed[0], ())) <= 1 else None
        if not (node.op.moves or node.name in _JOINS):
            return None
        seen.add(node)
        waiting.remove(node)
        waiting.update(consumers.get(node, ()))
    return None
