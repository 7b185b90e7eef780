"""A function as a flat list of steps, with places for its arguments and results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from convex_init_core.graph.nodes import Source


@dataclass(eq=False, slots=True)
class Slot:
    """A place for one array: an argument, a constant or a result.

    Attributes:
        shape: of the array; sizes that are not known are -1.
        dtype: name of the type of its elements.
        number: the array, if it is the same for every input and can be computed.
        resource: the variable that a handle belongs to, where the framework passes handles, in place of a number.
    """

    shape: tuple[int, ...]
    dtype: str
    number: Any = None
    resource: Any = None


class Step(Protocol):
    """One operation of the framework: where its arguments are, and where its results go."""

    @property
    def name(self) -> str:
        """Of the operation, in the framework."""

    @property
    def module(self) -> str:
        """Scope in which it stands."""

    @property
    def inputs(self) -> Sequence[Slot]:
        """Places of its arguments."""

    @property
    def outputs(self) -> Sequence[Slot]:
        """Places of its results."""

    @property
    def source(self) -> Source | None:
        """Where it stands in the user's code, if that is known."""

    @property
    def changes(self) -> str:
        """Why its results may be others next time, for the same arguments; empty if they are not."""

    @property
    def options(self) -> set[str]:
        """Names of what a rule has to read: parameters that may change what is computed."""

    def option(self, name: str) -> Any:
        """Return one of its parameters; ``None`` if there is none of this name."""


@dataclass(eq=False)
class Program:
    """A function as a flat list of steps, with places for its arguments and results."""

    inputs: list[Slot]
    outputs: list[Slot] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
