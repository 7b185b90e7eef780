"""Functions of one number that are put together from element-wise operations, such as a smoothed ReLU from clamps.

The calculus judges operation by operation, so it cannot see that ``clamp(s, 0, d)² / 2d + relu(s − d)`` is convex. A
plan needs no proof: here the whole function is evaluated on a grid. A certificate does not use this.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, ElementWise, Sign, Value
from convex_init_core.convexity.one_number.bases import bases_of, is_kept
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.theory.activation import shape_on_grid

_ROUNDING = 1e-12  # of a value that is 0


def composite(node: Node, values: Values, order: Mapping[Node, int]) -> Value | None:
    """Return what a grid shows of a node of which the calculus knows nothing; ``None`` if that is no more.

    Args:
        node: any.
        values: of the nodes before it.
        order: places of the nodes in the graph.
    """
    for base, inside in bases_of(node, values, order):
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
                if is_kept(node):
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
