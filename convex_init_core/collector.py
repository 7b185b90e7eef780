"""Keep Python's garbage collector from walking through graphs that grow."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Put off the collection of circles of references; use it with ``with``, or as a decorator.

    The graph of a deep network is some hundred thousand small objects. While they are made, the collector would again
    and again walk through all of them and through all of the framework's own, a third of the time, and find nothing:
    no object here is part of a circle, so that each goes when it is no longer used. What a user's model leaves behind
    in circles waits until the end.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
