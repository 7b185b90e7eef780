"""Functions of one number that are put together from element-wise operations, such as a smoothed ReLU from clamps.

The calculus judges operation by operation, so it cannot see that ``clamp(s, 0, d)² / 2d + relu(s − d)`` is convex. A
plan needs no proof: here the whole function is evaluated on a grid. A certificate does not use this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, ElementWise, Sign, Value
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.theory.activation import shape_on_grid

_MOST = 64  # operations of one function
_ROUNDING = 1e-12  # of a value that is 0


def composite(node: Node, values: Values, order: Mapping[Node, int]) -> Value | None:
    """Return what a grid shows of a node of which the calculus knows nothing; ``None`` if that is no more.

    Args:
        node: any.
        values: of the nodes before it.
        order: places of the nodes in the graph.
    """
    if not _is_element_wise(node):
        return None
    for base, inside in _bases(node, values, order):
        if values[base].curvature is Curvature.UNKNOWN:
            continue
        function = _Function(node, base, inside, values)
        try:
            falls = shape_on_grid(function)
        except (ValueError, TypeError, FloatingPointError):
            continue
        sign = Sign.NON_NEGATIVE if function.least >= -_ROUNDING else Sign.ANY
        claim = ElementWise("composite", convex=True, increasing=falls is None, sign=sign)
        found = calculus.apply(claim, values[base], node.at)
        if found.curvature is not Curvature.UNKNOWN:
            return found
    return None


def _is_element_wise(node: Node) -> bool:
    return node.op.element_wise or _is_kept(node)


def _is_kept(node: Node) -> bool:
    return node.name in ("cast", "reshape", "broadcast") and node.shape == node.inputs[0].shape


def _bases(node: Node, values: Values, order: Mapping[Node, int]) -> Iterator[tuple[Node, list[Node]]]:
    """Yield the nodes of which ``node`` is an element-wise function of one number, the nearest first."""
    inside: list[Node] = []
    frontier = {node}
    while len(inside) < _MOST:
        last = max(frontier, key=lambda part: order.get(part, len(order)))
        if not _is_element_wise(last):
            return
        inside.append(last)
        frontier.remove(last)
        for part in last.inputs:
            if part.is_fixed:
                continue
            if values[part].is_constant or part.shape != node.shape:
                return  # context, or units that meet
            frontier.add(part)
        if not frontier:
            return
        if len(frontier) == 1:
            yield next(iter(frontier)), inside[::-1]


class _Function:
    """A node as a function of another one on float64 arrays; remembers its least value."""

    def __init__(self, node: Node, base: Node, inside: list[Node], values: Values) -> None:
        self.node, self.base, self.inside, self.values = node, base, inside, values
        self.least = np.inf

    def __call__(self, s: NDArray[np.float64]) -> NDArray[np.float64]:
        known: dict[Node, NDArray[np.float64]] = {self.base: s}
        with np.errstate(all="ignore"):
            for node in self.inside:
                parts = [known[part] if part in known else self._number(part) for part in node.inputs]
                if _is_kept(node):
                    known[node] = np.asarray(parts[0], np.float64)
                elif node.op.numpy is None:
                    raise ValueError(f"{node.name} has no values on a grid")
                else:
                    known[node] = node.op.numpy(*parts, **node.params)
        result = np.asarray(known[self.node], np.float64)
        self.least = min(self.least, float(result.min()))
        return result

    def _number(self, node: Node) -> NDArray[np.float64]:
        number = self.values.number(node)
        if number is None:
            raise ValueError("its parameters differ from unit to unit")
        return np.asarray(number, np.float64)
