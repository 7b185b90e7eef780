"""Notice when a function asks for the numbers of an array that is traced, even if it catches the error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

_ERRORS: tuple[type[Any], ...] = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
)


@contextmanager
def concretizations() -> Iterator[list[str]]:
    """Collect a doubt for each kind of error that JAX makes while code asks for numbers that are not there.

    A function that catches such an error goes another way when it is not traced. JAX tells nobody but the code that
    asks, so the errors are watched where they are made.
    """
    doubts: list[str] = []
    originals = [(error, error.__init__) for error in _ERRORS]
    for error, original in originals:
        error.__init__ = _noted(original, doubts)
    try:
        yield doubts
    finally:
        for error, original in originals:
            error.__init__ = original


def _noted(original: Callable[..., None], doubts: list[str]) -> Callable[..., None]:
    def made(self: Exception, *args: Any) -> None:
        doubt = f"the function asks for numbers that depend on its inputs, and catches the {type(self).__name__}"
        if doubt not in doubts:
            doubts.append(doubt)
        original(self, *args)

    return made
