"""What feeds a layer: the activation between it and the layer before, named or written out of smaller operations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity.calculus import Value
from convex_init_core.graph.function_of_one import FunctionOfOne, bases_of, between
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.graph.walks import parts_first
from convex_init_core.theory import activations as named
from convex_init_core.theory.activation import Activation, custom
from convex_init_core.theory.moments import feature_moments

JOINS = ("concatenate", "stack", "join")
_PASSED = ("dropout", "pad")
_POOLS = ("window_max", "max")
_KEPT = ("cast", "reshape")
_SCALES = ("multiply", "divide", "negate")

Found = tuple[Activation, Node, float]
"""An activation, what it takes, and a constant factor of its result."""


@dataclass(eq=False)
class Feeding:
    """What feeds the nodes of a graph.

    Attributes:
        values: what the calculus knows of the nodes.
        order: their places in the graph.
    """

    values: Mapping[Node, Value]
    order: Mapping[Node, int]
    _at: dict[Node, Found | None] = field(default_factory=dict)
    _behind: dict[Node, Activation | None] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, values: Mapping[Node, Value]) -> Feeding:
        """Return what feeds the nodes of one graph."""
        return cls(values, {node: place for place, node in enumerate(graph)})

    def activation_at(self, node: Node) -> Found | None:
        """Recognise an activation."""
        if node not in self._at:
            found = self._named(node) or self._written_out(node)
            self._at[node] = found and self._with_those_before(node, found)
        return self._at[node]

    def activation_behind(self, node: Node) -> Activation | None:
        """Return the one activation that feeds a layer, traced back from its input; the identity behind another."""
        for part in parts_first(node, self._followed, self._behind):
            self._behind[part] = self._one_behind(part)
        return self._behind[node]

    def passed_by(self, node: Node) -> Node:
        """Return the value that an operation takes which moves, pools or scales it."""
        return next((part for part in node.inputs if self._is_data(part)), node.inputs[0])

    def _is_data(self, node: Node) -> bool:
        return not node.is_fixed and not self.values[node].is_constant

    def _followed(self, node: Node) -> list[Node]:
        if self.activation_at(node) is not None:
            return []
        if node.name in (*JOINS, "add", "subtract"):
            return [part for part in node.inputs if not self.values[part].curvature.is_affine]
        is_passed = is_passed_on(node) or node.name in _SCALES or _is_fixed_map(node)
        return [self.passed_by(node)] if is_passed else []

    def _one_behind(self, node: Node) -> Activation | None:
        found = self.activation_at(node)
        if found is not None:
            return found[0]
        if node.name in ("contract", "convolve") and not _is_fixed_map(node):
            return named.identity()
        leaves = {self._behind[part] for part in self._followed(node)}
        return leaves.pop() if len(leaves) == 1 else None

    def _named(self, node: Node) -> Found | None:
        """An activation that is one operation."""
        taken = next((part for part in node.inputs if self._is_data(part)), None)
        if taken is None:
            return None
        others = [part for part in node.inputs if part is not taken]
        try:
            if node.name in ("maximum", "log_add_exp"):
                is_zero = len(others) == 1 and others[0].number == 0.0 and not others[0].parameters
                return ((named.relu if node.name == "maximum" else named.softplus)(), taken, 1.0) if is_zero else None
            if node.name == "prelu":
                slope = others[0].number if others else None
                return None if slope is None else (named.prelu(slope), taken, 1.0)
            found = None if node.op.activation is None else node.op.activation(**node.params)
        except ValueError:  # parameters for which it is not convex
            return None
        return None if found is None or found.refusal else (found, taken, 1.0)

    def _with_those_before(self, node: Node, found: Found) -> Found:
        """An activation of another activation's result, as one of what the first of them takes: ``softplus(relu(s))``.

        Only that is a pre-activation, whose law is known.
        """
        taken = found[1]
        while (before := self.activation_at(taken)) is None:
            parts = [part for part in taken.inputs if self._is_data(part)]
            is_one_number = taken.op.element_wise and taken.op.numpy is not None
            if len(parts) != 1 or parts[0].shape != taken.shape or not (is_one_number or taken.name in _KEPT):
                return found
            taken = parts[0]
        try:
            whole = recognised(between(before[1], node))
        except ValueError:
            return found
        return found if whole is None else (whole[0], before[1], whole[1])

    def _written_out(self, node: Node) -> Found | None:
        """An activation that is put together from several operations, known by its values."""
        if not node.op.element_wise or node.op.numpy is None or not self._is_data(node):
            return None
        if node.name in (*_SCALES, "add", "subtract") and sum(map(self._is_data, node.inputs)) < 2:
            return None  # a factor or a summand, which is looked through
        best: Found | None = None
        for base in bases_of(node, self.order):
            if not self._is_data(base):
                break
            try:
                found = recognised(between(base, node), only_named=best is not None)
            except ValueError:
                break
            if found is not None:
                best = found[0], base, found[1]
            # log(1 + exp(3 s)) is a softplus of 3 s, too.
            if best is not None and (found is None or base.name not in _SCALES):
                break
        return best


def _is_fixed_map(node: Node) -> bool:
    """Whether a product is one with numbers that are not learnt, such as a blur or the neighbours of a graph."""
    return node.name in ("contract", "convolve") and any(part.is_fixed and not part.parameters for part in node.inputs)


def is_passed_on(node: Node) -> bool:
    """Whether an operation moves, pools or sums features: the activation that feeds the next layer is before it."""
    return bool(node.inputs) and (node.op.moves or node.op.reduces or node.name in (*_PASSED, *_POOLS))


def recognised(function: FunctionOfOne, *, only_named: bool = False) -> tuple[Activation, float] | None:
    """Return the activation that a function is, and its factor; ``None`` if it is none that may feed a layer.

    Args:
        function: of one number.
        only_named: whether one without a name in the theory does not count.
    """
    grid, values = function.on_grid
    if not np.all(np.isfinite(values)):
        return None
    steepest = (values[-1] - values[-2]) / (grid[-1] - grid[-2])
    if steepest <= 0.0:
        return None
    for phi, factor in _candidates(grid, values, float(steepest)):
        if np.allclose(factor * phi(grid), values, rtol=1e-6, atol=1e-6 * float(steepest)):
            return phi, factor
    if only_named:
        return None
    try:
        phi = custom(function, bends=function.turns, name=function.label or "composite")
        feature_moments(phi, 0.5)  # a turn that is not among its bends shows here
    except ValueError:
        return None
    return phi, 1.0


def _candidates(
    grid: NDArray[np.float64], values: NDArray[np.float64], steepest: float
) -> Iterator[tuple[Activation, float]]:
    """Named activations with the parameters that a function would have, were it one of them."""
    unit = values / steepest
    at_zero, lowest = float(np.interp(0.0, grid, unit)), float(unit[0])
    rises = float((unit[1] - unit[0]) / (grid[1] - grid[0]))
    if abs(at_zero) < 1e-9:
        if 0.0 <= rises < 1.0 - 1e-9:
            yield (named.relu() if rises < 1e-9 else named.leaky_relu(round(rises, 9))), steepest
        if -GREATEST_WIDTH < lowest < -1e-9:
            if lowest >= -1.0 - 1e-9:
                yield named.elu(min(round(-lowest, 9), 1.0)), steepest
            yield named.celu(round(-lowest, 9)), steepest
    elif at_zero > 0.0:
        yield named.softplus(float(f"{math.log(2.0) / at_zero:.6g}")), steepest


GREATEST_WIDTH = 3.0
"""Up to here a CELU has reached its smallest value at the end of the grid."""
