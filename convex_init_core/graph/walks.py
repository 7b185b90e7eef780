"""Ways through a graph that need no recursion, so that a network of any depth can be walked."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING

from convex_init_core.graph.nodes import Kind

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Graph, Node


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


def heard(graph: Graph) -> dict[Node, list[Node]]:
    """Return the same, without those that nothing is made of that the model returns.

    A framework looks at what it multiplies, such as at its transpose, and a model may compute what it does not use. Of
    what is itself not used, all are returned.
    """
    alive = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        if node in alive:
            alive.update(node.inputs)
    every = consumers_of(graph)
    return {node: [each for each in found if each in alive] or found for node, found in every.items()}


def alike(graph: Graph, node: Node) -> list[Node]:
    """Return the nodes that are worth measuring with ``node`` in one run: those made of the same inputs alone.

    Where it depends on no parameter, they do not either. Constants are left out.

    Args:
        graph: of one run.
        node: in it.
    """
    inputs: dict[Node, frozenset[Node]] = {}
    weighted: dict[Node, bool] = {}
    for each in graph:
        own = frozenset((each,)) if each.name == "input" else frozenset()
        inputs[each] = own.union(*(inputs[part] for part in each.inputs))
        weighted[each] = bool(each.parameters) or any(weighted[part] for part in each.inputs)
    return [
        each
        for each in graph
        if not each.is_fixed
        and each.kind is Kind.FLOATING
        and inputs[each] <= inputs[node]
        and (weighted[node] or not weighted[each])
    ]
