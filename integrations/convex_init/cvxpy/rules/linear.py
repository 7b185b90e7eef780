"""Moves, sums, products with numbers, and what stands side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from convex_init.cvxpy.parts.combination import Combination, Product, Ranked, joined, numbers
from convex_init.cvxpy.parts.expressions import NotExpressibleError
from convex_init.cvxpy.parts.maps import (
    contracting,
    convolving,
    cumulating,
    moved,
    padded,
    pairs_of,
    places_of,
    rows_over,
    summing,
)
from convex_init.cvxpy.rules.functions import Rule, exponential, reciprocal
from convex_init_core.graph.nodes import Node

if TYPE_CHECKING:
    from convex_init.cvxpy.translation import Translation


def _moved(into: Translation, node: Node) -> Combination:
    places = moved(node)
    return _seen(into, node) if places is None else into.of(node.inputs[0]).take(places)


def _gathered(into: Translation, node: Node) -> Combination:
    axis = node.params["axis"]
    index = None if axis is None else into.number_of(node.inputs[1])
    if index is None:
        return _seen(into, node)
    flat = index.reshape(-1)
    whole = np.flatnonzero(flat) if node.inputs[1].dtype.startswith("bool") else flat.astype(np.int64)
    return into.of(node.inputs[0]).take(np.take(places_of(node.inputs[0].shape), whole, axis))


def _seen(into: Translation, node: Node) -> Combination:
    """What is found by looking at a run: elements of several values, and numbers, in an order that shows there."""
    parts, places, rest = into.looks.moved(node)
    return joined([into.of(part) for part in parts]).take(places) + rest


def _concatenated(into: Translation, node: Node) -> Combination:
    parts = [part for part in node.inputs if part.size]
    return joined([into.of(part) for part in parts]).take(_side_by_side(parts, node, stacked=False))


def _stacked(into: Translation, node: Node) -> Combination:
    return joined([into.of(part) for part in node.inputs]).take(_side_by_side(list(node.inputs), node, stacked=True))


def _side_by_side(parts: list[Node], node: Node, *, stacked: bool) -> Any:
    starts = np.cumsum([0, *(part.size for part in parts)])
    places = [places_of(part.shape) + start for part, start in zip(parts, starts, strict=False)]
    return np.stack(places, node.params["axis"]) if stacked else np.concatenate(places, node.params["axis"])


def _padded(into: Translation, node: Node) -> Combination:
    places = padded(node)
    number = into.of(node.inputs[1])
    return joined([into.of(node.inputs[0]), number]).take(np.where(places < 0, node.inputs[0].size, places))


def _summed(into: Translation, node: Node) -> Combination:
    data = node.inputs[0]
    rows = rows_over(data.shape, node.params["axes"])
    weight = 1.0 / rows.shape[1] if node.name == "mean" else 1.0
    return into.of(data).mapped(summing(rows, data.size, weight))


def _cumulated(into: Translation, node: Node) -> Combination:
    return into.of(node.inputs[0]).mapped(cumulating(node.shape, node.params["axis"]))


def _averaged(into: Translation, node: Node) -> Combination:
    parts, matrix, rest = into.looks.weights(node)
    return joined([into.of(part) for part in parts]).mapped(matrix) + rest


def _added(into: Translation, node: Node) -> Combination:
    if node.name == "subtract" and into.values.are_same(*node.inputs):
        return numbers(np.zeros(node.size))
    a, b = (into.spread(part, node) for part in node.inputs)
    return a + b if node.name == "add" else a - b


def _negated(into: Translation, node: Node) -> Combination:
    return -into.of(node.inputs[0])


def _multiplied(into: Translation, node: Node) -> Combination:
    a, b = node.inputs
    if into.is_varying(a) and into.is_varying(b):
        return _product(into, node)
    fixed, varying = (b, a) if into.is_varying(a) else (a, b)
    weights = into.spread(fixed, node).offset
    if not weights.any():
        return numbers(np.zeros(node.size))
    return into.spread(varying, node).scaled(weights)


def _product(into: Translation, node: Node) -> Combination:
    a, b = node.inputs
    if into.values.are_same(a, b):
        return into.rule("square")(into, Node(into.op("square"), (a,), {}, node.shape, node.dtype, node.place))
    logarithm = into.logarithm(node)
    if logarithm is not None:
        return exponential(into, logarithm, node.at)
    first, second = (into.spread(part, node) for part in (a, b))
    if not (first.is_affine and second.is_affine):
        raise NotExpressibleError(f"{node.at} multiplies two values that depend on the input and are not affine")
    return Combination(np.zeros(node.size), {Product(first, second): sparse.eye_array(node.size, format="csr")})


def _divided(into: Translation, node: Node) -> Combination:
    a, b = node.inputs
    if not into.is_varying(b):
        below = into.spread(b, node).offset
        if not below.all():
            raise NotExpressibleError(f"{node.at} divides by zero")
        return into.spread(a, node).scaled(1.0 / below)
    if into.is_varying(a):
        logarithm = into.logarithm(node)
        if logarithm is not None:
            return exponential(into, logarithm, node.at)
        raise NotExpressibleError(f"{node.at} divides two values that depend on the input")
    inverse = into.spread_value(reciprocal(into, b, node.at), b, node)
    return inverse.scaled(into.spread(a, node).offset)


def _contracted(into: Translation, node: Node) -> Combination:
    a, b = node.inputs
    if into.is_varying(a) and into.is_varying(b):
        results, first, second = pairs_of(node)
        left, right = into.of(a).take(first), into.of(b).take(second)
        if into.values.are_same(a, b) and np.array_equal(first, second):
            square = into.rule("square")
            squares = square(into, Node(into.op("square"), (a,), {}, a.shape, a.dtype, node.place)).take(first)
        elif left.is_affine and right.is_affine:
            squares = Combination(
                np.zeros(left.size), {Product(left, right): sparse.eye_array(left.size, format="csr")}
            )
        else:
            raise NotExpressibleError(f"{node.at} multiplies two values that depend on the input and are not affine")
        shape = node.size, results.size
        return squares.mapped(
            sparse.csr_array((np.ones(results.size), (results, np.arange(results.size))), shape=shape)
        )
    of_first = into.is_varying(a)
    fixed, varying = (b, a) if of_first else (a, b)
    return into.of(varying).mapped(contracting(node, into.of(fixed).offset.reshape(fixed.shape), of_first=of_first))


def _convolved(into: Translation, node: Node) -> Combination:
    data, weight = node.inputs
    if into.is_varying(weight):
        raise NotExpressibleError(f"{node.at} has a kernel that depends on the input")
    kernel = into.of(weight).offset.reshape(weight.shape)
    return into.of(data).mapped(convolving(node, kernel, into.looks.padding(node, kernel)))


def _normalised(into: Translation, node: Node) -> Combination:
    """Batch normalisation by fixed statistics."""
    axis = node.params["axis"]
    along = np.arange(node.shape[axis]).reshape(-1, *(1,) * (len(node.shape) - axis - 1))
    at = np.broadcast_to(along, node.shape).reshape(-1)
    scale, shift, mean, variance = (
        found.take(at) if found.size > 1 else found.take(np.zeros_like(at)) for found in map(into.of, node.inputs[1:])
    )
    if not (scale.is_fixed and variance.is_fixed):
        raise NotExpressibleError(f"{node.at} is scaled by a value that depends on the input")
    factors = scale.offset / np.sqrt(variance.offset + node.params["epsilon"])
    return (into.spread(node.inputs[0], node) - mean).scaled(factors) + shift


def _chosen(into: Translation, node: Node) -> Combination:
    condition, if_true, if_false = node.inputs
    if into.is_varying(condition):
        raise NotExpressibleError(f"{node.at} chooses by a condition on the input")
    mask = into.spread(condition, node).offset != 0.0
    both = joined([into.spread(part, node) for part in (if_true, if_false)])
    return both.take(np.where(mask, 0, node.size) + np.arange(node.size))


def _sorted(into: Translation, node: Node) -> Combination:
    """Elements by rank: the place of each, counted from the largest."""
    data, axis = node.inputs[0], node.params["axis"]
    rows = rows_over(data.shape, (axis,))
    length = rows.shape[1]
    value = into.of(data).take(rows)
    if length == 1:
        return into.of(data)
    base = Ranked(value, rows.shape[0])
    ranks = Combination(np.zeros(value.size), {base: sparse.eye_array(value.size, format="csr")})
    if node.name == "sort":
        order = np.arange(length) if node.params["descending"] else np.arange(length)[::-1]
    elif node.params["smallest"]:
        order = np.arange(length)[::-1][: node.params["k"]]
    else:
        order = np.arange(length)[: node.params["k"]]
    results = rows_over(node.shape, (axis,))
    places = np.empty(node.size, np.int64)
    places[results.reshape(-1)] = (np.arange(rows.shape[0])[:, None] * length + order).reshape(-1)
    return ranks.take(places)


LINEAR: dict[str, Rule] = {
    **dict.fromkeys(("reshape", "transpose", "broadcast", "slice", "cast", "rearrange"), _moved),
    "gather": _gathered,
    **dict.fromkeys(("join", "scatter"), _seen),
    "concatenate": _concatenated,
    "stack": _stacked,
    "pad": _padded,
    **dict.fromkeys(("sum", "mean"), _summed),
    "cumulative_sum": _cumulated,
    "average": _averaged,
    **dict.fromkeys(("add", "subtract"), _added),
    "negate": _negated,
    "multiply": _multiplied,
    "divide": _divided,
    "contract": _contracted,
    "convolve": _convolved,
    "batch_norm": _normalised,
    "where": _chosen,
    **dict.fromkeys(("sort", "largest"), _sorted),
}
"""By operation."""
