"""From ``--inputs 32x784,32x10`` to arrays."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FORM = re.compile(r"(?:(?P<name>[^=:,]+)=)?(?P<shape>\d+(?:x\d+)*)(?::(?P<dtype>\w+))?")
_DTYPES = ("float16", "float32", "float64", "int32", "int64", "bool")


@dataclass(frozen=True)
class InputSpec:
    """One input on the command line.

    Attributes:
        shape: with the batch.
        name: empty if the input has none.
        dtype: empty if the user did not say.
    """

    shape: tuple[int, ...]
    name: str = ""
    dtype: str = ""


def inputs_from(text: str) -> list[InputSpec]:
    """Return what ``SHAPE[,SHAPE…]`` says, each ``[NAME=]32x784[:float64]``.

    Raises:
        ArgumentTypeError: if it is of another form.

    Example:
        >>> inputs_from("x=32x784,y=32x10:int64")[1]
        InputSpec(shape=(32, 10), name='y', dtype='int64')
    """
    found = [_one(part.strip()) for part in text.split(",")]
    named = [each.name for each in found if each.name]
    if named and len(named) < len(found):
        raise ArgumentTypeError(f"either all inputs have names or none, got {text!r}")
    if len(set(named)) < len(named):
        raise ArgumentTypeError(f"every input needs a name of its own, got {text!r}")
    return found


def _one(text: str) -> InputSpec:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(
            f"{text!r} is not of the form [NAME=]SHAPE[:DTYPE], such as 32x784, x=32x784 or 32x10:int64; the first "
            "number is the batch"
        )
    name, dtype = match["name"] or "", match["dtype"] or ""
    shape = tuple(map(int, match["shape"].split("x")))
    if 0 in shape:
        raise ArgumentTypeError(f"{text!r} has a side of length 0")
    if dtype and dtype not in _DTYPES:
        raise ArgumentTypeError(f"{text!r}: the type {dtype!r} is none of {', '.join(_DTYPES)}")
    return InputSpec(shape, name, dtype)


def example_inputs(
    specs: Sequence[InputSpec], convert: Callable[[NDArray[Any], bool], Any], seed: int
) -> dict[str, Any] | tuple[Any, ...] | Any:
    """Return inputs of these shapes: one by itself, several as a tuple, named ones as a dict.

    Args:
        specs: from the command line.
        convert: from an array, and whether the user named its type, to what the framework takes.
        seed: of floating-point inputs, which are N(0, 1); whole numbers and truth values are 0.
    """
    rng = np.random.default_rng(seed)
    made = [convert(_drawn(each, rng), bool(each.dtype)) for each in specs]
    if specs[0].name:
        return {each.name: array for each, array in zip(specs, made, strict=True)}
    return made[0] if len(made) == 1 else tuple(made)


def _drawn(spec: InputSpec, rng: np.random.Generator) -> NDArray[Any]:
    dtype = np.dtype(spec.dtype or "float32")
    if dtype.kind != "f":
        return np.zeros(spec.shape, dtype)
    return rng.standard_normal(spec.shape).astype(dtype)
