"""Ways through a graph that need no recursion, so that a network of any depth can be walked."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Node


def parts_first(
    start: Node, parts: Callable[[Node], Iterable[Node]], known: Container[Node] = frozenset()
) -> Iterator[Node]:
    """Yield a node and what it rests on, each once and behind all of its parts.

    Args:
        start: the last node to be yielded, unless it is known.
        parts: what has to come before a node.
        known: nodes to leave out, with all that lies behind them; it may grow in the meantime.
    """
    done: set[Node] = set()
    stack: list[tuple[Node, Iterator[Node]]] = []

    def enter(node: Node) -> None:
        if node not in done and node not in known:
            done.add(node)
            stack.append((node, iter(parts(node))))

    enter(start)
    while stack:
        node, ahead = stack[-1]
        for part in ahead:
            if part not in done and part not in known:
                enter(part)
                break
        else:
            stack.pop()
            yield node


def consumers_of(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """Return, for each node that is taken by others, these others; one that takes it twice counts once."""
    found: dict[Node, list[Node]] = {}
    for node in nodes:
        for part in dict.fromkeys(node.inputs):
            found.setdefault(part, []).append(node)
    return found
