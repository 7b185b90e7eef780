"""Prove that a node is a convex function of one number, where the calculus, operation by operation, sees none.

Between the places where a choice changes, the second derivative must not be negative; where two pieces meet, there
must be no jump and no drop of the slope. What only rounding in the type that is computed in separates from 0 is 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, ElementWise, Sign, Value
from convex_init_core.convexity.one_number.bases import bases_of
from convex_init_core.convexity.one_number.polynomial import STEPS
from convex_init_core.convexity.one_number.side import Side, Turns
from convex_init_core.convexity.one_number.terms import NotKnown, Terms
from convex_init_core.convexity.patterns.undefined import may_be_nan
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import rounding_of

_MOST_PIECES = 64
_COARSEST = 2.0**-23  # of what counts as rounding, whatever type is computed in


@dataclass(frozen=True)
class _Piece:
    """A function between two places."""

    low: float
    high: float
    terms: Terms


def proven(node: Node, values: Values, order: Mapping[Node, int]) -> Value | None:
    """Return what is known of a node, if it is proved to be a convex function of one number of which enough is known.

    Args:
        node: of which the calculus knows nothing.
        values: of the nodes before it.
        order: places of the nodes in the graph.
    """
    if node.name not in _LAST:
        return None
    for base, inside in bases_of(node, values, order):
        if values[base].curvature is Curvature.UNKNOWN or may_be_nan(base, values) is not None:
            continue  # a choice may hide where it has no value
        try:
            claim = _claim(*_pieces(node, base, inside, values))
        except (NotKnown, OverflowError, ZeroDivisionError):
            continue
        if claim is not None:
            found = calculus.apply(claim, values[base], node.at)
            if found.curvature is not Curvature.UNKNOWN:
                return found
    return None


_LAST = ("add", "subtract", "multiply", "divide", "where", "maximum", "minimum", "square", "power", "negate")


def _pieces(node: Node, base: Node, inside: Sequence[Node], values: Values) -> tuple[list[_Piece], list[list[_Piece]]]:
    """The function piece by piece, from −∞ to ∞, and what it may be at the places between the pieces.

    Raises:
        NotKnown: if it is not made of terms that are followed.
    """
    plain = Terms({}, min(rounding_of(node.dtype), _COARSEST))
    cuts = [-math.inf, math.inf]
    found: dict[tuple[float, float], _Piece] = {}
    while len(found) < len(cuts) - 1:
        if len(cuts) > _MOST_PIECES:
            raise NotKnown
        low, high = next(span for span in pairwise(cuts) if span not in found)
        try:
            found[low, high] = _Piece(low, high, _terms(node, inside, values, Side(low, high, plain, base)))
        except Turns as turns:
            cuts = sorted({*cuts, *turns.places})
    joints = [
        [_Piece(at, at, _terms(node, inside, values, Side(at, at, plain, base, sign))) for sign in (-1.0, 0.0, 1.0)]
        for at in cuts[1:-1]
    ]
    return [found[span] for span in pairwise(cuts)], joints


def _terms(node: Node, inside: Sequence[Node], values: Values, side: Side) -> Terms:
    for part in inside:
        for one in part.inputs:
            if one.is_fixed:
                side.learn(one, values.number(one))
        side.learn(part, None)
    return side.of(node)


def _claim(pieces: Sequence[_Piece], joints: Sequence[Sequence[_Piece]]) -> ElementWise | None:
    """What is claimed of the function for the calculus; ``None`` if it is not seen to be convex.

    Raises:
        NotKnown: if its derivatives are not followed.
    """
    slopes = [piece.terms.slope for piece in pieces]
    for piece, slope in zip(pieces, slopes, strict=True):
        if not slope.slope.is_non_negative(piece.low, piece.high):
            return None
    for at, (before, after), (falling, rising) in zip(joints, pairwise(pieces), pairwise(slopes), strict=True):
        place = before.high
        for beside in (before, after):
            if any(abs(_gap(beside.terms, one.terms, place)) > _slack(beside.terms, one.terms, place) for one in at):
                return None
        if _gap(falling, rising, place) < -_slack(falling, rising, place):
            return None
    increasing = _starts_at(pieces[0], slopes[0]) >= 0.0
    return ElementWise(
        "the function that is written out",
        convex=True,
        increasing=increasing,
        increasing_from_zero=increasing or _rises_from_zero(pieces, slopes),
        sign=Sign.NON_NEGATIVE if increasing and _least(pieces[0]) >= 0.0 else Sign.ANY,
    )


def _gap(before: Terms, after: Terms, place: float) -> float:
    return after.at(place) - before.at(place)


def _slack(before: Terms, after: Terms, place: float) -> float:
    return STEPS * before.rounding * (before.size_at(place) + after.size_at(place))


def _starts_at(first: _Piece, slope: Terms) -> float:
    """The slope far to the left, which is the least; −∞ if it is not seen."""
    try:
        return slope.limit(-1.0)
    except NotKnown:
        return -math.inf


def _least(first: _Piece) -> float:
    """The value far to the left; −∞ if it is not seen."""
    try:
        return first.terms.limit(-1.0)
    except NotKnown:
        return -math.inf


def _rises_from_zero(pieces: Sequence[_Piece], slopes: Sequence[Terms]) -> bool:
    slope = next(slope for piece, slope in zip(pieces, slopes, strict=True) if piece.low <= 0.0 < piece.high)
    return slope.at(0.0) >= -STEPS * slope.rounding * slope.size_at(0.0)
