"""The arguments of a function as arrays with names; what is no array stays as it is."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import convex_init
from convex_init_core import checks
from convex_init_core.graph.nodes import Source
from convex_init_core.reach import holds


@dataclass(frozen=True)
class Leaf:
    """An array among the arguments.

    Attributes:
        name: path to it, such as ``"layers.0.weight"``.
        array: the array, or its shape and dtype.
        learnt: whether it is among the parameters, not an argument.
    """

    name: str
    array: Any
    learnt: bool

    @property
    def is_floating(self) -> bool:
        """Whether it holds real floating-point numbers."""
        return bool(jnp.issubdtype(self.array.dtype, jnp.floating))

    @property
    def number(self) -> Any:
        """The array of a parameter; ``None`` for an argument and where there are no numbers."""
        has_none = not self.learnt or isinstance(self.array, (jax.ShapeDtypeStruct, jax.core.Tracer))
        return None if has_none else self.array


@dataclass(frozen=True, eq=False)
class Arguments:
    """Parameters and arguments of a function.

    Attributes:
        leaves: the arrays among them.
        rebuilt: from arrays in the same order to parameters, arguments and keyword arguments.
        doubts: of arguments that hold arrays into which JAX does not look.
    """

    leaves: list[Leaf]
    rebuilt: Callable[[Sequence[Any]], tuple[Any, Sequence[Any], Mapping[str, Any]]]
    doubts: Sequence[str] = ()


def read_arguments(
    params: Any, args: Sequence[Any], kwargs: Mapping[str, Any], names: Sequence[str] | None = None
) -> Arguments:
    """Return the arrays among the arguments, with names.

    Args:
        params: a tree of parameters.
        args: what follows them.
        kwargs: keyword arguments.
        names: of the arrays in ``params``, in the order of ``jax.tree_util.tree_leaves``; paths if not given.

    Raises:
        ValueError: if there are not as many names as arrays, or two arrays have the same name.
    """
    paths, tree = jax.tree_util.tree_flatten_with_path((params, tuple(args), dict(kwargs)))
    places = [index for index, (_, leaf) in enumerate(paths) if _is_array(leaf)]
    learnt = [paths[index][0][0].idx == 0 for index in places]
    shown = [path_name(paths[index][0][1:]) or "params" for index in places]
    if names is not None:
        if len(names) != sum(learnt):
            raise ValueError(f"names has {len(names)} entries, but params holds {sum(learnt)} arrays")
        given = iter(names)
        shown = [next(given) if own else name for own, name in zip(learnt, shown, strict=True)]
    for own in (True, False):
        group = [name for name, is_own in zip(shown, learnt, strict=True) if is_own is own]
        if twice := sorted({name for name in group if group.count(name) > 1}):
            raise ValueError(f"two arrays are both named {twice[0]!r}; name them with names=")
    static = [None if _is_array(leaf) else leaf for _, leaf in paths]

    def rebuilt(arrays: Sequence[Any]) -> tuple[Any, Sequence[Any], Mapping[str, Any]]:
        leaves = list(static)
        for index, array in zip(places, arrays, strict=True):
            leaves[index] = array
        params, args, kwargs = jax.tree_util.tree_unflatten(tree, leaves)
        return params, args, kwargs

    found = zip(shown, (paths[index][1] for index in places), learnt, strict=True)
    passed = [(f"the argument {path_name(path[1:])!r}", leaf) for path, leaf in paths if path[0].idx]
    doubts = [doubt for part in passed if (doubt := doubt_of(*part))]
    return Arguments([Leaf(name, array, own) for name, array, own in found], rebuilt, doubts)


def check_numbers(inputs: tuple[tuple[Any, ...], dict[str, Any]], names: Collection[str] | None = None) -> None:
    """Refuse inputs on which nothing can be measured; under a transformation of JAX there are no numbers to look at.

    Args:
        inputs: positional and keyword inputs.
        names: of those that are looked at; all by default.
    """
    for leaf in read_arguments((), *inputs).leaves:
        if not isinstance(leaf.array, jax.core.Tracer) and (names is None or leaf.name in names):
            is_finite = not leaf.is_floating or bool(np.isfinite(np.asarray(leaf.array)).all())
            checks.example(leaf.name, leaf.array.size, is_finite)


@contextmanager
def on_example_inputs(leaves: Sequence[Leaf]) -> Iterator[None]:
    """Turn what a model raises, when it is traced on the inputs that its user gave, into an error that says so.

    Raises:
        ValueError: with the error's first line, and the user's.
    """
    try:
        yield
    except Warning:
        raise
    except Exception as error:
        inputs = [f"{leaf.name} {tuple(leaf.array.shape)}" for leaf in leaves if not leaf.learnt]
        users = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_between(frame.filename)]
        at = f" ({Path(users[-1].filename).name}:{users[-1].lineno})" if users else ""
        first = str(error).strip().partition("\n")[0]
        if isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
            raise ValueError(
                f"the model looks at the numbers of an array{at}, so that JAX cannot trace it: {first} Use "
                "jax.numpy.where or jax.lax.cond"
            ) from error
        raise ValueError(
            f"example_inputs: the model fails on them ({', '.join(inputs) or 'no array'}) with {type(error).__name__}: "
            f"{first}{at}; pass what it takes: one array, a tuple of positional inputs, or a dict of keyword inputs"
        ) from error


_OURS = tuple(convex_init.__path__)
_LAYERS = ("call", "_run_through_graph")  # what a layer or a model of Keras does, which it knows by its path
_LIBRARIES = (*jax.__path__, *np.__path__, *_OURS)


def _is_between(file: str) -> bool:
    return file.startswith(_LIBRARIES) or file.startswith("<")


def source_of(equation: Any) -> Source | None:
    """Return file and line of the user's code that made an equation, if they are known.

    What a layer of flax, equinox or Keras makes belongs to the line that calls the layer; Keras knows it by its path.
    """
    found = getattr(equation.source_info, "traceback", None)
    if found is None:
        return None
    kits, keras = _folders("flax", "equinox"), _folders("keras")
    for code, at in zip(*found.raw_frames(), strict=True):
        file = code.co_filename
        if file.startswith(_OURS) or (file.startswith(keras) and code.co_name in _LAYERS):
            return None
        if not (_is_between(file) or file.startswith((*kits, *keras))):
            return file, found.code_addr2line(code, at)
    return None


def _folders(*kits: str) -> tuple[str, ...]:
    """Where libraries lie that are loaded."""
    return tuple(path for kit in kits for path in getattr(sys.modules.get(kit), "__path__", ()))


def is_of_a_library(jaxpr: Any) -> bool:
    """Whether the function behind a jaxpr is one of JAX, whose equations were made where it was called first."""
    return _is_between(str(getattr(jaxpr.debug_info, "func_filename", None) or "<unknown>"))


def path_name(path: Sequence[Any]) -> str:
    """Return a path in a tree with dots: ``"layers.0.weight"``; the boxes that flax puts around arrays are no part."""
    if path and isinstance(path[-1], jax.tree_util.GetAttrKey) and path[-1].name == "value":
        path = path[:-1]
    return ".".join(str(key_of(entry)) for entry in path)


def key_of(entry: Any) -> Any:
    """Return the key of a part in what holds it."""
    for attribute in ("key", "idx", "name"):
        if hasattr(entry, attribute):
            return getattr(entry, attribute)
    return entry


def doubt_of(name: str, leaf: Any) -> str:
    """Return what is doubtful about a part of the arguments or results: arrays in an object that is no pytree."""
    if _is_array(leaf) or not holds(leaf, _is_array):
        return ""
    return (
        f"{name} is a {type(leaf).__name__} that holds arrays, into which JAX does not look; use a dict, or register "
        "the class with jax.tree_util"
    )


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic, jax.ShapeDtypeStruct))
