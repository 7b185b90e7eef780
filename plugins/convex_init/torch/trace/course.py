"""Whether two runs of a model did the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from convex_init.torch.trace.constants import are_same
from convex_init_core.graph.nodes import Graph, Node, Place


class Ran(NamedTuple):
    """One operation that ran: torch's name with overload, without, the module, and the arguments, see :func:`plain`."""

    text: str
    name: str
    module: str
    arguments: Any


@dataclass(eq=False)
class Recording(Graph):
    """A graph, and the calls that it was made from.

    Attributes:
        calls: each operation of torch with the module that it ran in and its arguments, nodes by their index.
        results: of each of these, the nodes of its results; ``None`` for one that was only looked at later, if at all.
        outside: places of nodes that are no results of operations: weights, and what was made to look at a tensor.
        has_gradients: whether torch's own differentiation ran operations; which, depends on what else keeps a tensor.
    """

    calls: list[Ran] = field(default_factory=list)
    results: list[list[Node | None]] = field(default_factory=list)
    outside: set[Place] = field(default_factory=set)
    has_gradients: bool = False


def plain(tree: Any, places: Mapping[Node, int]) -> Any:
    """Return arguments without identities: nodes by their index, everything else as it prints."""
    if isinstance(tree, Node):
        return places.get(tree, -1)
    if isinstance(tree, (list, tuple)):
        return tuple(plain(part, places) for part in tree)
    return None if isinstance(tree, torch.Generator) else repr(tree)


def same_course(a: Graph, b: Graph) -> bool:
    """Whether two runs, on different inputs, did the same operations with the same literals and numbers."""
    if len(a.nodes) != len(b.nodes) or a.outputs.keys() != b.outputs.keys():
        return False
    if isinstance(a, Recording) and isinstance(b, Recording) and a.calls != b.calls:
        return False
    places = [{node: i for i, node in enumerate(graph)} for graph in (a, b)]
    if any(places[0].get(node) != places[1].get(b.outputs[name]) for name, node in a.outputs.items()):
        return False
    return all(
        _course(one, places[0]) == _course(other, places[1]) and _same_literals(one, other)
        for one, other in zip(a, b, strict=True)
    )


def changed_weights(a: Graph, b: Graph) -> list[str]:
    """Return the names of weights that feed the outputs and whose numbers are others in a second run."""
    names = []
    for one, other in zip(_feeding(a), _feeding(b), strict=True):
        if one.name in ("parameter", "buffer") and one.constant is not None and other.constant is not None:
            numbers = one.constant.handle, other.constant.handle
            both = all(isinstance(handle, Tensor) for handle in numbers)
            same = _equal(*numbers) if both else are_same(one.constant.bounds, other.constant.bounds)
            if not same:
                names.append(str(one.params["name"]))
    return names


def _feeding(graph: Graph) -> list[Node]:
    needed, waiting = set[Node](), list(graph.outputs.values())
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.inputs)
    return [node for node in graph if node in needed]


def _course(node: Node, places: Mapping[Node, int]) -> tuple[Any, ...]:
    inputs = tuple(places.get(part, -1) for part in node.inputs)
    return node.name, inputs, repr(sorted(node.params.items())), node.shape, node.dtype, node.place, node.is_fixed


def _same_literals(a: Node, b: Node) -> bool:
    if a.name != "literal" or a.constant is None or b.constant is None:
        return True
    if a.shape == b.shape == () and a.number is not None:
        return a.number == b.number
    return _equal(a.constant.handle, b.constant.handle)


def _equal(a: object, b: object) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.is_meta:
        return True
    if a.is_floating_point() or a.is_complex():
        return torch.allclose(a, b, rtol=0.0, atol=0.0, equal_nan=True)
    return torch.equal(a, b)
