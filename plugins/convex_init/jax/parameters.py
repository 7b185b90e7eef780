"""A tree of parameters by the names that the tracer gives them, and what the core has to know of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jax

from convex_init.jax.trace.arguments import read_arguments
from convex_init_core.framework import Parameter

_WEIGHTS, _BIASES = ("kernel", "weight", "w"), ("bias", "b")
_KEEPER = "clipping it at 0 after each step (plan().project names what to clip)"


@dataclass(eq=False)
class Parameters:
    """The arrays of a tree by name; whatever else it holds stays as it is.

    Attributes:
        arrays: by name.
        tree: that they were in.
        buffers: names of arrays that are not learnt.
    """

    arrays: dict[str, Any]
    tree: Any
    buffers: Collection[str]

    @classmethod
    def of(cls, tree: Any, buffers: Collection[str]) -> Parameters:
        """Return the arrays of a tree.

        Raises:
            ValueError: if a buffer is none of them.
        """
        leaves = read_arguments(tree, (), {}).leaves
        arrays = {leaf.name: leaf.array for leaf in leaves}
        for name in buffers:
            if name not in arrays:
                raise ValueError(f"buffers names {name!r}, but params holds {', '.join(arrays) or 'no arrays'}")
        return cls(arrays, tree, frozenset(buffers))

    @property
    def names(self) -> list[str]:
        """Of all that is learnt."""
        return [name for name, array in self.arrays.items() if name not in self.buffers and _is_floating(array)]

    def rebuilt(self, arrays: dict[str, Any]) -> Any:
        """Return the tree with other arrays in their places."""
        leaves, structure = jax.tree_util.tree_flatten(self.tree)
        own = iter(arrays[name] for name in self.arrays)
        are_arrays = {id(array) for array in self.arrays.values()}
        return jax.tree_util.tree_unflatten(
            structure, [next(own) if id(leaf) in are_arrays else leaf for leaf in leaves]
        )

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
