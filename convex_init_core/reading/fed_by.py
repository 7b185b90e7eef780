"""What feeds a layer: the activation between it and the layer before, named or written out of smaller operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity.calculus import Value
from convex_init_core.graph.function_of_one import FunctionOfOne, bases_of, between
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.graph.walks import parts_first
from convex_init_core.theory import activations as named
from convex_init_core.theory.activations import Activation
from convex_init_core.theory.moments import feature_moments

_JOINS = ("concatenate", "stack", "join")
_PASSED = ("dropout", "pad")
_POOLS = ("window_max", "max")
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
            self._at[node] = self._named(node) or self._written_out(node)
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
        if node.name in (*_JOINS, "add", "subtract"):
            return [part for part in node.inputs if not self.values[part].curvature.is_affine]
        return [self.passed_by(node)] if is_passed_on(node) or node.name in _SCALES else []

    def _one_behind(self, node: Node) -> Activation | None:
        found = self.activation_at(node)
        if found is not None:
            return found[0]
        if node.name in ("contract", "convolve"):
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
                is_zero = len(others) == 1 and others[0].number == 0.0
                return ((named.relu if node.name == "maximum" else named.softplus)(), taken, 1.0) if is_zero else None
            if node.name == "prelu":
                slope = others[0].number if others else None
                return None if slope is None else (named.prelu(slope), taken, 1.0)
            if node.name == "elu":
                return _elu(node, taken)
            if node.name == "threshold":
                return (named.relu(), taken, 1.0) if node.params["at"] == node.params["value"] == 0.0 else None
            make = _MADE_BY.get(node.name)
            return None if make is None else (make(node), taken, 1.0)
        except ValueError:  # parameters for which it is not convex
            return None

    def _written_out(self, node: Node) -> Found | None:
        """An activation that is put together from several operations, known by its values."""
        if not node.op.element_wise or node.op.numpy is None or not self._is_data(node):
            return None
        if node.name in (*_SCALES, "add", "subtract") and sum(map(self._is_data, node.inputs)) < 2:
            return None  # a factor or a summand, which is looked through
        for base in bases_of(node, self.order):
            if not self._is_data(base):
                return None
            try:
                function = between(base, node)
            except ValueError:
                return None
            found = recognised(function)
            if found is not None:
                return found[0], base, found[1]
        return None


def _elu(node: Node, taken: Node) -> Found | None:
    alpha, scale, inner = (node.params[name] for name in ("alpha", "scale", "input_scale"))
    if inner == 1.0:
        return named.elu(alpha), taken, scale
    # CELU is executed as ELU with a scale for the argument: its α is that of the exponential's width.
    is_celu = abs(alpha * inner - 1.0) < 1e-6 and scale == 1.0
    return (named.celu(alpha), taken, 1.0) if is_celu else None


_MADE_BY: dict[str, Callable[[Node], Activation]] = {
    "relu": lambda node: named.relu(),
    "leaky_relu": lambda node: named.leaky_relu(node.params["slope"]),
    "softplus": lambda node: named.softplus(node.params["beta"], node.params["threshold"]),
}


def is_passed_on(node: Node) -> bool:
    """Whether an operation moves, pools or sums features: the activation that feeds the next layer is before it."""
    return bool(node.inputs) and (node.op.moves or node.op.reduces or node.name in (*_PASSED, *_POOLS))


def recognised(function: FunctionOfOne) -> tuple[Activation, float] | None:
    """Return the activation that a function is, and its factor; ``None`` if it is none that may feed a layer."""
    grid, values = function.on_grid
    if not np.all(np.isfinite(values)):
        return None
    steepest = (values[-1] - values[-2]) / (grid[-1] - grid[-2])
    if steepest <= 0.0:
        return None
    for phi, factor in _candidates(grid, values, float(steepest)):
        if np.allclose(factor * phi(grid), values, rtol=1e-6, atol=1e-6 * float(steepest)):
            return phi, factor
    try:
        phi = named.custom(function, bends=_bends(function), name=function.label or "composite")
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
            yield named.celu(round(-lowest, 9)), steepest
            if -lowest <= 1.0:
                yield named.elu(round(-lowest, 9)), steepest
    elif at_zero > 0.0:
        yield named.softplus(float(f"{math.log(2.0) / at_zero:.6g}")), steepest


GREATEST_WIDTH = 3.0
"""Up to here a CELU has reached its smallest value at the end of the grid."""


def _bends(function: FunctionOfOne) -> tuple[float, ...]:
    """The kinks of a function: places where its slope changes by as much, however near one looks."""
    grid, values = function.on_grid
    turns = np.diff(values, 2)
    scale = max(float(np.abs(np.diff(values)).max()), 1e-30)
    padded = np.pad(turns, 1)
    is_peak = (turns > 1e-3 * scale) & (turns >= padded[:-2]) & (turns >= padded[2:])
    found: list[float] = []
    for peak in np.flatnonzero(is_peak)[:50]:
        place = _kink(function, float(grid[peak]), float(grid[peak + 2]))
        if place is not None and not any(abs(place - other) < 1e-6 for other in found):
            found.append(place)
    return tuple(found)


def _kink(function: FunctionOfOne, low: float, high: float) -> float | None:
    """The place of a kink between two numbers, by where the lines from both sides meet."""
    width = high - low
    reach = 1e-3 * width
    left, right = (function(np.array([end - reach, end])) for end in (low, high))
    slopes = float(np.diff(left)[0]) / reach, float(np.diff(right)[0]) / reach
    jump = slopes[1] - slopes[0]
    if jump <= 1e-9:
        return None
    place = (float(left[1]) - float(right[1]) - slopes[0] * low + slopes[1] * high) / jump
    if not low <= place <= high:
        return None
    place = round(place, 12)
    near = 1e-4 * width
    outer = function(np.array([place - 2.0 * near, place - near, place + near, place + 2.0 * near]))
    change = float((outer[3] - outer[2]) - (outer[1] - outer[0])) / near
    return place if change > 0.5 * jump else None
