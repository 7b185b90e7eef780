"""What an argument is called: the nearest name for one that does not exist, the new word for an old one."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

_RENAMED = {
    "activation": ("fed_by", "it names what feeds the positive layers"),
    "batch": ("example_inputs", "what a model runs on has one name"),
    "inputs": ("example_inputs", "what a model runs on has one name"),
    "method": ("entry", "it names the method that is called"),
}


def refuse(given: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse every argument in `given` that is not among the `known` ones.

    Raises:
        TypeError: naming the argument, and the one to pass in its place.
    """
    for name in given:
        if name in known:
            continue
        new, why = _RENAMED.get(name, ("", ""))
        if new in known:
            raise TypeError(f"{name}= is called {new}=: {why}")
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}=?" if near else f"known are {', '.join(known)}"
        raise TypeError(f"there is no argument {name}=; {hint}")


def refuse_unknown(given: Mapping[str, NoReturn], function: Callable[..., Any]) -> None:
    """Refuse what a function took in as ``**_unknown: NoReturn``, which type checkers refuse already."""
    if given:
        parameters = inspect.signature(function).parameters.values()
        refuse(given, [each.name for each in parameters if each.kind is not each.VAR_KEYWORD and each.name != "self"])
