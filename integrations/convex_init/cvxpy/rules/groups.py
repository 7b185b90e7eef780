"""Functions of several elements: extremes, log-sum-exp, norms and spreads, over axes or windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cvxpy as cp
import numpy as np
from scipy import sparse

from convex_init.cvxpy.parts.combination import Combination, Places, joined, numbers
from convex_init.cvxpy.parts.maps import places_of, ragged, rows_over, summing
from convex_init.cvxpy.rules.functions import Rule, positive_part, size_of, softplus
from convex_init_core.graph.nodes import Node

if TYPE_CHECKING:
    from convex_init.cvxpy.translation import Translation


def largest(into: Translation, value: Combination, windows: list[Any], at: str) -> Combination:
    """The largest element of each window; elements that are −∞ for every input are none."""
    return _over(into, "max", value, windows, at, _max_of_rows, np.max)


def log_sum_exp(into: Translation, value: Combination, windows: list[Any], at: str) -> Combination:
    """``log Σ exp`` of each window."""

    def of_numbers(rows: Any) -> Any:
        top = rows.max(1, keepdims=True)
        return top[:, 0] + np.log(np.exp(rows - top).sum(1))

    return _over(into, "log_sum_exp", value, windows, at, _log_sum_exp_of_rows, lambda rows, axis: of_numbers(rows))


_Rows = Callable[["Translation", Combination, "tuple[int, int]", str], Combination]


def _over(
    into: Translation,
    name: str,
    value: Combination,
    windows: list[Any],
    at: str,
    function: _Rows,
    of_numbers: Callable[..., Any],
) -> Combination:
    fixed = value.fixed_rows
    out = fixed & (value.offset == -np.inf)
    kept = [np.asarray(window)[~out[window]] for window in windows]
    parts, order = [], []
    for length, (which, places) in ragged(kept).items():
        order.append(which)
        if length == 0:
            parts.append(numbers(np.full(which.size, -np.inf)))
            continue
        rows = value.take(places)
        still = rows.fixed_rows.reshape(places.shape).all(1)
        order.pop()
        if still.any():
            parts.append(numbers(of_numbers(rows.offset.reshape(places.shape)[still], axis=1)))
            order.append(which[still])
        if not still.all():
            moving = places[~still]
            parts.append(_shifted(into, value.take(moving), moving.shape, at, function))
            order.append(which[~still])
    return joined(parts).take(np.argsort(np.concatenate(order)))


def _shifted(into: Translation, rows: Combination, shape: tuple[int, int], at: str, function: _Rows) -> Combination:
    """Take out of each row what all its elements have in common, where they are not convex with it."""
    first = rows.take(np.repeat(np.arange(shape[0]) * shape[1], shape[1]))
    if shape[1] == 1:
        return rows
    common = {}
    for base, matrix in rows.terms.items():
        own = first.terms.get(base)
        if base.is_affine or own is None:
            continue
        same = np.asarray(abs(matrix - own).sum(1)).reshape(shape).max(1) <= 1e-14 * abs(own).max()
        if same.all():
            common[base] = own
    if not common:
        return function(into, rows, shape, at)
    shared = Combination(np.zeros(rows.size), common)
    made = function(into, rows - shared, shape, at)
    return made + shared.take(np.arange(shape[0]) * shape[1])


def _max_of_rows(into: Translation, rows: Combination, shape: tuple[int, int], at: str) -> Combination:
    if shape[1] == 2:
        one, other = (rows.take(np.arange(shape[0]) * 2 + i) for i in (0, 1))
        difference = one - other
        if difference.is_affine:
            return other + positive_part(into, difference, at)
    return into.made.apply("max", rows, at, lambda s: cp.max(_rows(s, shape[1]), axis=1), shape[1])


def _log_sum_exp_of_rows(into: Translation, rows: Combination, shape: tuple[int, int], at: str) -> Combination:
    if shape[1] == 2:
        one, other = (rows.take(np.arange(shape[0]) * 2 + i) for i in (0, 1))
        for base, top in ((one, other), (other, one)):
            if base.is_fixed or (base.is_affine and (top - base).is_affine) or into.made.folded(top - base) is not None:
                return base + bent(into, top - base, at)
    return into.made.apply("log_sum_exp", rows, at, lambda s: cp.log_sum_exp(_rows(s, shape[1]), axis=1), shape[1])


def _rows(s: Any, length: int) -> Any:
    return cp.reshape(s, (s.size // length, length), order="C")


def bent(into: Translation, value: Combination, at: str) -> Combination:
    """``log(1 + exp s) = s + log(1 + exp(−s))``; of ``−|s|`` it is ``softplus(s) − max(s, 0)``."""
    if value.is_affine:
        return softplus(into, value, 1.0, at)
    inner = into.made.folded(value)
    if inner is not None:
        return softplus(into, inner, 1.0, at) - positive_part(into, inner, at)
    if into.made.of(value, at).is_convex():
        return softplus(into, value, 1.0, at)
    return value + softplus(into, -value, 1.0, at)


def _axes(node: Node) -> list[Any]:
    return list(rows_over(node.inputs[0].shape, node.params["axes"]))


def _max(into: Translation, node: Node) -> Combination:
    return largest(into, into.of(node.inputs[0]), _axes(node), node.at)


def _min(into: Translation, node: Node) -> Combination:
    return -largest(into, -into.of(node.inputs[0]), _axes(node), node.at)


def _window_max(into: Translation, node: Node) -> Combination:
    parts, windows, rest = into.looks.windows(node)
    return largest(into, joined([*map(into.of, parts), numbers(rest)]), windows, node.at)


def _window_min(into: Translation, node: Node) -> Combination:
    parts, windows, rest = into.looks.windows(node)
    return -largest(into, -joined([*map(into.of, parts), numbers(rest)]), windows, node.at)


def _two(into: Translation, node: Node) -> tuple[Combination, list[Any]]:
    parts = [into.spread(part, node) for part in node.inputs]
    return joined(parts), list(places_of((2, node.size)).T)


def _apart(into: Translation, node: Node) -> tuple[Node, Node] | None:
    """Two values in ascending order, where zero is between them."""
    for low, high in (node.inputs, node.inputs[::-1]):
        if into.values[low].sign.is_non_positive and into.values[high].sign.is_non_negative:
            return low, high
    return None


def _maximum(into: Translation, node: Node) -> Combination:
    apart = _apart(into, node)
    return largest(into, *_two(into, node), node.at) if apart is None else into.spread(apart[1], node)


def _minimum(into: Translation, node: Node) -> Combination:
    apart = _apart(into, node)
    if apart is not None:
        return into.spread(apart[0], node)
    both, windows = _two(into, node)
    return -largest(into, -both, windows, node.at)


def _log_sum_exp(into: Translation, node: Node) -> Combination:
    return log_sum_exp(into, into.of(node.inputs[0]), _axes(node), node.at)


def _log_add_exp(into: Translation, node: Node) -> Combination:
    return log_sum_exp(into, *_two(into, node), node.at)


def _cumulative_log_sum_exp(into: Translation, node: Node) -> Combination:
    along = np.moveaxis(places_of(node.shape), node.params["axis"], -1)
    windows: list[Any] = [None] * node.size
    for row in along.reshape(-1, along.shape[-1]):
        for end, place in enumerate(row):
            windows[place] = row[: end + 1]
    return log_sum_exp(into, into.of(node.inputs[0]), windows, node.at)


def _log_softmax(into: Translation, node: Node) -> Combination:
    return log_shares(into, node)


def log_shares(into: Translation, node: Node) -> Combination:
    """The logarithm of a softmax along an axis."""
    value, axis = into.of(node.inputs[0]), node.params["axis"]
    rows = rows_over(node.shape, (axis,))
    whole = log_sum_exp(into, value, list(rows), node.at)
    back = np.empty(node.size, np.int64)
    back[rows.reshape(-1)] = np.repeat(np.arange(rows.shape[0]), rows.shape[1])
    return value - whole.take(back)


def norm_of_rows(into: Translation, rows: Combination, shape: tuple[int, int], order: float, at: str) -> Combination:
    """A p-norm of each row."""

    def function(s: Any) -> Any:
        matrix = _rows(s, shape[1])
        if order == 1.0:
            return cp.sum(cp.abs(matrix), axis=1)
        if order == np.inf:
            return cp.max(cp.abs(matrix), axis=1)
        if order == 2.0:
            return cp.norm(matrix, 2, axis=1)
        return cp.hstack([cp.pnorm(matrix[row], order) for row in range(matrix.shape[0])])

    return into.made.apply(("norm", order), rows, at, function, shape[1])


def _norm(into: Translation, node: Node) -> Combination:
    rows = rows_over(node.inputs[0].shape, node.params["axes"])
    value = size_of(into, node.inputs[0])
    return norm_of_rows(into, value.take(rows), rows.shape, node.params["order"], node.at)


def _distance(into: Translation, node: Node) -> Combination:
    """Between each pair of rows, over the axes before them broadcast."""
    a, b = node.inputs
    length = a.shape[-1]
    of_a = np.broadcast_to(places_of(a.shape)[..., :, None, :], (*node.shape, length))
    of_b = np.broadcast_to(places_of(b.shape)[..., None, :, :], (*node.shape, length))
    of_origin = [(found := into.number_of(part)) is not None and not found.any() for part in (b, a)]
    first, second = (size_of(into, p) if near else into.of(p) for p, near in zip((a, b), of_origin, strict=True))
    rows = first.take(of_a) - second.take(of_b)
    return norm_of_rows(into, rows, (node.size, length), node.params["order"], node.at)


def deviations(into: Translation, node: Node) -> tuple[Combination, Places]:
    """Differences of elements from their mean over some axes, each row of them behind the other."""
    rows = rows_over(node.inputs[0].shape, node.params["axes"])
    value = into.of(node.inputs[0]).take(rows)
    flat = places_of(rows.shape)
    mean = value.mapped(summing(flat, flat.size, 1.0 / rows.shape[1]))
    return value - mean.take(np.repeat(np.arange(rows.shape[0]), rows.shape[1])), flat


def _variance(into: Translation, node: Node) -> Combination:
    value, rows = deviations(into, node)
    squares = into.made.apply("square", value, node.at, cp.square)
    return squares.mapped(summing(rows, rows.size, 1.0 / rows.shape[1]))


def _standard_deviation(into: Translation, node: Node) -> Combination:
    value, rows = deviations(into, node)
    made = norm_of_rows(into, value, rows.shape, 2.0, node.at)
    return made.scaled(rows.shape[1] ** -0.5)


def root_of_squares(into: Translation, value: Combination, weights: Any, rest: Any, at: str) -> Combination:
    """``√(weights · value² + rest)``, row by row."""
    weights = sparse.csr_array(weights)
    found = []
    for row in range(weights.shape[0]):
        places = weights.indices[weights.indptr[row] : weights.indptr[row + 1]]
        factors = np.sqrt(weights.data[weights.indptr[row] : weights.indptr[row + 1]])
        parts = joined([value.take(places).scaled(factors), numbers([np.sqrt(rest[row])])])
        found.append(norm_of_rows(into, parts, (1, parts.size), 2.0, at))
    return joined(found)


GROUPS: dict[str, Rule] = {
    "max": _max,
    "min": _min,
    "window_max": _window_max,
    "window_min": _window_min,
    "maximum": _maximum,
    "minimum": _minimum,
    "log_sum_exp": _log_sum_exp,
    "log_add_exp": _log_add_exp,
    "cumulative_log_sum_exp": _cumulative_log_sum_exp,
    "log_softmax": _log_softmax,
    "norm": _norm,
    "distance": _distance,
    "variance": _variance,
    "standard_deviation": _standard_deviation,
}
"""By operation."""
