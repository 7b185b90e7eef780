"""The nodes of a computation: one for each array, with the operation that made it and the arrays it was made from.

A tracer (one for each array library) runs or traces a model and returns a :class:`Graph`. Nothing here knows what is
convex, which weight is positive or how a framework stores numbers: results of an analysis live beside the graph, in
dicts with nodes as keys, so that one graph can be judged under several assumptions.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from convex_init_core.convexity.calculus import Value
    from convex_init_core.convexity.values import Values
    from convex_init_core.theory.activation import Activation


class Kind(enum.Enum):
    """What sort of numbers an array holds."""

    FLOATING = "floating"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    COMPLEX = "complex"


@cache
def kind_of(dtype: str) -> Kind:
    """Return what sort of numbers a type holds, by its name."""
    if dtype.startswith(("float", "bfloat")):
        return Kind.FLOATING
    if dtype.startswith("bool"):
        return Kind.BOOLEAN
    return Kind.COMPLEX if dtype.startswith("complex") else Kind.INTEGER


Source: TypeAlias = "tuple[str, int]"
"""File and line of the user's code."""


class Place(NamedTuple):
    """Where a node was made: for messages, and to find it again in another run of the same model.

    Attributes:
        operation: what the framework calls the operation, such as ``"addmm"``, ``"dot_general"`` or ``"MatMul"``.
        module: path of the module in which it ran; ``""`` for the model's own code.
        ordinal: how many nodes of the same operation were made in the same module before it.
    """

    operation: str = ""
    module: str = ""
    ordinal: int = 0

    def __str__(self) -> str:
        """Return the operation and its module, for messages."""
        return self.shown()

    def shown(self, source: Source | None = None) -> str:
        """Return the operation and where it is, in the user's code, too, if that is known."""
        return f"{self.operation} {self.where(source)}".rstrip()

    def where(self, source: Source | None = None) -> str:
        """Return the module, or that it is the model's own code, with the user's file and line."""
        inside = f"in {self.module!r}" if self.module else "in the model's forward" if source else ""
        if source is None:
            return inside
        file, line = source
        return f"{inside} ({file.replace(chr(92), '/').rpartition('/')[2]}:{line})"


@dataclass(eq=False, slots=True)
class Constant:
    """What is known of an array that is the same for every input of the model.

    The numbers stay in the framework, since they may be many, sharded, or none (on a meta device).

    Attributes:
        handle: the framework's array, which only its :class:`~convex_init_core.framework.Framework` looks into;
            ``None`` where the numbers were lost, for instance because a later write in place replaced them.
        bounds: smallest and largest number, NaN if any is NaN; ``None`` where they cannot be read.
        parameters: names of the parameters that it was computed from; empty for literals and buffers.
    """

    handle: object = None
    bounds: tuple[float, float] | None = None
    parameters: tuple[str, ...] = ()


# What a rule of convexity is given: the node, and what is known of the nodes before it (a mapping from nodes to their
# values, which also hands out numbers of constants as far as the framework gives them).
Rule = Callable[["Node", "Values"], "Value"]


@dataclass(frozen=True, eq=False)
class Op:
    """An operation, with all that the core ever asks of one; the rows are in :mod:`convex_init_core.graph.ops`.

    Attributes:
        name: the core's own name.
        params: names of its parameters, all of which every node of it has.
        convexity: the rule of the calculus that it follows.
        moves: whether it moves, repeats or drops elements of its first input and leaves each as it is.
        reduces: whether it combines elements of its one input linearly, with non-negative constant weights.
        element_wise: whether each element of the result is a function of the same element of the (broadcast) inputs.
        numpy: the same function on NumPy arrays, one argument for each input and the parameters by name; ``None``
            where there is none. Element-wise operations have it: they are judged on a grid, and maps are inverted.
        activation: from the node's parameters to the theory's activation; ``None`` where the theory has no name for it.
    """

    name: str
    params: tuple[str, ...] = ()
    convexity: Rule | None = None
    moves: bool = False
    reduces: bool = False
    element_wise: bool = False
    numpy: Callable[..., Any] | None = None
    activation: Callable[..., Activation | None] | None = None

    def __repr__(self) -> str:
        """Return the name."""
        return f"Op({self.name})"


_NOWHERE = Place()


@dataclass(eq=False, slots=True)
class Node:
    """One array of the computation. Nodes are compared by identity.

    Attributes:
        op: the operation that made it.
        inputs: the nodes it was made from; numbers in the code are nodes, too (literals of shape ``()``).
        params: parameters of the operation, normalised: axes are non-negative ints in tuples, numbers are floats.
        shape: of the array.
        dtype: its name, such as ``"float32"``.
        place: where it was made.
        constant: what is known of it if it is the same for every input; else ``None``.
        source: where in the user's code it was made, if that is known.
    """

    op: Op
    inputs: tuple[Node, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    place: Place = _NOWHERE
    constant: Constant | None = None
    source: Source | None = None

    @property
    def name(self) -> str:
        """Name of the operation."""
        return self.op.name

    @property
    def at(self) -> str:
        """The operation, its module, and the user's file and line, for messages."""
        return self.place.shown(self.source) or self.op.name

    @property
    def label(self) -> str:
        """The operation and its module, short enough for a table."""
        return str(self.place) or self.op.name

    @property
    def kind(self) -> Kind:
        """What sort of numbers it holds."""
        return kind_of(self.dtype)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same for every input of the model."""
        return self.constant is not None

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that a constant was computed from."""
        return () if self.constant is None else self.constant.parameters

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest number of a constant, if they can be read and are finite."""
        found = None if self.constant is None else self.constant.bounds
        return found if found is not None and math.isfinite(found[0]) and math.isfinite(found[1]) else None

    @property
    def number(self) -> float | None:
        """The one finite number that all elements of a constant are; ``None`` if there is none."""
        bounds = self.bounds
        return bounds[0] if bounds is not None and bounds[0] == bounds[1] else None

    def __repr__(self) -> str:
        """Return a short form; the inputs are left out."""
        return f"Node({self.op.name}, {self.shape}, {self.at!r})"


@dataclass(eq=False)
class Graph:
    """What one run (or trace) of a model showed.

    Attributes:
        nodes: in the order in which they were made, so that inputs come before what is made of them.
        inputs: the floating-point inputs of the model, by name; whether they are convex inputs or context is the
            judge's to say.
        outputs: what the model returned, by place in the result: ``"output"``, ``"output.0"``, ``"output.name"``.
        doubts: reasons why the graph may not stand for other inputs, such as control flow that looks at numbers.
        risks: operations that raise for some inputs, which the code may catch to go another way; for proofs only.
        notes: what the graph holds for, where that is not plain, such as one draw of random numbers.
        instead: what to read instead of a model that differentiates a function; empty for others.
        other_names: further names of inputs, such as the signature's, and what they mean in ``inputs``.
        extremes_drop_nan: whether the framework's maxima and minima leave NaN out, as some of TensorFlow do.
    """

    nodes: list[Node] = field(default_factory=list)
    inputs: dict[str, Node] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    instead: str = ""
    other_names: dict[str, str] = field(default_factory=dict)
    extremes_drop_nan: bool = False

    def __iter__(self) -> Iterator[Node]:
        """Iterate over the nodes in order."""
        return iter(self.nodes)

    @property
    def floating(self) -> list[str]:
        """Names of the outputs that hold floating-point (or complex) numbers."""
        wanted = (Kind.FLOATING, Kind.COMPLEX)
        return [name for name, node in self.outputs.items() if node.kind in wanted]
