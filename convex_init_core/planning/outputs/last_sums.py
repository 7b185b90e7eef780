"""The sums that a model ends with, and what stands between them and its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Node
    from convex_init_core.reading.parts import Reading, Sum


def last_sums(reading: Reading) -> list[Sum]:
    """Return the sums behind which no other sum with a weight stands, of those that an output is made of."""
    roots = {found.root for found in reading.sums}
    asked = set(reading.graph.outputs.values())
    before: set[Node] = set()  # of another sum
    used: set[Node] = set(asked)  # for an output
    for node in reversed(reading.graph.nodes):
        if node in roots or node in before:
            before.update(node.inputs)
        if node in used:
            used.update(node.inputs)
    return [found for found in reading.sums if found.root in used and found.root not in before]


_LINKS = frozenset(("sigmoid", "log_sigmoid", "tanh", "softmax", "log_softmax"))


def returned(reading: Reading) -> dict[Sum, str]:
    """Return the last sums that a model returns, each with the link behind it, such as a softmax; empty if none."""
    found = {each: behind(reading, each) for each in last_sums(reading)}
    return {
        each: "" if node is None else node.at for each, node in found.items() if node is None or node.name in _LINKS
    }


def behind(reading: Reading, found: Sum) -> Node | None:
    """Return the first operation between a sum and the output that is more than a move; ``None`` if there is none."""
    outputs = set(reading.graph.outputs.values())
    shown = {found.root}
    for node in reading.graph:
        if node not in shown and any(part in shown for part in node.inputs) and not shown & outputs:
            if not node.op.moves:
                return node
            shown.add(node)
    return None
