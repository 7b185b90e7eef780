"""Functions of one number that are put together from element-wise operations, such as a smoothed ReLU from clamps.

The calculus judges operation by operation, so it cannot see that ``clamp(s, 0, d)² / 2d + relu(s − d)`` is convex. A
plan needs no proof: here the whole function is evaluated on a grid. A certificate does not use this.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convex_init.torch.recording import Node
from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, ElementWise, Value
from convex_init_core.theory.activations import shape_on_grid


class Composites:
    """Give a value to element-wise results of which the calculus knows nothing; to be passed to ``record``."""

    def __init__(self) -> None:
        """Start a recording."""
        self.order: dict[int, int] = {}

    def __call__(self, node: Node) -> Value | None:
        """Return what is known of a new node after all; ``None`` if that is no more than before."""
        self.order[id(node)] = len(self.order)
        if node.value.curvature is not Curvature.UNKNOWN or not _is_element_wise(node):
            return None
        for base, inside in self._bases(node):
            if base.value.curvature is Curvature.UNKNOWN:
                continue
            try:
                falls = shape_on_grid(partial(_replay, node, base, inside))
            except (ValueError, TypeError, RuntimeError):
                continue
            found = calculus.apply(ElementWise("composite", convex=True, increasing=falls is None), base.value, node.at)
            if found.curvature is not Curvature.UNKNOWN:
                return found
        return None

    def _bases(self, node: Node) -> Iterator[tuple[Node, set[int]]]:
        """Yield the nodes of which ``node`` is an element-wise function of one number, the nearest first."""
        inside: set[int] = set()
        frontier = {id(node): node}
        while True:
            last = max(frontier.values(), key=lambda part: self.order.get(id(part), -1))
            if not _is_element_wise(last):
                return
            inside.add(id(last))
            del frontier[id(last)]
            for part in last.inputs:
                if not part.fixed:
                    if part.value.is_constant or part.shape != node.shape:
                        return  # context, or units that meet
                    frontier[id(part)] = part
            if len(frontier) == 1:
                yield next(iter(frontier.values())), set(inside)
            if not frontier:
                return


def _is_element_wise(node: Node) -> bool:
    packet = getattr(torch.ops.aten, node.operation, None)
    if packet is None or not node.args:
        return False
    return any(torch.Tag.pointwise in getattr(packet, name).tags for name in packet.overloads())


def _replay(node: Node, base: Node, inside: set[int], s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate ``node`` as a function of ``base``.

    Raises:
        ValueError: if it holds tensors that are not one number.
    """
    known: dict[int, Any] = {id(base): torch.from_numpy(np.ascontiguousarray(s))}

    def value(part: Any) -> Any:
        if isinstance(part, (list, tuple)):
            return [value(item) for item in part]
        if not isinstance(part, Node):
            return part
        if id(part) in inside and id(part) not in known:
            operation = getattr(torch.ops.aten, part.operation.rstrip("_"), None)
            if operation is None:
                raise ValueError(f"{part.operation} has no form that is not in place")
            keywords = {key: value(item) for key, item in part.keywords.items()}
            known[id(part)] = operation(*map(value, part.args), **keywords)
        elif id(part) not in known:
            if part.bounds is None or part.bounds[0] != part.bounds[1]:
                raise ValueError("its parameters differ from unit to unit")
            known[id(part)] = torch.tensor(part.bounds[0], dtype=torch.float64)
        return known[id(part)]

    with torch.no_grad():
        result: NDArray[np.float64] = value(node).double().numpy()
    return result
