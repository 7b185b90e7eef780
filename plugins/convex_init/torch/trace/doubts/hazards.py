"""Calls after which code may go another way for other numbers: questions, sizes and failures that depend on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convex_init.torch.trace.lowering.call import Call
from convex_init.torch.trace.lowering.moves import MOVES
from convex_init_core.graph.nodes import Kind, Node

_ASKS_IF_FINITE = ("isnan", "isinf", "isfinite", "isposinf", "isneginf")
_OF_TRUTHS = (
    *("mul", "any", "all", "logical_not", "logical_or", "logical_and", "bitwise_not", "bitwise_or", "bitwise_and"),
    *("_to_copy", "view", "detach", "alias"),
)
_OF_THE_SAME = ("reshape", "transpose", "broadcast", "slice", "rearrange", "abs")  # NaN and infinity stay what they are

# Draws that raise for parameters outside of their law's, and functions that raise outside of their domain.
_OF_A_LAW = frozenset(("bernoulli", "multinomial", "normal", "poisson", "binomial", "_standard_gamma", "exponential"))
_OF_A_DOMAIN = frozenset(
    ("binary_cross_entropy", "histc", "histogram", "histogramdd", "masked_scatter", "segment_reduce", "inverse")
)
# What whole numbers of the input may go into without an error for any of them.
_OF_WHOLE_NUMBERS = frozenset(
    """
    add sub rsub mul neg abs sum mean amax amin max min aminmax argmax argmin where clamp clamp_min clamp_max sign sgn
    maximum minimum sort topk argsort cumsum any all isnan isfinite isinf copy fill zero masked_fill item logical_not
    logical_or logical_and logical_xor bitwise_not bitwise_or bitwise_and bitwise_xor _local_scalar_dense zeros_like
    ones_like empty_like full_like rand_like randn_like nonzero bincount sigmoid exp sqrt square gt ge lt le eq ne
    """.split()  # noqa: SIM905
)


def looks_at_numbers(call: Call) -> bool:
    """Whether the size of a result depends on the input: of a lookup, if a mask does."""
    if not call.signature.shaped_by_numbers:
        return False
    if call.signature.base != "index":
        return True
    masks = [node for node in call.nodes[1:] if node.dtype in ("bool", "uint8")]
    return any(not node.is_fixed for node in masks)


def may_be_of_any_size(func: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Sequence[Tensor]) -> bool:
    """Whether an operation that no rule knows gives results whose sizes its arguments' shapes do not tell.

    It is asked to compute them without numbers, on the meta device.
    """
    if not made:
        return False
    if any(tensor.layout is not torch.strided or tensor.is_nested for tensor in made):
        return True
    try:
        with torch.no_grad():
            expected = _tensors(func(*map(_on_meta, args), **{name: _on_meta(part) for name, part in kwargs.items()}))
    except Exception:  # it has no such form, or asks for numbers
        return True
    return [tensor.shape for tensor in expected] != [tensor.shape for tensor in made]


def may_fail(call: Call) -> bool:
    """Whether an operation raises for some values of the input: places outside of an array, laws that are none."""
    base, varying = call.signature.base, [node for node in call.nodes if not node.is_fixed]
    if base in _OF_A_DOMAIN or (base in _OF_A_LAW and call.signature.name != f"{base}_"):
        return bool(varying)
    if ("linalg" in base or "cholesky" in base) and base != "linalg_vector_norm":
        return bool(varying)
    if base in _OF_WHOLE_NUMBERS or base in MOVES:
        return False
    return any(node.kind is Kind.INTEGER and _is_of_numbers(node) for node in varying)


def _is_of_numbers(node: Node) -> bool:
    """Whether whole numbers were made of floating-point inputs; those that are given are the caller's to have right."""
    seen, waiting = set[Node](), [node]
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            waiting.extend(part.inputs)
    return any(part.name == "input" and part.kind is Kind.FLOATING for part in seen)


def is_harmless(node: Node) -> bool:
    """Whether an answer is only about NaN or infinite numbers in an input, for which the function is not defined."""
    if node.is_fixed:
        return True
    if node.place.operation in _ASKS_IF_FINITE:
        return _is_input(node.inputs[0])
    if node.name == "compare" and node.params["relation"] in ("==", "!="):  # x == x and x.abs() != inf
        first, second = node.inputs
        bounds = second.constant.bounds if second.constant is not None else None
        is_infinite = bounds is not None and all(map(math.isinf, bounds))
        return _is_input(first) and (first is second or is_infinite)
    return node.place.operation in _OF_TRUTHS and bool(node.inputs) and all(map(is_harmless, node.inputs))


def _is_input(node: Node) -> bool:
    while node.name in _OF_THE_SAME and node.inputs:
        node = node.inputs[0]
    return node.name == "input" or node.is_fixed


def _on_meta(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return torch.empty_strided(tree.size(), tree.stride(), dtype=tree.dtype, device="meta")
    return [_on_meta(part) for part in tree] if isinstance(tree, (list, tuple)) else tree


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    return [tensor for part in tree for tensor in _tensors(part)] if isinstance(tree, (list, tuple)) else []
