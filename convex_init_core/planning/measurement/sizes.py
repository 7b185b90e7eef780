"""How many units and samples a sum holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convex_init_core.graph.nodes import Node
    from convex_init_core.reading.parts import Product, Sum


SAMPLES = 32
"""What all units share varies from sample to sample only, so few of them do not overrule the theory. The positions of
a convolution are samples, too."""


def samples(found: Sum) -> int:
    """Return how many samples of each unit a sum holds: examples, times the positions of a convolution."""
    counts = (term.product.node.size // max(units_of(term.product), 1) for term in found.terms)
    return min(max(counts, default=0), found.root.size)  # a weight of each feature is summed after its product


def axis_of_units(found: Sum) -> int:
    """Return the axis of the units of a sum, from behind: of a convolution its channels."""
    fields = [term.product.node for term in found.terms if term.product.node.name == "convolve"]
    return fields[0].params["data_axes"][1] - len(fields[0].shape) if fields else -1


def units_of(product: Product) -> int:
    """Return the number of outputs of a product's weight."""
    node = product.node
    weight = next((part for part in node.inputs if product.source in part.parameters), node)
    if node.name == "convolve":
        outputs: int = weight.shape[node.params["weight_axes"][0]]
        return outputs * int(node.params["groups"] if node.params["transposed"] else 1)
    if node.name == "contract":
        summed: int = math.prod(weight.shape[axis] for axis in node.params["axes"][node.inputs.index(weight)])
        return _size_of_one(weight) // max(summed, 1)
    return node.shape[-1] if node.shape else 1


def _size_of_one(weight: Node) -> int:
    """Size of a weight without the copies that a broadcast makes of it."""
    smallest = weight.size
    while len(parts := [part for part in weight.inputs if part.parameters]) == 1:  # not into the parts of a whole
        weight = parts[0]
        smallest = min(smallest, weight.size)
    return smallest
