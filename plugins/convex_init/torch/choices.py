"""Read a function that is written out by a choice, such as ``torch.where(x > 0, x, 0.2 * x)`` or ``x * (x > 0)``."""

from __future__ import annotations

from typing import Any

from convex_init.torch.recording import Node
from convex_init_core.convexity import piecewise as pieces
from convex_init_core.convexity.calculus import ElementWise
from convex_init_core.convexity.piecewise import Piece

_ABOVE, _BELOW = ("gt", "ge"), ("lt", "le")


def chosen(condition: Any, if_true: Any, if_false: Any) -> tuple[ElementWise, Node] | None:
    """Return the element-wise function that a choice writes out, and its argument; ``None`` if it is none that we know.

    Args:
        condition: node of a comparison of the argument with a number.
        if_true: node or number.
        if_false: node or number.
    """
    while isinstance(condition, Node) and condition.operation in ("_to_copy", "alias", "detach"):
        condition = condition.args[0]
    if not isinstance(condition, Node) or condition.operation not in (*_ABOVE, *_BELOW):
        return None
    argument, place = condition.args[0], _number(condition.args[1])
    if not isinstance(argument, Node) or place is None:
        return None
    over, under = (if_true, if_false) if condition.operation in _ABOVE else (if_false, if_true)
    above, below = _piece(over, argument, place, True), _piece(under, argument, place, False)
    return None if above is None or below is None else (pieces.meeting(below, above), argument)


def _number(part: Any) -> float | None:
    if isinstance(part, Node):
        return part.bounds[0] if part.fixed and part.bounds is not None and part.bounds[0] == part.bounds[1] else None
    return float(part) if isinstance(part, (int, float)) else None


def _piece(part: Any, argument: Node, place: float, above: bool) -> Piece | None:
    """A node as a function of ``argument`` on one side of a place."""
    number = _number(part)
    if number is not None:
        return pieces.flat(number)
    if part is argument:
        return pieces.here(place)
    if not isinstance(part, Node) or not part.args:
        return None
    name, keywords = part.operation, part.keywords
    first = _piece(part.args[0], argument, place, above)
    if first is None:
        return None
    if name == "neg":
        return first.times(-1.0)
    if name in ("exp", "expm1"):
        return first.exp(1.0 if name == "expm1" else 0.0)
    if name in ("clamp", "clamp_min", "clamp_max"):
        return first if first.identity and _keeps(part, place, above) else None
    if name == "square" or (name == "pow" and part.args[1] == 2) or (name == "mul" and part.args[0] is part.args[1]):
        return first.square(above)
    if len(part.args) < 2:
        return None
    second, factor = _piece(part.args[1], argument, place, above), float(keywords.get("alpha", 1.0))
    if second is None:
        return None
    if name == "add":
        return first + second.times(factor)
    if name == "sub":
        return first + second.times(-factor)
    if name == "rsub":
        return second + first.times(-factor)
    numbers = _number(part.args[0]), _number(part.args[1])
    if name == "mul" and numbers[0] is not None:
        return second.times(numbers[0])
    if name in ("mul", "div") and numbers[1]:
        return first.times(numbers[1] if name == "mul" else 1.0 / numbers[1])
    return None


def _keeps(part: Node, place: float, above: bool) -> bool:
    """Whether a clamp does nothing on one side of a place, as in ``exp(x.clamp(max=0))`` for x < 0."""
    bounds = {"clamp_min": (1, None), "clamp_max": (None, 1), "clamp": (1, 2)}[part.operation]
    names = ("min", "max")
    low, high = (
        None if i is None else part.args[i] if len(part.args) > i else part.keywords.get(name)
        for i, name in zip(bounds, names, strict=True)
    )
    if above:
        return high is None and (low is None or (_number(low) is not None and float(_number(low) or 0.0) <= place))
    return low is None and (high is None or (_number(high) is not None and float(_number(high) or 0.0) >= place))
