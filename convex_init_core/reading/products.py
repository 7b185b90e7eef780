"""Products with weights: which parameter is behind each, what it multiplies, and how many elements a result sums."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from convex_init_core.convexity.calculus import Value
from convex_init_core.graph.nodes import Graph, Node
from convex_init_core.reading.behind_a_weight import NoMap, Traced, main_parameter, trace
from convex_init_core.reading.factors import Numbers
from convex_init_core.reading.fixed.reductions import reduction
from convex_init_core.reading.parts import Factor, Product
from convex_init_core.weights.fans import transposed_convolution_fan_in


@dataclass(frozen=True, eq=False)
class _Block:
    """A part of a product: the numbers ``start`` to ``stop`` of its summed axis."""

    weight: Node
    data: Node
    start: int
    stop: int


@dataclass(eq=False)
class Products:
    """The products of a graph.

    Attributes:
        by_node: usually one; several where parts of the summed axis have weights or roles of their own.
        reduced: sums and means of products element by element, with the product and the factor of its elements.
        of_positions: those among them that sum positions as well, which share the weight of their channel.
        problems: names of parameters that could not be read, and why.
        left: names of free parameters that stay as they are, and why.
    """

    graph: Graph
    values: Mapping[Node, Value]
    consumers: Mapping[Node, list[Node]]
    positive: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    numbers: Numbers = field(default_factory=Numbers)
    by_node: dict[Node, list[Product]] = field(default_factory=dict)
    reduced: dict[Node, tuple[Node, Factor]] = field(default_factory=dict)
    of_positions: set[Node] = field(default_factory=set)
    problems: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)

    def find(self) -> Products:
        """Look at every node."""
        for node in self.graph:
            if node.is_fixed or self.values[node].is_constant:
                continue
            if node.name in ("contract", "convolve"):
                self._linear(node)
            elif node.name == "multiply":
                self._element_wise(node)
        return self

    def _operands(self, node: Node) -> tuple[Node, Node] | None:
        """The fixed weight and the data of a product, if it is one."""
        weight = next((part for part in node.inputs if part.is_fixed and part.parameters), None)
        data = next((part for part in node.inputs if not part.is_fixed), None)
        if weight is None or data is None or self.values[data].is_constant:
            return None
        return weight, data

    def _linear(self, node: Node) -> None:
        operands = self._operands(node)
        if operands is None:
            return
        try:
            fan_in = _fan_in(node, operands[0])
        except ValueError as error:
            self.problems.append((main_parameter(operands[0]), str(error)))
            return
        blocks = list(_blocks(node, *operands))
        width = blocks[-1].stop if blocks else 0
        for weight, found in _by_weight(blocks) if len(blocks) > 1 else [(operands[0], [])]:
            traced = self._traced(weight, [block.data for block in found] or [operands[1]])
            if traced is None:
                continue
            is_mixed = len({self._role(traced.source, block.data) for block in found}) > 1
            if not found or (len(found) == len(blocks) and not (is_mixed and traced.positivity is None)):
                self._add(node, traced, operands[1], fan_in)
            elif is_mixed and traced.positivity is None:
                for block in found:
                    columns = (block.start - found[0].start, block.stop - found[0].start)
                    self._add(node, traced, block.data, fan_in * (block.stop - block.start) / width, columns)
            else:
                data = found[0].data if len(found) == 1 else operands[1]
                self._add(node, traced, data, fan_in * (found[-1].stop - found[0].start) / width)

    def _element_wise(self, node: Node) -> None:
        """A weight for each feature, whose products are summed by the next operations: ``(w * z).sum(1)``."""
        operands = self._operands(node)
        reduced = None if operands is None else reduction(node, self.consumers)
        if operands is None or reduced is None:
            return
        weight, data = operands
        ahead_of_weight = len(node.shape) - len(weight.shape)
        own = (1,) * ahead_of_weight + weight.shape
        fan_in = math.prod(node.shape[axis] for axis in reduced.axes if own[axis] > 1)
        # A number for a whole channel, of which only positions are summed, is a gain.
        if fan_in == 1 or not self._role(weight.parameters[0], data):
            return
        try:
            traced = trace(weight, self.numbers)
        except NoMap:
            return
        self._add(node, traced, data, float(fan_in))
        first = 1 if len(reduced.axes) == len(node.shape) else 0  # examples, where all is summed
        shared = [axis for axis in reduced.axes if own[axis] == 1 and axis >= max(ahead_of_weight, first)]
        positions = math.prod(node.shape[axis] for axis in shared)
        # The sum over the positions of a channel counts as one feature, as large as if they were all the same.
        scale = positions / reduced.divisor
        self.reduced[reduced.last] = node, Factor(scale, scale**2, scale)
        if positions > 1:
            self.of_positions.add(reduced.last)

    def _traced(self, weight: Node, datas: list[Node]) -> Traced | None:
        """What is behind a weight; ``None`` if it cannot be read, with a problem or a note."""
        if not weight.parameters:
            return None
        is_convex = not all(self.values[data].curvature.is_affine for data in datas)
        try:
            return trace(weight, self.numbers)
        except NoMap as error:
            names = set(weight.parameters)
            positive = bool(names & self.positive) or (is_convex and not names & self.free)
            found = self.problems if positive else self.left  # orthogonal, normed, of low rank: it may have either sign
            found.append((main_parameter(weight), str(error)))
            return None

    def _role(self, source: str, data: Node) -> bool:
        """Whether a weight is positive: the user's word counts more than the data's curvature."""
        if source in self.positive or source in self.free:
            return source in self.positive
        return not self.values[data].curvature.is_affine

    def _add(
        self, node: Node, traced: Traced, data: Node, fan_in: float, columns: tuple[int, int] | None = None
    ) -> None:
        positive = self._role(traced.source, data)
        product = Product(
            node, traced.source, data, fan_in, traced.positivity, traced.factor, positive, columns=columns
        )
        self.by_node.setdefault(node, []).append(product)


def _fan_in(node: Node, weight: Node) -> float:
    """How many elements of the data one result sums.

    Raises:
        ValueError: for a transposed convolution that leaves some results without any.
    """
    if node.name == "contract":
        return float(math.prod(node.inputs[0].shape[axis] for axis in node.params["axes"][0]))
    _, channel, *window = node.params["weight_axes"]
    kernel = [weight.shape[axis] for axis in window]
    if not node.params["transposed"]:
        return float(weight.shape[channel] * math.prod(kernel))
    strides, groups, dilation = (node.params[name] for name in ("strides", "groups", "dilation"))
    return transposed_convolution_fan_in(weight.shape[channel], kernel, strides, groups, dilation)


def _blocks(node: Node, weight: Node, data: Node) -> Iterator[_Block]:
    """The parts that are put side by side along the one summed axis, of the weight and of the data."""
    axes = _summed_axes(node, weight)
    if axes is None:
        return
    weights, datas = parts_along(weight, axes[0]), parts_along(data, axes[1])
    cuts = sorted({start for _, start in (*weights, *datas)})
    for start, stop in zip(cuts, [*cuts[1:], weight.shape[axes[0]]], strict=True):
        own = next(part for part, at in reversed(weights) if at <= start)
        taken = next(part for part, at in reversed(datas) if at <= start)
        yield _Block(own, taken, start, stop)


def _by_weight(blocks: list[_Block]) -> Iterator[tuple[Node, list[_Block]]]:
    """The blocks of each part of the weight."""
    found: dict[Node, list[_Block]] = {}
    for block in blocks:
        found.setdefault(block.weight, []).append(block)
    yield from found.items()


def _summed_axes(node: Node, weight: Node) -> tuple[int, int] | None:
    """The one axis of the weight, and that of the data, along which a product sums."""
    if node.name == "convolve":
        if node.params["groups"] != 1:
            return None
        return node.params["weight_axes"][1], node.params["data_axes"][1]
    first, second = node.params["axes"]
    if len(first) != 1:
        return None
    return (first[0], second[0]) if node.inputs[0] is weight else (second[0], first[0])


def parts_along(node: Node, axis: int) -> list[tuple[Node, int]]:
    """Return the nodes that are put side by side along an axis, each with where it starts; the node alone if none."""
    found: list[tuple[Node, int]] = []
    stack = [(node, axis, 0)]
    while stack:
        part, along, start = stack.pop()
        inner, own = part, along
        while (before := _axis_before(inner, own)) is not None:
            inner, own = inner.inputs[0], before
        if inner.name == "concatenate" and inner.params["axis"] == own:
            ends = [start]
            for one in inner.inputs:
                ends.append(ends[-1] + one.shape[own])
            stack += reversed([(one, own, at) for one, at in zip(inner.inputs, ends, strict=False)])
        else:
            found.append((part, start))
    return found


def sees_both_signs(data: Node) -> bool:
    """Whether a value holds some input beside its negative, ``[u, −u]``: non-negative weights of it lose nothing."""
    parts = [part for axis in range(len(data.shape)) for part, _ in parts_along(data, axis) if part is not data]
    return any(part.name == "negate" and part.inputs[0] in parts for part in parts)


def _axis_before(node: Node, axis: int) -> int | None:
    """The axis of the first input that a move turned into ``axis``, whole and in order; ``None`` if there is none."""
    if node.name == "transpose":
        return int(node.params["axes"][axis])
    if node.name == "cast":
        return axis
    if node.name in ("reshape", "broadcast"):
        behind = len(node.shape) - axis
        before = node.inputs[0].shape
        if behind <= len(before) and before[len(before) - behind :] == node.shape[axis:]:
            return len(before) - behind
    return None
