"""What is known of a part of an array: cut out of a concatenation, it is what it was made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, Value
from convex_init_core.convexity.rules.element_wise import SINGLE, claim_of, size_of
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import keeps_numbers

_MOST = 100  # nodes that are looked at for one part


@dataclass(frozen=True)
class _Span:
    """Elements ``start`` to ``stop`` along an axis."""

    axis: int
    start: int
    stop: int


def cut_out(node: Node, values: Values) -> Value | None:
    """Return what is known of a slice from the arrays of which it has elements; ``None`` if it is the whole.

    Args:
        node: a slice.
        values: of the nodes before it.
    """
    whole = node.inputs[0]
    for axis, size in enumerate(whole.shape):
        start, stop = node.params["starts"][axis], min(node.params["stops"][axis], size)
        if (start, stop) != (0, size) and start < stop:
            found = _Cutter(values).part(whole, _Span(axis, start, stop))
            if found is not values[whole]:
                return found
    return None


@dataclass(eq=False)
class _Cutter:
    values: Values
    seen: int = 0

    def part(self, node: Node, span: _Span) -> Value:
        self.seen += 1
        if (span.start, span.stop) == (0, node.shape[span.axis]) or self.seen > _MOST or node.is_fixed:
            return self.values[node]
        found = self._of_parts(node, span) or self._moved(node, span) or self._computed(node, span)
        whole = self.values[node]
        # What several operations make together is known of the whole only, and true of each part.
        if found is None or (found.curvature is Curvature.UNKNOWN and whole.curvature.is_convex):
            return whole
        return found

    def _of_parts(self, node: Node, span: _Span) -> Value | None:
        if node.name == "concatenate":
            axis = node.params["axis"]
            if axis != span.axis:
                if any(len(part.shape) != len(node.shape) for part in node.inputs):
                    return None
                return calculus.side_by_side([self.part(part, span) for part in node.inputs], node.at)
            met, at = [], 0
            for part in node.inputs:
                size = part.shape[min(axis, len(part.shape) - 1)]  # torch lets empty arrays of shape (0,) join in
                start, stop = max(span.start - at, 0), min(span.stop - at, size)
                if start < stop:
                    met.append(self.part(part, _Span(axis, start, stop)))
                at += size
            return calculus.side_by_side(met, node.at)
        if node.name == "stack":
            axis = node.params["axis"]
            if axis == span.axis:
                return calculus.side_by_side(
                    [self.values[part] for part in node.inputs[span.start : span.stop]], node.at
                )
            inner = replace(span, axis=span.axis - (axis < span.axis))
            return calculus.side_by_side([self.part(part, inner) for part in node.inputs], node.at)
        return None

    def _moved(self, node: Node, span: _Span) -> Value | None:
        source = node.inputs[0] if node.inputs else None
        if source is None:
            return None
        if node.name == "transpose":
            return self.part(source, replace(span, axis=node.params["axes"][span.axis]))
        if node.name == "slice" and node.params["steps"][span.axis] == 1:
            begin = node.params["starts"][span.axis]
            return self.part(source, _Span(span.axis, begin + span.start, begin + span.stop))
        if node.name == "broadcast":
            axis = span.axis - len(node.shape) + len(source.shape)
            if axis >= 0 and source.shape[axis] == node.shape[span.axis]:
                return self.part(source, replace(span, axis=axis))
        if node.name == "pad":
            before = node.params["widths"][span.axis][0]
            if before <= span.start and span.stop <= before + source.shape[span.axis]:
                inner = self.part(source, _Span(span.axis, span.start - before, span.stop - before))
                others = any(any(width) for axis, width in enumerate(node.params["widths"]) if axis != span.axis)
                return calculus.side_by_side([inner, self.values[node.inputs[1]]], node.at) if others else inner
        return self._reshaped(node, source, span) if node.name == "reshape" else None

    def _reshaped(self, node: Node, source: Node, span: _Span) -> Value | None:
        """As many rows before the axis, and as many elements, or a multiple of them that is cut as a whole."""
        before = math.prod(node.shape[: span.axis])
        for place, size in enumerate(source.shape):
            if math.prod(source.shape[:place]) != before:
                continue
            block, axis = 1, span.axis + 1
            while node.shape[span.axis] * block < size and axis < len(node.shape):
                block, axis = block * node.shape[axis], axis + 1
            if node.shape[span.axis] * block == size:
                return self.part(source, _Span(place, span.start * block, span.stop * block))
        return None

    def _computed(self, node: Node, span: _Span) -> Value | None:
        values = self.values
        if node.name in ("cast", "relu", "negate", *SINGLE) and node.inputs[0].shape == node.shape:
            inner = self.part(node.inputs[0], span)
            if node.name == "cast":
                return inner if keeps_numbers(node) else None
            if inner is values[node.inputs[0]]:
                return None
            if node.name == "negate":
                return calculus.negate(inner)
            claim = claim_of(node.name, **node.params)
            if claim.even and size_of(node.inputs[0], values) is not values[node.inputs[0]]:
                return None
            return calculus.apply(claim, inner, node.at)
        if node.name not in ("add", "subtract", "multiply", "divide"):
            return None
        a, b = (self._operand(part, node, span) for part in node.inputs)
        if node.name == "multiply" and values.are_same(*node.inputs):
            return None
        if node.name == "divide":
            number = values.number(node.inputs[1])
            return calculus.multiply(b, a, node.at) if number else None
        if node.name == "multiply":
            return calculus.multiply(a, b, node.at) if a.is_constant or b.is_constant else None
        return calculus.add([a, calculus.negate(b) if node.name == "subtract" else b], node.at)

    def _operand(self, part: Node, node: Node, span: _Span) -> Value:
        """A part of an operand, which may be spread over the axis."""
        axis = span.axis - len(node.shape) + len(part.shape)
        if axis < 0 or part.shape[axis] != node.shape[span.axis]:
            return self.values[part]
        return self.part(part, replace(span, axis=axis))
