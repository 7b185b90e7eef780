"""One operation of torch with its arguments bound to their names, and the nodes that it is lowered to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from convex_init.torch.trace import constants
from convex_init.torch.trace.builder import Builder, name_of
from convex_init_core.graph.nodes import Kind, Node, Place

# Arguments that say where and how a result is stored, or how fast it is computed, and nothing of its numbers.
_OF_STORAGE = frozenset(
    ("memory_format", "layout", "device", "pin_memory", "non_blocking", "generator", "requires_grad", "implicit")
)


@dataclass(frozen=True, eq=False)
class Signature:
    """What is the same for all calls of an operation.

    Attributes:
        text: as torch prints it, overload included.
        name: ATen name without overload, with the underscore of an operation in place.
        base: the same without that underscore.
        overload: name of the overload.
        known: whether it is one of torch's own operations.
        random: whether it draws random numbers.
        views_in_place: whether what it does in place changes a tensor's shape and none of its numbers.
        shaped_by_numbers: whether the shape of its result depends on numbers.
        arguments: name and default of each; ``_MISSING`` where there is none.
        written: places of the arguments that it writes to.
        read: place and name of each argument that is not only written to.
        only_views: whether it returns a view of an argument and looks at no numbers.
    """

    text: str
    name: str
    base: str
    overload: str
    known: bool
    random: bool
    views_in_place: bool
    shaped_by_numbers: bool
    arguments: tuple[tuple[str, Any], ...]
    written: tuple[int, ...]
    read: tuple[tuple[int, str], ...]
    only_views: bool

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The default of each argument by name."""
        return dict(self.arguments)

    @classmethod
    def of(cls, func: Any) -> Signature:
        """Return the signature of an operation; torch builds a schema's parts anew whenever it is asked."""
        found = _SIGNATURES.get(func)
        if found is None:
            found = _SIGNATURES[func] = cls._read(func)
        return found

    @classmethod
    def _read(cls, func: Any) -> Signature:
        schema, name = func._schema, func.overloadpacket.__name__
        in_place = schema.is_mutable and name.endswith("_") and not name.endswith("__")
        specs = list(schema.arguments)
        aliases = [found.alias_info for found in schema.returns]
        return cls(
            str(func),
            name,
            name[:-1] if in_place else name,
            func._overloadname,
            func.namespace == "aten",
            torch.Tag.nondeterministic_seeded in func.tags,
            torch.Tag.inplace_view in func.tags,
            torch.Tag.dynamic_output_shape in func.tags,
            tuple((spec.name, spec.default_value if spec.has_default_value() else _MISSING) for spec in specs),
            tuple(i for i, spec in enumerate(specs) if spec.alias_info is not None and spec.alias_info.is_write),
            tuple((i, spec.name) for i, spec in enumerate(specs) if not spec.is_out),
            bool(aliases) and all(found is not None and not found.is_write for found in aliases),
        )

    def given(self, place: int, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return the argument at a place of the schema, or its default."""
        if place < len(args):
            return args[place]
        name, default = self.arguments[place]
        return kwargs.get(name, None if default is _MISSING else default)


_MISSING = object()
_SIGNATURES: dict[Any, Signature] = {}


class Call:
    """One result of one operation, as the rules of the lowering see it.

    A rule reads arguments with ``call["name"]`` or :meth:`operand`, adds nodes with :meth:`step` and ends with
    :meth:`result`. What it does not read and is not the default is not understood, see :meth:`unread`.

    Attributes:
        signature: of the operation.
        given: arguments by name, with nodes for tensors.
        nodes: all nodes among them.
        index: which of the results it is.
        made: the result itself.
        source: file and line of the user's code that called it.
        is_whole: whether it is a view of its first argument with the same elements in the same order.
    """

    def __init__(
        self,
        signature: Signature,
        given: dict[str, Any],
        builder: Builder,
        module: str,
        nodes: list[Node] | None = None,
    ) -> None:
        """Bind arguments to a signature."""
        self.signature, self.given, self.builder, self.module = signature, given, builder, module
        self.nodes = nodes_in(list(given.values())) if nodes is None else nodes
        self.source = builder.source
        self.index = 0
        self.made: Tensor = _NOTHING
        self.is_whole = False
        self._read: set[str] = set()

    def of_result(self, index: int, made: Tensor) -> Call:
        """Return the same call for one of its results."""
        found = Call(self.signature, self.given, self.builder, self.module, self.nodes)
        found.index, found.made, found.source = index, made, self.source
        return found

    @property
    def at(self) -> str:
        """The operation and where it was called, for messages."""
        return Place(self.signature.name, self.module).shown(self.source)

    # Arguments

    def __getitem__(self, name: str) -> Any:
        """Return an argument; ``None`` if there is none of that name."""
        self._read.add(name)
        return self.given.get(name)

    def has(self, name: str) -> bool:
        """Whether the operation has an argument of this name."""
        return name in self.given

    def ignore(self, *names: str) -> None:
        """Say that arguments make no difference to what the rule says."""
        self._read.update(names)

    def ignore_numbers(self) -> None:
        """Say that all arguments that hold no tensor make no difference to what the rule says."""
        self._read.update(name for name, value in self.given.items() if not nodes_in(value))

    def unread(self) -> str:
        """Return the name of an argument that was not read and is not its default; empty if there is none."""
        defaults = self.signature.defaults
        for name, value in self.given.items():
            if name in self._read or name in _OF_STORAGE:
                continue
            default = defaults[name]
            if nodes_in(value) or default is _MISSING or value != default:
                return name
        return ""

    def operand(self, name: str) -> Node:
        """Return an argument as a node; a number becomes a literal."""
        return self.fitted(self[name])

    def fitted(self, part: Any) -> Node:
        """Return a node or number as an operand: what is wider than the result is rounded, and this is seen."""
        if not isinstance(part, Node):
            return self.literal(part)
        made = self.made.dtype
        if part.is_fixed or part.dtype == name_of(made) or part.kind is not Kind.FLOATING or not made.is_floating_point:
            return part
        return part if _holds(made, getattr(torch, part.dtype)) else self.step("cast", part, shape=part.shape)

    def numbers(self, name: str, count: int) -> tuple[int, ...]:
        """Return an argument as so many integers; one is repeated."""
        given = self[name]
        found = tuple(int(part) for part in given) if isinstance(given, (list, tuple)) else (int(given),)
        return found * count if len(found) == 1 else found

    # Nodes

    def literal(self, value: Any) -> Node:
        """Return the node of a number in the code."""
        number = float(value)
        dtype = self.made.dtype if self.made.dtype.is_floating_point else torch.float32
        return self._emit("literal", (), {}, (), name_of(dtype), constant=constants.number(number))

    def step(self, operation: str, *inputs: Node, shape: Sequence[int] | None = None, **params: Any) -> Node:
        """Add a node between the operands and the result, of the result's type; its shape is broadcast by default."""
        if shape is None:
            shape = np.broadcast_shapes(*(node.shape for node in inputs))
        return self._emit(operation, inputs, params, shape, name_of(self.made.dtype))

    def result(self, operation: str, *inputs: Node, **params: Any) -> Node:
        """Add the node of the result."""
        return self._emit(operation, inputs, params, tensor=self.made)

    def varying(self, operation: str, *inputs: Node, **params: Any) -> Node:
        """Add the node of a result that is no constant, whatever its inputs."""
        return self._emit(operation, inputs, params, tensor=self.made, may_be_fixed=False)

    def array(self) -> Node:
        """Add the result as an array that stands in the code, such as zeros."""
        return self._emit("literal", (), {}, tensor=self.made, constant=constants.constant(self.made))

    def opaque(self, why: str, non_negative: bool = False) -> Node:
        """Add the result as one of which nothing is known."""
        nodes = tuple(dict.fromkeys(self.nodes))
        fixed = not self.signature.random
        params = {"why": why, "non_negative": non_negative}
        return self._emit("opaque", nodes, params, tensor=self.made, may_be_fixed=fixed)

    def _emit(
        self,
        operation: str,
        inputs: Sequence[Node],
        params: dict[str, Any],
        shape: Sequence[int] = (),
        dtype: str = "float32",
        **more: Any,
    ) -> Node:
        name, module = self.signature.name, self.module
        return self.builder.emit(operation, inputs, params, name=name, module=module, shape=shape, dtype=dtype, **more)


_NOTHING = torch.empty(0)


def _holds(wide: torch.dtype, narrow: torch.dtype) -> bool:
    """Whether every number of one type is one of another."""
    try:
        return wide == narrow or torch.promote_types(narrow, wide) == wide
    except RuntimeError:  # of types of 8 bits nothing is promoted
        return False


Rule: TypeAlias = "Callable[[Call], Node | str]"
"""Returns the node of the result, or why there is none."""


def nodes_in(tree: Any) -> list[Node]:
    """List the nodes of a nested argument."""
    if isinstance(tree, Node):
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [node for part in tree for node in nodes_in(part)]
    return []


def axes_of(given: Any, ndim: int) -> tuple[int, ...]:
    """Return axes as non-negative numbers in order; all of them for none."""
    if given is None or (isinstance(given, (list, tuple)) and not given):
        return tuple(range(ndim))
    listed = given if isinstance(given, (list, tuple)) else [given]
    return tuple(sorted(int(axis) % max(ndim, 1) for axis in listed)) if ndim else ()


def axis_of(given: Any, ndim: int) -> int:
    """Return one axis as a non-negative number."""
    return int(given) % max(ndim, 1)
