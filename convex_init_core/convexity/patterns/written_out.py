"""Read a function that is written out by a choice, such as ``where(x > 0, x, 0.2 * x)`` or ``x * (x > 0)``."""

from __future__ import annotations

from convex_init_core.convexity import piecewise as pieces
from convex_init_core.convexity.calculus import ElementWise
from convex_init_core.convexity.piecewise import Piece
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import keeps_numbers, rounding_of

_ABOVE, _BELOW = (">", ">="), ("<", "<=")
_DEPTH = 8  # of the expressions that are looked into


def chosen(
    condition: Node, if_true: Node, if_false: Node | float, values: Values, dtype: str
) -> tuple[ElementWise, Node] | None:
    """Return the element-wise function that a choice writes out, and its argument; ``None`` if it is none that we know.

    Args:
        condition: a comparison of the argument with a number.
        if_true: taken where it holds.
        if_false: taken elsewhere.
        values: of the nodes before it.
        dtype: in which the function is computed.
    """
    condition = _unchanged(condition)
    if condition.name != "compare" or condition.params["relation"] not in (*_ABOVE, *_BELOW):
        return None
    argument, place = condition.inputs[0], values.number(condition.inputs[1])
    if_above = condition.params["relation"] in _ABOVE
    if place is None:  # the number may stand before the sign
        argument, place, if_above = condition.inputs[1], values.number(condition.inputs[0]), not if_above
    if place is None:
        return None
    over, under = (if_true, if_false) if if_above else (if_false, if_true)
    above = _Side(argument, place, True, values).piece(over)
    below = _Side(argument, place, False, values).piece(under)
    rounding = rounding_of(dtype)
    return None if above is None or below is None else (pieces.meeting(below, above, rounding), argument)


def _unchanged(node: Node) -> Node:
    while node.name in ("cast", "reshape", "broadcast") and node.shape == node.inputs[0].shape:
        if node.name == "cast" and not keeps_numbers(node):
            break
        node = node.inputs[0]
    return node


class _Side:
    """Expressions as functions of one argument, on one side of a place."""

    def __init__(self, argument: Node, place: float, above: bool, values: Values) -> None:
        self.argument, self.place, self.above, self.values = argument, place, above, values

    def piece(self, part: Node | float, depth: int = _DEPTH) -> Piece | None:
        if not isinstance(part, Node):
            return pieces.flat(part)
        number = self.values.number(part)
        if number is not None:
            return pieces.flat(number)
        if self.values.are_same(part, self.argument):
            return pieces.here(self.place)
        if depth == 0 or not part.inputs or part.name not in _READ:
            return None
        if part.name in ("cast", "reshape", "broadcast"):
            inner = _unchanged(part)
            return None if inner is part or inner.kind is not part.kind else self.piece(inner, depth - 1)
        if part.name in ("maximum", "minimum", "relu"):
            return self._bounded(part)
        parts = [self.piece(item, depth - 1) for item in part.inputs]
        first, second = parts[0], parts[-1]
        if first is None or second is None:
            return None
        return self._combined(part, first, second)

    def _combined(self, part: Node, first: Piece, second: Piece) -> Piece | None:
        name, numbers = part.name, [self.values.number(item) for item in part.inputs]
        if name == "negate":
            return first.times(-1.0)
        if name in ("exp", "expm1"):
            return first.exp(1.0 if name == "expm1" else 0.0)
        if name == "square" or (name == "power" and numbers[1] == 2.0):
            return first.square(self.above)
        if name == "add":
            return first + second
        if name == "subtract":
            return first + second.times(-1.0)
        if name == "multiply":
            if self.values.are_same(*part.inputs):
                return first.square(self.above)
            if numbers[0] is not None:
                return second.times(numbers[0])
            return None if numbers[1] is None else first.times(numbers[1])
        return first.times(1.0 / numbers[1]) if name == "divide" and numbers[1] else None

    def _bounded(self, part: Node) -> Piece | None:
        """Read ``max(s, c)`` or ``min(s, c)``, which is s or c on one side of a place, as in ``exp(min(x, 0))``."""
        data, bound = part.inputs[0], 0.0 if part.name == "relu" else self.values.number(part.inputs[1])
        if bound is None:
            data, bound = part.inputs[1], self.values.number(part.inputs[0])
        if bound is None or not self.values.are_same(_unchanged(data), self.argument):
            return None
        if self.above if part.name != "minimum" else not self.above:
            # The larger values of a maximum, or the smaller of a minimum: s itself if the bound lies behind.
            kept = bound <= self.place if self.above else bound >= self.place
            return pieces.here(self.place) if kept else None
        reached = bound >= self.place if part.name != "minimum" else bound <= self.place
        return pieces.flat(bound) if reached else None


_READ = frozenset(
    ("cast", "reshape", "broadcast", "maximum", "minimum", "relu", "negate", "exp", "expm1", "square", "power", "add")
) | {"subtract", "multiply", "divide"}
