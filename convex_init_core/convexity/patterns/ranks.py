"""Sums of the largest elements: picking by rank is not convex, but the sum of the k largest is.

NaN counts as the largest, so that the smallest elements leave it out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Value
from convex_init_core.convexity.patterns.undefined import may_be_nan
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node


@dataclass(frozen=True)
class _Ranked:
    """A node that holds, along one axis, the largest or smallest elements of some data.

    Attributes:
        data: the node that they were picked from.
        axis: along which.
        descending: their order; ``None`` if they have none.
        largest: whether they are the largest; ``None`` if they are all.
    """

    data: Node
    axis: int
    descending: bool | None
    largest: bool | None


def _ranked(node: Node) -> _Ranked | None:
    params = node.params
    if node.name == "largest":
        order = (not params["smallest"]) if params["sorted"] else None
        return _Ranked(node.inputs[0], params["axis"], order, not params["smallest"])
    if node.name == "sort":
        return _Ranked(node.inputs[0], params["axis"], bool(params["descending"]), None)
    if node.name != "slice":
        return None
    whole = _ranked(node.inputs[0])
    if whole is None:
        return None
    start, stop, step = (params[name][whole.axis] for name in ("starts", "stops", "steps"))
    size = node.inputs[0].shape[whole.axis]
    if start == 0 and stop >= size and step == 1:
        return whole
    if whole.descending is None or step != 1:
        return None
    for from_the_first in (True, False):
        if start == 0 if from_the_first else stop >= size:
            largest = whole.descending is from_the_first
            return replace(whole, largest=largest) if whole.largest in (None, largest) else None
    return None


def sum_of_ranked(node: Node, axes: Collection[int], values: Values) -> Value | None:
    """Return the sum of ranked elements over axes; ``None`` if that is no sum of the largest or smallest.

    Args:
        node: what is summed.
        axes: over which.
        values: of the nodes before it.
    """
    found = _ranked(node)
    if found is None or found.axis not in axes:
        return None
    if found.largest is None:
        return values[found.data]
    if _leaves_nan_out(found.data, bool(found.largest), values):
        return None
    rule = calculus.maximum if found.largest else calculus.minimum
    return rule([values[found.data]], f"{node.at} of the {'largest' if found.largest else 'smallest'}")


def cumulated_ranked(node: Node, axis: int, values: Values) -> Value | None:
    """Return the running sums of ranked elements, each of which is a sum of the largest (or smallest) so far."""
    found = _ranked(node)
    if found is None or found.axis != axis or found.descending is None:
        return None
    if found.largest not in (None, found.descending):  # the smallest in descending order
        return None
    if _leaves_nan_out(found.data, found.descending, values):
        return None
    rule = calculus.maximum if found.descending else calculus.minimum
    return rule([values[found.data]], f"{node.at} of the {'largest' if found.descending else 'smallest'}")


def extreme_of_ranked(node: Node, values: Values) -> Value | None:
    """Return a single ranked element that is the largest or smallest of all; ``None`` if it is neither."""
    found = _ranked(node)
    if found is None or found.largest is None or node.shape[found.axis] != 1:
        return None
    if _leaves_nan_out(found.data, bool(found.largest), values):
        return None
    rule = calculus.maximum if found.largest else calculus.minimum
    return rule([values[found.data]], node.at)


def _leaves_nan_out(data: Node, largest: bool, values: Values) -> bool:
    """Whether elements by rank may leave out what has no value."""
    return (values.extremes_drop_nan or not largest) and may_be_nan(data, values, by_overflow=False) is not None
