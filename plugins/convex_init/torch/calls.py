"""One operation of torch as the rules of the calculus see it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from convex_init.torch.recording import Node
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Sign, Value

# These have the numbers of their first argument, all of them and no others.
_SAME_NUMBERS = frozenset(
    """
    view _unsafe_view reshape _reshape_alias t transpose permute expand unsqueeze squeeze alias detach clone contiguous
    flatten unflatten movedim swapaxes view_as lift_fresh
    """.split()  # noqa: SIM905
)
_ASKS_IF_FINITE = ("isnan", "isinf", "isfinite", "isposinf", "isneginf")
_OF_TRUTHS = (
    *("mul", "any", "all", "logical_not", "logical_or", "logical_and", "bitwise_not", "bitwise_or", "bitwise_and"),
    *("_local_scalar_dense", "is_nonzero", "_to_copy", "view", "detach", "alias"),
)


def _signature(func: Any) -> tuple[str, str, str, bool, bool, list[tuple[int, str, Any]]]:
    """What is the same for all calls of an operation; torch builds a schema's parts anew whenever it is asked."""
    found = _SIGNATURES.get(func)
    if found is None:
        schema, name = func._schema, func.overloadpacket.__name__
        in_place = schema.is_mutable and name.endswith("_") and not name.endswith("__")
        found = _SIGNATURES[func] = (
            name,
            name[:-1] if in_place else name,
            func._overloadname,
            func.namespace == "aten",
            torch.Tag.nondeterministic_seeded in func.tags,
            [(i, spec.name, spec.default_value) for i, spec in enumerate(schema.arguments) if not spec.is_out],
        )
    return found


_SIGNATURES: dict[Any, Any] = {}


class Call:
    """One operation as the rules see it: its arguments by place and by name, with nodes for tensors and defaults set.

    Attributes:
        name: ATen name without overload, with the underscore of an operation in place.
        base: the same without that underscore.
        overload: name of the overload.
        at: the operation and its place, for messages.
        arguments: in the order of the schema, without those that are only written to.
        nodes: all nodes among them.
        known: whether it is one of torch's own operations.
        random: whether the operation draws random numbers.
    """

    def __init__(self, func: Any, operands: list[Any], keywords: dict[str, Any], at: str) -> None:
        """Bind operands and keywords to the schema of ``func``."""
        self.at = at
        self.name, self.base, self.overload, self.known, self.random, parameters = _signature(func)
        self.by_name = {
            name: operands[i] if i < len(operands) else keywords.get(name, default) for i, name, default in parameters
        }
        self.arguments = list(self.by_name.values())
        self.nodes = nodes_in(self.arguments)
        self.made: Tensor | None = None

    def __getitem__(self, place: int | str) -> Any:
        """An argument by place or name; ``None`` if there is none of that name."""
        return self.by_name.get(place) if isinstance(place, str) else self.arguments[place]

    def value(self, place: int | str) -> Value:
        """What is known of an argument, which may be a Python number."""
        return value_of(self[place])

    @property
    def values(self) -> list[Value]:
        """What is known of all tensors among the arguments."""
        return [node.value for node in self.nodes]

    @property
    def only_moves(self) -> bool:
        """Whether the result has the numbers of the first argument, all of them and no others."""
        return self.known and self.base in _SAME_NUMBERS and self.overload != "dtype" and len(self.nodes) == 1

    @property
    def is_uninitialised(self) -> bool:
        """Whether the result is whatever lies in memory."""
        return "empty" in self.base

    @property
    def asks_if_finite(self) -> bool:
        """Whether it asks for NaN or infinite numbers only, which no input that the function is defined for has."""
        return all(_asks_if_finite(node) for node in self.nodes)

    @property
    def writes_its_statistics(self) -> bool:
        """Whether arguments that are written without being a result change; normalisation does so in training only."""
        return "batch_norm" not in self.base or self["training"] is not False

    def unknown(self, why: str) -> Value:
        """A value of which nothing is known, because the operation ``why``."""
        return calculus.unknown(f"{self.at} {why}", *self.values)


def nodes_in(tree: Any) -> list[Node]:
    """List the nodes of a nested argument."""
    if isinstance(tree, Node):
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [node for part in tree for node in nodes_in(part)]
    return []


def value_of(operand: Any) -> Value:
    """Return what is known of an operand, which may be a Python number."""
    if isinstance(operand, Node):
        return operand.value
    number = float(operand)
    label = f"the number {number:g}"
    if not math.isfinite(number):
        return calculus.constant(Sign.ANY, label, f"{label} is not finite", finite=False)
    sign = Sign.ZERO if number == 0.0 else Sign.NON_NEGATIVE if number > 0.0 else Sign.NON_POSITIVE
    return calculus.constant(sign, label)


def _asks_if_finite(node: Node) -> bool:
    if node.operation in _ASKS_IF_FINITE:
        return True
    if node.operation in ("eq", "ne"):  # x == x and x.abs() != inf
        return node.args[0] is node.args[1] or (isinstance(node.args[1], float) and math.isinf(node.args[1]))
    return node.operation in _OF_TRUTHS and bool(node.inputs) and all(map(_asks_if_finite, node.inputs))
