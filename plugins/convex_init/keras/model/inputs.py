"""What a model takes: the user's example inputs by name, or made-up ones in the shapes of its ``keras.Input``s."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from convex_init.keras.model.calls import Call
from convex_init_core.graph.runs import place_in

_SIZES = (16, 32, 8, 64, 4, 128, 2, 1)
"""Of a dimension that may have any size; the first that the model takes."""
_ROWS = 2


def given_call(model: Any, example_inputs: Any, entry: str = "") -> Call:
    """Return the call of a model on the user's inputs.

    Args:
        model: that is built, or can be built on them.
        example_inputs: one array, a list, a dict, or a tuple; a tuple holds the positional arguments of a model whose
            ``call`` takes several.
        entry: name of the method; the model itself if empty.
    """
    example = keras.tree.map_structure(_array, example_inputs)
    own = [] if entry else list(getattr(model, "inputs", None) or ())
    positional = isinstance(example, tuple) and not own and len(_required(model, entry)) > 1
    if isinstance(example, tuple) and not positional:
        example = list(example) if len(example) > 1 else example[0]
    parts = named_parts("", example)
    if not parts:
        raise ValueError("example_inputs are empty; pass a small batch of what the model takes")
    if twice := [name for name, count in Counter(name for name, _ in parts).items() if count > 1]:
        raise ValueError(f"example_inputs holds two arrays that are both named {twice[0]!r}; give them other keys")
    if len(own) == len(parts):
        names = tuple(tensor.name for tensor in own)
        by_name = dict(parts)
        flat = [by_name[name] for name in names] if set(by_name) == set(names) else [part for _, part in parts]
        return Call(model, keras.tree.pack_sequence_as(_structure(model, own), flat), names)
    return Call(model, example, tuple(name for name, _ in parts), positional, entry)


def _structure(model: Any, own: list[Any]) -> Any:
    """The inputs of a functional model as it takes them."""
    found = getattr(model, "_inputs_struct", None)
    if found is not None:
        return found
    return own[0] if len(own) == 1 else own


def made_call(model: Any, runs: Callable[[Call], Any]) -> Call:
    """Return the call of a model on inputs that are made up: two rows of each ``keras.Input``.

    Args:
        model: that is built.
        runs: raises if the model does not take the inputs; those that may have any size have another one then.

    Raises:
        ValueError: if the model has no inputs that give shapes, or takes none of the sizes; the remedy is
            ``example_inputs``.
    """
    own = list(getattr(model, "inputs", None) or ())
    if not own:
        raise ValueError(
            f"model {model.name!r} ({type(model).__name__}) has no keras.Input that gives its shapes; pass "
            "example_inputs, a small batch of what it takes"
        )
    structure = _structure(model, own)
    names = tuple(tensor.name for tensor in own)
    is_open = any(None in tensor.shape[1:] for tensor in own)
    error: Exception | None = None
    for size in _SIZES:
        rng = np.random.default_rng(0)
        made = Call(model, keras.tree.map_structure(partial(_made, size=size, rng=rng), structure), names)
        if not is_open:
            return made
        try:
            runs(made)
        except Exception as found:  # whatever a model raises for inputs of another size
            error = error or found
        else:
            return made
    raise ValueError(
        f"example_inputs are needed for model {model.name!r}, since the sizes of its inputs cannot be told (with a "
        f"guess: {type(error).__name__}: {error})"
    )


def named_parts(name: str, tree: Any) -> list[tuple[str, Any]]:
    """List the parts of a nested input or output by their places, in the order of ``keras.tree.flatten``."""
    if isinstance(tree, dict):
        parts: Any = sorted(tree.items())
    elif isinstance(tree, (list, tuple)):
        parts = enumerate(tree)
    else:
        return [(name or "0", tree)]
    return [found for key, part in parts for found in named_parts(place_in(name, key), part)]


def moved_inputs(call: Call) -> dict[str, Any]:
    """Return the inputs with other numbers, to see whether the code looks at them."""
    rng = np.random.default_rng(0)

    def other(array: Any) -> Any:
        return (0.5 * array + rng.standard_normal(array.shape)).astype(array.dtype)

    return {name: other(array) if name in call.floating else array for name, array in call.arrays.items()}


def _array(part: Any) -> Any:
    array = part if isinstance(part, np.ndarray) else None if isinstance(part, str | bytes) else _converted(part)
    if array is None or array.dtype.kind not in "biufcV":  # V: NumPy's word for bfloat16
        got = type(part).__name__ if array is None or array.ndim == 0 else f"an array of {array.dtype}"
        raise TypeError(f"example_inputs must hold arrays of numbers, as the model takes them, got {got}")
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array


def _converted(part: Any) -> Any:
    try:
        return np.asarray(keras.ops.convert_to_numpy(part))
    except Exception:  # whatever the backend says of what is no array
        return None


def _made(tensor: Any, size: int, rng: np.random.Generator) -> Any:
    rows, *rest = tensor.shape
    shape = (_ROWS if rows is None else rows, *(size if one is None else one for one in rest))
    if keras.backend.is_float_dtype(tensor.dtype):
        name = "float32" if tensor.dtype == "bfloat16" else tensor.dtype
        return rng.standard_normal(shape).astype(name)
    return np.zeros(shape, dtype=tensor.dtype)


def _required(model: Any, entry: str) -> list[str]:
    """Names of the arguments that a call cannot do without."""
    parameters = inspect.signature(getattr(model, entry or "call")).parameters.values()
    return [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty and p.name != "training"
    ]
