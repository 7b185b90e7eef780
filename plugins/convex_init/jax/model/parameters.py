"""A tree of parameters by the names that the tracer gives them, and what the core has to know of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from convex_init.jax.model.modules import Model
from convex_init.jax.trace.arguments import read_arguments
from convex_init_core.framework import Parameter

_WEIGHTS, _BIASES = ("kernel", "weight", "w"), ("bias", "b")
_KEEPER = "the projection (convex_init.jax.projection)"


class Parameters:
    """The arrays of a model by name; whatever else it holds stays as it is.

    Attributes:
        arrays: by name.
        buffers: names of arrays that are not learnt.

    Raises:
        ValueError: if a buffer is none of them.
    """

    def __init__(self, model: Model) -> None:
        """Name the arrays."""
        self._arguments, self.buffers = read_arguments(model.tree, (), {}), model.buffers
        leaves = self._arguments.leaves
        self.arrays: dict[str, Any] = {leaf.name.removeprefix(model.prefix): leaf.array for leaf in leaves}
        self.names = [n for n, array in self.arrays.items() if n not in self.buffers and _is_floating(array)]
        for name in self.buffers:
            if name not in self.arrays:
                raise ValueError(f"buffers names {name!r}, but params holds {', '.join(self.arrays) or 'no arrays'}")

    def rebuilt(self, arrays: Mapping[str, Any]) -> Any:
        """Return the tree with other arrays in their places."""
        return self._arguments.rebuilt([arrays[name] for name in self.arrays])[0]

    def __getitem__(self, name: str) -> Parameter:
        """Return what the core has to know of a parameter; a map that makes it non-negative is seen in the graph."""
        owner, _, last = name.rpartition(".")
        kind = last.lower()
        role = "weight" if kind in _WEIGHTS else "bias" if kind in _BIASES else ""
        bias = ""
        if role == "weight":
            siblings = (name[: len(name) - len(last)] + other for other in (*_BIASES, *map(str.upper, _BIASES)))
            bias = next((sibling for sibling in siblings if sibling in self.arrays), "")
        return Parameter(
            name,
            owner if role else name,
            role,
            tuple(self.arrays[name].shape),
            bias=bias,
            has_numbers=not isinstance(self.arrays[name], jax.ShapeDtypeStruct),
            keeper=_KEEPER,
        )


def _is_floating(array: Any) -> bool:
    return bool(jax.numpy.issubdtype(array.dtype, jax.numpy.floating))
