"""What a product with a fixed matrix or kernel makes of independent numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convex_init_core.reading.parts import Factor

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Node
    from convex_init_core.reading.factors import Numbers


def fixed_map(node: Node, numbers: Numbers) -> tuple[Node, Factor] | None:
    """For a product with a matrix or kernel that is neither learnt nor made of inputs: the data, and the factor.

    It is that of one result with N independent numbers of mean m and mean square q before it: N m, and N q for their
    squares. Positions that the data share make it larger, up to (N m)²; so a sum with positive terms is measured.
    """
    if node.is_fixed or node.name not in ("contract", "convolve"):
        return None
    fixed = next((part for part in node.inputs if part.is_fixed and not part.parameters), None)
    data = next((part for part in node.inputs if not part.is_fixed), None)
    if fixed is None or data is None:
        return None
    known, whole = numbers.of_constant(fixed), fixed
    while known is None and whole.name in ("reshape", "transpose", "broadcast", "cast"):  # as large, on average
        whole = whole.inputs[0]
        known = numbers.of_constant(whole)
    if known is None or not all(map(math.isfinite, known)):
        return None
    count = _summed(node, fixed)
    return data, Factor(count * known[0], count * known[1], 1.0)


def _summed(node: Node, fixed: Node) -> float:
    """How many numbers one result sums; behind a transposed convolution, on average."""
    if node.name == "contract":
        return float(math.prod(fixed.shape[axis] for axis in node.params["axes"][node.inputs.index(fixed)]))
    _, inputs, *window = node.params["weight_axes"]
    kernel = math.prod(fixed.shape[axis] for axis in window)
    if not node.params["transposed"]:
        return float(fixed.shape[inputs] * kernel)
    steps: int = math.prod(node.params["strides"]) * node.params["groups"]
    inner: int = fixed.shape[inputs] * kernel
    return inner / steps
