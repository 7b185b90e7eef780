"""Keep Python's garbage collector from walking through graphs that grow."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def collector_paused(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Return a function that puts off the collection of circles of references until it is over.

    The graph of a deep network is some hundred thousand small objects. While they are made, the collector would again
    and again walk through all of them and through all of the framework's own, a third of the time, and find nothing:
    no object here is part of a circle, so that each goes when it is no longer used. What a user's model leaves behind
    in circles waits until the end.
    """

    # No context manager of contextlib, whose frame a warning would be taken to come from.
    @wraps(function)
    def paused(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            gc.enable()

    return paused
