"""The user's words for parameters: names and patterns of layers and parameters, or a predicate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

Selection: TypeAlias = "str | Iterable[str] | Callable[[str], bool]"
SelectionOfLayers: TypeAlias = "Callable[[str, Any], bool]"
"""A predicate of a path and a layer, for frameworks that have layers; their plug-in makes a :data:`Selection` of it."""


def choose(argument: str, selection: Selection, parameters: Sequence[tuple[str, ...]]) -> frozenset[str]:
    """Return the names of the parameters that a selection means.

    Args:
        argument: what the selection was passed as, for messages.
        selection: a name or pattern, several of them, or a predicate of a layer's path.
        parameters: for each its name, the path of its layer (its own where it belongs to none), and any other name.

    Raises:
        TypeError: if the selection holds anything else.
        ValueError: if it, or one of its patterns, means nothing.
    """
    layers = dict.fromkeys(names[1] for names in parameters)
    if callable(selection):
        accepted = {layer for layer in layers if selection(layer)}
        if not accepted:
            raise ValueError(f"{argument}= accepts none of {', '.join(layers)}")
        return frozenset(names[0] for names in parameters if names[1] in accepted)
    chosen: set[str] = set()
    for pattern in patterns_of(argument, selection):
        found = {layer for _, layer, *_ in (n for n in parameters if any(fnmatchcase(name, pattern) for name in n))}
        if not found:
            raise ValueError(
                f"{argument}= pattern {pattern!r} matches no layer or parameter; there are: {', '.join(layers)}"
            )
        chosen |= found
    return frozenset(names[0] for names in parameters if names[1] in chosen)


def patterns_of(argument: str, selection: str | Iterable[str]) -> list[str]:
    """Return the paths or patterns of a selection as a list.

    Raises:
        TypeError: if it holds anything else.
        ValueError: if ``positive=`` is empty.
    """
    if not isinstance(selection, Iterable):
        raise TypeError(f"{argument} must be a path, a list of paths or patterns, or a predicate, got {selection!r}")
    patterns = [selection] if isinstance(selection, str) else list(selection)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"{argument} must hold paths or patterns, got {patterns!r}")
    if not patterns and argument == "positive":
        raise ValueError("positive= is empty: name at least one layer, or leave it out to have the structure read")
    return patterns
