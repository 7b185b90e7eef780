"""Nested inputs and outputs: names for their tensors, copies of them, and what hides in objects of other kinds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from convex_init_core.reach import within


def place_in(name: str, key: Any) -> str:
    """Return the name of a part: ``"name.key"``, or ``"name['a.b']"`` for a key that would not be clear otherwise."""
    plain = isinstance(key, int) or (isinstance(key, str) and not set(key) & set(".[]'"))
    return f"{name}.{key}" if plain else f"{name}[{key!r}]"


def parts_of(tree: Any) -> list[tuple[Any, Any]] | None:
    """Return the parts of a mapping, a sequence or a dataclass with their keys; ``None`` for anything else."""
    if isinstance(tree, Mapping):
        return list(tree.items())
    if isinstance(tree, (list, tuple, deque)):
        return list(enumerate(tree))
    if is_dataclass(tree) and not isinstance(tree, type):
        return [(part.name, getattr(tree, part.name)) for part in fields(tree)]
    return None


def named_tensors(name: str, tree: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a nested result with their places in it."""
    if isinstance(tree, Tensor):
        yield name, tree
    for key, part in parts_of(tree) or ():
        yield from named_tensors(place_in(name, key), part)


def tensors_in(tree: Any) -> list[Tensor]:
    """List the tensors of nested arguments or results, without their places."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, Mapping):
        return [tensor for part in tree.values() for tensor in tensors_in(part)]
    return [tensor for part in tree for tensor in tensors_in(part)] if isinstance(tree, (list, tuple)) else []


def copied(name: str, tree: Any, copy: Callable[[str, Tensor], Tensor]) -> Any:
    """Return nested inputs with every tensor replaced by ``copy(name, tensor)``; other objects stay as they are."""
    if isinstance(tree, Tensor):
        return copy(name, tree)
    if isinstance(tree, Mapping):
        parts = {key: copied(place_in(name, key), part, copy) for key, part in tree.items()}
        return parts if type(tree) is dict else _rebuilt_mapping(tree, parts)
    if isinstance(tree, deque):
        return deque((copied(place_in(name, i), part, copy) for i, part in enumerate(tree)), tree.maxlen)
    if isinstance(tree, (list, tuple)):
        items = [copied(place_in(name, i), part, copy) for i, part in enumerate(tree)]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def named_inputs(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors among the inputs by name."""
    found: dict[str, Tensor] = {}

    def seen(name: str, tensor: Tensor) -> Tensor:
        found[name] = tensor
        return tensor

    for name, item in (*((str(i), arg) for i, arg in enumerate(args)), *kwargs.items()):
        copied(name, item, seen)
    return found


def _rebuilt_mapping(tree: Mapping[Any, Any], parts: dict[Any, Any]) -> Mapping[Any, Any]:
    try:
        return type(tree)(parts)  # type: ignore[call-arg]
    except TypeError:  # such as a defaultdict, which takes something else first
        return parts


def inside_objects(tree: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in objects that are no containers that are known, with the names of their types."""
    parts = parts_of(tree)
    if parts is not None and not is_dataclass(tree):
        for _, part in parts:
            yield from inside_objects(part)
        named = {id(part) for _, part in parts}
        for tensor in _tensors_within(_beside_parts(tree)):
            if id(tensor) not in named:
                yield type(tree).__name__, tensor
    elif not isinstance(tree, Tensor):
        for tensor in _tensors_within(tree):
            yield type(tree).__name__, tensor


def unnamed_objects(tree: Any) -> Iterator[str]:
    """Yield the type names of objects in a result that hold tensors and are no containers that are known.

    These are objects of other kinds, functions and iterators that hold a tensor anywhere, and containers (or tensors)
    with attributes beside their parts.
    """
    parts = parts_of(tree)
    for _, part in parts or ():
        yield from unnamed_objects(part)
    named = {id(part) for _, part in parts or ()}
    held = tree if parts is None and not isinstance(tree, Tensor) else _beside_parts(tree)
    if any(id(tensor) not in named for tensor in _tensors_within(held)):
        yield type(tree).__name__


def _beside_parts(tree: Any) -> list[Any]:
    """What is attached to a container, or to a tensor: attributes, and keys that are no names."""
    attached = list(getattr(tree, "__dict__", {}).values())
    return attached + ([key for key in tree if not isinstance(key, str)] if isinstance(tree, Mapping) else [])


def _tensors_within(tree: Any) -> Iterator[Tensor]:
    return (item for item in within(tree, lambda item: False) if isinstance(item, Tensor))
