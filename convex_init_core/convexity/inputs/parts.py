"""In which inputs, or parts of inputs, a model is convex: what users write for ``convex_inputs=``, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Index: TypeAlias = "slice | Sequence[int] | int | tuple[Any, ...] | EllipsisType | None"
"""A slice or a list of places, along the last axis; ``numpy.s_[:, 0:3]`` for another axis; ``...`` for all elements."""

ConvexInputs: TypeAlias = "Mapping[str | int, Index] | Iterable[str | int] | str | int"
"""Names or positions of inputs; or a mapping from these to the part of each."""


@dataclass(frozen=True)
class Part:
    """Some elements of an input: those at some places along one axis.

    Attributes:
        places: along the axis: a slice, or numbers.
        axis: which; negative ones count from the last.
    """

    places: slice | tuple[int, ...]
    axis: int = -1

    def mask(self, name: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return which elements of an input of some shape are meant; of that shape, without numbers of its own.

        Args:
            name: of the input, for messages.
            shape: of the input.

        Raises:
            ValueError: if there are no such elements.
        """
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"convex_inputs names axis {self.axis} of input {name!r}, which has shape {shape}")
        axis = self.axis % len(shape)
        along = np.zeros(shape[axis], bool)
        if isinstance(self.places, slice):
            along[self.places] = True
        else:
            for place in self.places:
                if not -shape[axis] <= place < shape[axis]:
                    known = f"{shape[axis]} along axis {axis}"
                    raise ValueError(f"convex_inputs names place {place} of input {name!r}, which has {known}")
                along[place] = True
        if not along.any():
            raise ValueError(f"convex_inputs names no element of input {name!r}: {self} of {shape[axis]}")
        return np.broadcast_to(along.reshape(-1, *(1,) * (len(shape) - axis - 1)), shape)

    def __str__(self) -> str:
        """Return it as a user would write it."""
        if isinstance(self.places, slice):
            found = ", ".join(str(end) for end in (self.places.start or 0, self.places.stop))
            text = f"slice({found}{'' if self.places.step in (None, 1) else f', {self.places.step}'})"
        else:
            text = str(list(self.places))
        return text if self.axis == -1 else f"{text} of axis {self.axis}"


def convex_inputs_of(chosen: object) -> dict[str, Part | None] | None:
    """Return what a user names as convex inputs, by name; ``None`` stands for a whole input, or for all inputs.

    Args:
        chosen: a name or position, several of them, or a mapping from these to the part of each.

    Raises:
        TypeError: if it is something else.
        ValueError: if it names nothing.

    Example:
        >>> from convex_init_core.convexity.inputs.parts import convex_inputs_of
        >>> {name: str(part) for name, part in convex_inputs_of({"x": slice(0, 3), 1: [0, 2]}).items()}
        {'x': 'slice(0, 3)', '1': '[0, 2]'}
    """
    if chosen is None:
        return None
    names = [chosen] if isinstance(chosen, (str, int, np.integer)) else chosen
    if not isinstance(names, Iterable) or hasattr(names, "__array__"):
        raise TypeError(
            "convex_inputs must be names or positions of inputs, or a mapping from these to parts, got "
            f"{type(chosen).__name__}"
        )
    parts = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)
    if any(isinstance(name, bool) or not isinstance(name, (str, int, np.integer)) for name in parts):
        raise TypeError(f"convex_inputs must hold names or positions of inputs, got {list(parts)!r}")
    if not parts:
        raise ValueError("convex_inputs is empty: name at least one input, or leave it out for all of them")
    return {str(name): _part(str(name), index) for name, index in parts.items()}


def _part(name: str, index: Any) -> Part | None:
    if index is None or index is ... or (isinstance(index, slice) and index == slice(None)):
        return None
    if isinstance(index, tuple):
        return _along_an_axis(name, index)
    return Part(_places(name, index))


def _along_an_axis(name: str, index: tuple[Any, ...]) -> Part | None:
    """An index of the whole array, one axis of which is cut."""
    cut = [place for place, one in enumerate(index) if one is not ... and one != slice(None)]
    if not cut:
        return None
    behind = any(one is ... for one in index[: cut[0]])
    if len(cut) > 1 or isinstance(index[cut[0]], (int, np.integer)):
        raise TypeError(
            f"convex_inputs: {index!r} for input {name!r} has to cut one axis, as numpy.s_[:, 0:3] does; for places "
            "along the last axis write a slice or a list"
        )
    return Part(_places(name, index[cut[0]]), cut[0] - len(index) if behind else cut[0])


def _places(name: str, index: Any) -> slice | tuple[int, ...]:
    if isinstance(index, slice):
        return index
    places = [index] if isinstance(index, (int, np.integer)) and not isinstance(index, bool) else index
    if isinstance(places, Iterable) and not isinstance(places, (str, Mapping)):
        listed = [place.item() if hasattr(place, "item") else place for place in places]
        if listed and all(isinstance(place, bool) for place in listed):
            return tuple(place for place, is_meant in enumerate(listed) if is_meant)
        if all(isinstance(place, int) and not isinstance(place, bool) for place in listed):
            return tuple(listed)
    raise TypeError(
        f"convex_inputs: the part of input {name!r} must be a slice or places along its last axis, got {index!r}"
    )
