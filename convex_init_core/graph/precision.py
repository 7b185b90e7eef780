"""How precise the types of numbers are, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Node

# Bits of the fraction.
_BITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7, "complex128": 52, "complex64": 23}


def rounding_of(dtype: str) -> float:
    """Return the relative distance of neighbouring numbers of a type; of a double where the type is not known."""
    return 2.0 ** -_BITS.get(dtype, 52)


def bits_of(dtype: str) -> int | None:
    """Return the bits of the fraction of a floating-point type; ``None`` for a type of 8 bits or less, or no such."""
    return _BITS.get(dtype)


def keeps_numbers(node: Node) -> bool:
    """Whether a cast leaves each number as it is: one to a type that is no coarser, or of truth values."""
    before, after = node.inputs[0].dtype, node.dtype
    if before == after or before.startswith("bool"):
        return True
    bits, others = bits_of(before), bits_of(after)
    if bits is None or others is None or {before, after} == {"float16", "bfloat16"}:
        return False
    return others >= bits
