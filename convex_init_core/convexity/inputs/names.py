"""What the inputs of a call are called: by position, and by the names in the signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def other_names(
    function: Callable[..., Any], count: int, keywords: Collection[str], leading: int = 0
) -> dict[str, str]:
    """Return further names of the inputs of a call: the signature's for a position, and a position for a keyword.

    Args:
        function: that is called.
        count: how many inputs are passed by position, named ``"0"``, ``"1"``, …
        keywords: names of the others.
        leading: how many arguments stand in front of the inputs.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[leading:]
    except (TypeError, ValueError):
        return {}
    found: dict[str, str] = {}
    for position, parameter in enumerate(parameters):
        if parameter.kind not in _NAMED:
            break
        if position < count:
            found[parameter.name] = str(position)
        elif parameter.name in keywords:
            found[str(position)] = parameter.name
    return {other: name for other, name in found.items() if other not in keywords}


def input_names(
    chosen: Iterable[str], inputs: Collection[str], others: Mapping[str, str], argument: str = "convex_inputs"
) -> list[str]:
    """Return inputs that were chosen by any of their names, by those in ``inputs``; ``others`` are further names.

    Args:
        chosen: names, or positions as text.
        inputs: what the graph calls them.
        others: what else they are called.
        argument: that chose them, for the message.

    Raises:
        ValueError: if there is no such input.
    """
    names = []
    for one in chosen:
        first, dot, rest = one.partition(".")
        name = one if one in inputs else f"{others.get(first, first)}{dot}{rest}"
        if name not in inputs:
            known = shown_inputs(inputs, others)
            raise ValueError(f"{argument} names {one!r}, which is no tensor among the inputs {known}")
        names.append(name)
    return names


def shown_inputs(inputs: Collection[str], others: Mapping[str, str]) -> str:
    """Return the names of all inputs for a message: ``"0 (x), 1 (y)"``."""
    known = {name: other for other, name in others.items()}
    return ", ".join(f"{name} ({known[name]})" if name in known else name for name in inputs) or "none"
