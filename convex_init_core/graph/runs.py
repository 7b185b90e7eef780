"""What goes into a run and comes out of it, by names of places, and whether two runs took the same course."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from convex_init_core.graph.nodes import Graph, Node


def place_in(name: str, key: Any) -> str:
    """Return the name of a part: ``"name.key"``, or ``"name['a.b']"`` for a key that would not be clear otherwise."""
    plain = isinstance(key, int) or (isinstance(key, str) and not set(key) & set(".[]'"))
    return f"{name}.{key}".lstrip(".") if plain else f"{name}[{key!r}]"


def distinct(names: Iterable[str]) -> list[str]:
    """Return names of which those that are there already get a number, such as ``"output.0#2"``."""
    found: list[str] = []
    for name in names:
        again = (f"{name}#{count}" for count in itertools.count(2))
        found.append(name if name not in found else next(other for other in again if other not in found))
    return found


def same_course(a: Graph, b: Graph, equal: Callable[[Any, Any], bool]) -> bool:
    """Whether two runs, on different inputs, did the same operations with the same literals.

    Args:
        a: one run.
        b: the other.
        equal: whether two arrays of the framework hold the same numbers.
    """
    if len(a.nodes) != len(b.nodes) or a.outputs.keys() != b.outputs.keys() or a.doubts != b.doubts:
        return False
    places = [{node: i for i, node in enumerate(graph)} for graph in (a, b)]
    if any(places[0].get(node) != places[1].get(b.outputs[name]) for name, node in a.outputs.items()):
        return False
    return all(
        _course(one, places[0]) == _course(other, places[1]) and _same_literals(one, other, equal)
        for one, other in zip(a, b, strict=True)
    )


def _course(node: Node, places: Mapping[Node, int]) -> tuple[Any, ...]:
    inputs = tuple(places.get(part, -1) for part in node.inputs)
    return node.name, inputs, repr(sorted(node.params.items())), node.shape, node.dtype, node.place, node.is_fixed


def _same_literals(a: Node, b: Node, equal: Callable[[Any, Any], bool]) -> bool:
    if a.name != "literal" or a.constant is None or b.constant is None:
        return True
    if a.shape == b.shape == () and a.number is not None:
        return a.number == b.number
    return a.constant.handle is b.constant.handle or equal(a.constant.handle, b.constant.handle)
