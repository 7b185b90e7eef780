"""A node as a function of one number: between two places, so that no choice on the way changes, or at one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from convex_init_core.convexity.one_number import terms as factors
from convex_init_core.convexity.one_number.polynomial import STEPS, Polynomial
from convex_init_core.convexity.one_number.smooth import SMOOTH, exponential_of
from convex_init_core.convexity.one_number.terms import Factor, NotKnown, Terms
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import keeps_numbers

_FAINTEST = -16.0  # exponent; smaller ones may underflow to 0, in half precision first


class Turns(Exception):
    """Between the two places a choice changes: they have to be looked at one by one."""

    def __init__(self, places: list[float]) -> None:
        """Keep where it changes."""
        super().__init__()
        self.places = places


class Side:
    """The terms of nodes between two places.

    Attributes:
        low: where it begins; may be −∞.
        high: where it ends; may be ∞. The same as ``low`` for what holds at that place alone.
        plain: what has the rounding that counts, to make others from.
        at_zero: the sign that a choice finds at one place in what is 0 there but for rounding.
    """

    def __init__(self, low: float, high: float, plain: Terms, base: Node, at_zero: float = 0.0) -> None:
        """Start with the argument itself."""
        self.low, self.high, self.plain, self.at_zero = low, high, plain, at_zero
        self._known: dict[Node, Terms | None] = {base: plain.plain(0.0, 1.0)}
        self._numbers: dict[float, Terms] = {}

    def learn(self, node: Node, number: float | None) -> None:
        """Find the terms of a node from those of its inputs.

        Args:
            node: whose inputs are known.
            number: that all its elements are, if it is one.

        Raises:
            Turns: if a choice changes between the places.
        """
        if number is not None:
            self._known[node] = self.number(number)
            return
        try:
            self._known[node] = self._found(node)
        except NotKnown:  # it may not be chosen
            self._known[node] = None

    def of(self, node: Node) -> Terms:
        """Return the terms of a node.

        Raises:
            NotKnown: if they are not known.
        """
        found = self._known[node]
        if found is None:
            raise NotKnown
        return found

    def number(self, number: float) -> Terms:
        """Return the terms of a number: the same object for the same number."""
        return self._numbers.setdefault(number, self.plain.plain(number))

    def _found(self, node: Node) -> Terms:
        if node.name == "where":
            condition, if_true, if_false = node.inputs
            return self.of(if_true if self._plain_number(self.of(condition)) != 0.0 else if_false)
        if node.name == "cast" and not keeps_numbers(node):
            raise NotKnown
        parts = [self.of(part) for part in node.inputs]
        if node.name in ("cast", "reshape", "broadcast"):
            return parts[0]
        if node.name in _PIECES:
            return _PIECES[node.name](self, parts, node.params)
        if node.name in SMOOTH:
            return SMOOTH[node.name](parts, node.params)
        raise NotKnown

    def sign(self, of: Terms) -> float:
        """Return the sign that a function has between the two places; 0 where it is 0 but for rounding.

        Raises:
            Turns: if it changes.
            NotKnown: if it is not seen.
        """
        kept = of.kept
        if not kept:
            return 0.0
        if self.low == self.high:
            number = of.at(self.low)
            is_zero = abs(number) <= STEPS * of.rounding * of.size_at(self.low)
            return 0.0 if is_zero else math.copysign(1.0, number)
        places = self._turns(kept, of.rounding)
        if places:
            raise Turns(places)
        inside = _between(self.low, self.high)
        number = of.at(inside)
        if not abs(number) > STEPS * of.rounding * of.size_at(inside):
            raise NotKnown  # it has a sign there, and rounding or underflow hide it
        return math.copysign(1.0, number)

    def order(self, one: Terms, other: Terms) -> float:
        """Return the sign of a difference as it is computed, for a choice that may jump.

        Raises:
            Turns: if it changes.
            NotKnown: if it is not seen, or rounding or underflow may turn it somewhere between the two places.
        """
        if one is other:
            return 0.0
        difference = one + other.times(-1.0)
        cancelled = difference.cancelled
        if not difference.kept and not cancelled:
            return 0.0
        sign = self.sign(difference)
        if self.low == self.high:
            return sign or self.at_zero
        if sign == 0.0 or any(factor != Factor() or degree for factor, degree in cancelled):
            raise NotKnown  # what cancels may be as large as it likes, and its rounding, too
        if self._fades(difference.kept, difference.rounding * sum(cancelled.values())):
            raise NotKnown
        return sign

    def _fades(self, kept: dict[Factor, Polynomial], noise: float) -> bool:
        """Whether an exponential, with nothing beside it, comes so near to 0 that rounding or underflow hide it."""
        if Factor() in kept:
            return False
        ((factor, above),) = kept.items()
        least = min(factor.inner[1] * place for place in (self.low, self.high))
        faintest = max(_FAINTEST, math.log(STEPS * noise)) if noise else _FAINTEST
        return least + math.log(abs(above.numbers[0])) < faintest

    def _turns(self, kept: dict[Factor, Polynomial], rounding: float) -> list[float]:
        if set(kept) == {Factor()}:
            found = kept[Factor()].zeros(self.low, self.high, rounding)
        else:
            found = _turn_of_exponential(kept)
        if found is None:
            raise NotKnown
        return [place for place in found if self.low < place < self.high]

    def _plain_number(self, of: Terms) -> float:
        polynomial = of.polynomial.numbers
        if len(polynomial) > 1:
            raise NotKnown
        return polynomial[0] if polynomial else 0.0

    def product(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``a b``; a mask of 0 does not hide what is infinite."""
        for part, other in (parts, parts[::-1]):
            ends = [place for place in (self.low, self.high) if math.isinf(place)]
            if not part.kept and not all(_vanishes(other, place) for place in ends):
                raise NotKnown
        return parts[0] * parts[1]

    # Pieces

    def larger(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``max(a, b)``."""
        return parts[0] if self.sign(parts[0] + parts[1].times(-1.0)) >= 0.0 else parts[1]

    def smaller(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``min(a, b)``."""
        return parts[1] if self.sign(parts[0] + parts[1].times(-1.0)) >= 0.0 else parts[0]

    def hinge(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``relu``."""
        return parts[0] if self.sign(parts[0]) >= 0.0 else self.number(0.0)

    def size(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``|s|``."""
        return parts[0].times(1.0 if self.sign(parts[0]) >= 0.0 else -1.0)

    def side(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``sign(s)``."""
        return self.number(self.order(parts[0], self.number(0.0)))

    def leaky(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``max(s, αs)`` for α as a parameter or an input."""
        slope = float(str(params["slope"])) if "slope" in params else self._plain_number(parts[1])
        return parts[0].times(1.0 if self.sign(parts[0]) >= 0.0 else slope)

    def replaced(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """``s`` above a place, else a number."""
        at, value = self.number(float(str(params["at"]))), self.number(float(str(params["value"])))
        return parts[0] if self.order(parts[0], at) > 0.0 else value

    def rounded_corner(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """Huber's function."""
        delta = float(str(params["delta"]))
        inside = self.smaller([self.size(parts, params), self.plain.plain(delta)], params)
        return inside * inside.times(0.5) + (self.size(parts, params) + inside.times(-1.0)).times(delta)

    def exponential_below(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """ELU and its relatives."""
        alpha, scale, inner = (float(str(params[name])) for name in ("alpha", "scale", "input_scale"))
        if self.sign(parts[0]) >= 0.0:
            return parts[0].times(scale)
        return (exponential_of([parts[0].times(inner)], params) + self.plain.plain(-1.0)).times(scale * alpha)

    def compared(self, parts: list[Terms], params: Mapping[str, object]) -> Terms:
        """1 where a relation holds, else 0."""
        relation = str(params["relation"])
        sign = self.order(parts[0], parts[1])
        holds = {">": sign > 0.0, ">=": sign >= 0.0, "<": sign < 0.0, "<=": sign <= 0.0}
        if relation not in holds:
            raise NotKnown
        return self.number(float(holds[relation]))


def _vanishes(of: Terms, place: float) -> bool:
    """Whether no exponential of a sum grows without bounds towards one end."""
    return all(
        factor.inner[-1] * math.copysign(1.0, place) ** (len(factor.inner) - 1) < 0.0
        for factor in of.kept
        if factor.name == factors.EXP
    )


def _between(low: float, high: float) -> float:
    if math.isfinite(low) and math.isfinite(high):
        return 0.5 * (low + high)
    return low + 1.0 if math.isfinite(low) else high - 1.0 if math.isfinite(high) else 0.0


def _turn_of_exponential(kept: dict[Factor, Polynomial]) -> list[float] | None:
    """Where ``a exp(c + k s) + b`` changes its sign."""
    others = [factor for factor in kept if factor != Factor()]
    if len(others) != 1 or others[0].name != factors.EXP or len(others[0].inner) != 2:
        return None
    above, beside = kept[others[0]].numbers, kept.get(Factor(), Polynomial()).numbers
    if len(above) != 1 or len(beside) > 1:
        return None
    if not beside or beside[0] * above[0] > 0.0:
        return []
    return [math.log(-beside[0] / above[0]) / others[0].inner[1]]


_PIECES: dict[str, Callable[[Side, list[Terms], Mapping[str, object]], Terms]] = {
    "multiply": Side.product,
    "maximum": Side.larger,
    "minimum": Side.smaller,
    "relu": Side.hinge,
    "abs": Side.size,
    "sign": Side.side,
    "leaky_relu": Side.leaky,
    "prelu": Side.leaky,
    "threshold": Side.replaced,
    "huber": Side.rounded_corner,
    "elu": Side.exponential_below,
    "compare": Side.compared,
}
