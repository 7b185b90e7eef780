"""Convex values that are a concave function of a convex one: logarithms of sums of exponentials, roots of squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cvxpy as cp
import numpy as np
from scipy import sparse

from convex_init.cvxpy.parts import cones
from convex_init.cvxpy.parts.combination import Combination, Places, Plain, Product, joined, numbers, of_expression
from convex_init.cvxpy.parts.expressions import NotExpressibleError
from convex_init.cvxpy.parts.maps import moved, places_of, rows_over, summing
from convex_init.cvxpy.parts.quadratic import IndefiniteError, forms_of
from convex_init.cvxpy.rules.functions import Rule, size_of
from convex_init.cvxpy.rules.groups import bent, deviations, largest, log_shares, log_sum_exp, root_of_squares
from convex_init_core.graph.nodes import Node

if TYPE_CHECKING:
    from convex_init.cvxpy.translation import Translation


def logarithm(into: Translation, node: Node) -> Combination | None:
    """Return the logarithm of a value, if it is a sum of exponentials, or what is like one."""
    if not into.is_varying(node):
        value = into.of(node)
        return None if (value.offset < 0.0).any() else numbers(_log(value.offset))
    name = node.name
    if name == "exp":
        return into.of(node.inputs[0])
    if name == "power" and not into.is_varying(node.inputs[0]):
        bases = into.spread(node.inputs[0], node)
        is_base = bases.is_fixed and (bases.offset > 0.0).all()
        return into.spread(node.inputs[1], node).scaled(np.log(bases.offset)) if is_base else None
    if name == "sigmoid":
        return -into.made.apply("logistic", -into.of(node.inputs[0]), node.at, cp.logistic)
    if name == "softmax":
        return log_shares(into, node)
    if name == "cosh":
        return into.made.apply("log_cosh", size_of(into, node.inputs[0]), node.at, _log_cosh)
    if name not in _OF_PARTS:
        return None
    parts = [_spread(into, part, node) for part in node.inputs]
    known = [part for part in parts if part is not None]
    return _of_parts(into, node, known) if len(known) == len(parts) else None


_OF_PARTS = frozenset(
    ("add", "multiply", "divide", "sum", "mean", "power", "square", "sqrt", "reciprocal", "maximum", "max", "reshape")
) | {"broadcast", "transpose", "slice", "cast", "rearrange"}


def _log_cosh(s: Any) -> Any:
    return cones.applied(cones.log_cosh(), s)


def _log(values: Any) -> Any:
    with np.errstate(divide="ignore"):
        return np.log(values)


def _spread(into: Translation, part: Node, node: Node) -> Combination | None:
    if node.name == "power" and part is node.inputs[1]:
        return into.spread(part, node)
    found = logarithm(into, part)
    return into.spread_value(found, part, node) if found is not None and node.op.element_wise else found


def _of_parts(into: Translation, node: Node, parts: list[Combination]) -> Combination | None:
    name, at = node.name, node.at
    if name in ("add", "maximum"):
        both, windows = joined(parts), list(places_of((2, node.size)).T)
        return (log_sum_exp if name == "add" else largest)(into, both, windows, at)
    if name == "multiply":
        return parts[0] + parts[1]
    if name == "divide":
        return parts[0] - parts[1]
    if name in ("sum", "mean", "max"):
        rows = rows_over(node.inputs[0].shape, node.params["axes"])
        if name == "max":
            return largest(into, parts[0], list(rows), at)
        return log_sum_exp(into, parts[0], list(rows), at) + (-np.log(rows.shape[1]) if name == "mean" else 0.0)
    if name == "power":
        return parts[0].scaled(parts[1].offset) if parts[1].is_fixed else None
    if name in ("square", "sqrt", "reciprocal"):
        return parts[0].scaled({"square": 2.0, "sqrt": 0.5, "reciprocal": -1.0}[name])
    places = moved(node)
    return parts[0].take(_order(into, node) if places is None else places)


def _order(into: Translation, node: Node) -> Places:
    _, places, rest = into.looks.moved(node)
    if rest.any():
        raise NotExpressibleError(f"{node.at} fills in numbers under a logarithm")
    return places


def _logarithm(into: Translation, node: Node) -> Combination:
    found = logarithm(into, node.inputs[0])
    if found is not None:
        return found
    return into.made.apply("log", into.of(node.inputs[0]), node.at, cp.log)


def _log1p(into: Translation, node: Node) -> Combination:
    found = logarithm(into, node.inputs[0])
    if found is not None:
        return bent(into, found, node.at)
    return into.made.apply("log1p", into.of(node.inputs[0]), node.at, cp.log1p)


@dataclass(frozen=True, eq=False)
class _Squares:
    """``weights · value² + rest``, with non-negative weights and rest."""

    value: Combination
    weights: Any
    rest: Any

    def mapped(self, matrix: Any) -> _Squares:
        return _Squares(self.value, sparse.csr_array(matrix @ self.weights), matrix @ self.rest)

    def taken(self, places: Any) -> _Squares:
        flat = places.reshape(-1)
        return _Squares(self.value, self.weights[flat], self.rest[flat])

    def __add__(self, other: _Squares) -> _Squares:
        weights = sparse.hstack([self.weights, other.weights], format="csr")
        return _Squares(joined([self.value, other.value]), weights, self.rest + other.rest)


def _squares(into: Translation, node: Node) -> _Squares | None:
    """A value as a sum of squares of values that are affine, or convex and non-negative."""
    name, inputs = node.name, node.inputs
    if not into.is_varying(node):
        rest = into.of(node).offset
        if (rest < 0.0).any():
            return None
        return _Squares(numbers(np.zeros(0)), sparse.csr_array((node.size, 0)), rest)
    same = len(inputs) == 2 and into.values.are_same(*inputs)
    number = into.number_of(inputs[1]) if name == "power" else None
    is_square = name == "square" or (name == "multiply" and same) or (number is not None and (number == 2.0).all())
    if is_square:
        value = into.spread_value(size_of(into, inputs[0]), inputs[0], node)
        return _Squares(value, sparse.eye_array(node.size, format="csr"), np.zeros(node.size))
    if name == "variance":
        value, rows = deviations(into, node)
        weights = summing(rows, rows.size, 1.0 / rows.shape[1])
        return _Squares(value, weights, np.zeros(node.size))
    if name in ("multiply", "divide"):
        fixed = inputs[0] if name == "multiply" and not into.is_varying(inputs[0]) else inputs[1]
        varying = inputs[1] if fixed is inputs[0] else inputs[0]
        factors = None if into.is_varying(fixed) else into.spread(fixed, node).offset
        inner = _squares(into, varying)
        if factors is None or inner is None or (factors < 0.0).any():
            return None
        scale = sparse.diags_array(factors if name == "multiply" else 1.0 / factors)
        return inner.taken(into.places_in(varying, node)).mapped(scale)
    if name == "add":
        parts = [_squares(into, part) for part in inputs]
        if parts[0] is None or parts[1] is None:
            return None
        taken = [part.taken(into.places_in(one, node)) for part, one in zip(parts, inputs, strict=True) if part]
        return taken[0] + taken[1]
    if name in ("sum", "mean"):
        inner = _squares(into, inputs[0])
        rows = rows_over(inputs[0].shape, node.params["axes"])
        weight = 1.0 / rows.shape[1] if name == "mean" else 1.0
        return None if inner is None else inner.mapped(summing(rows, inputs[0].size, weight))
    if node.op.moves and (places := moved(node)) is not None:
        inner = _squares(into, inputs[0])
        return None if inner is None else inner.taken(places)
    return None


def _root(into: Translation, node: Node) -> Combination:
    inner = node.inputs[0]
    found = _norm(into, inner, node)
    if found is not None:
        return found
    if inner.name == "maximum":
        for part, bound in (inner.inputs, inner.inputs[::-1]):
            if into.is_varying(bound) or (least := into.spread(bound, inner).offset).min() < 0.0:
                continue
            own = _norm(into, part, node)
            if own is not None:
                both = joined([into.spread_value(own, part, inner), numbers(np.sqrt(least))])
                return largest(into, both, list(places_of((2, node.size)).T), node.at)
    found = logarithm(into, inner)
    if found is not None:
        return into.made.apply("exp", found.scaled(0.5), node.at, cp.exp)
    return into.made.apply("sqrt", into.of(inner), node.at, cp.sqrt)


def _norm(into: Translation, inner: Node, node: Node) -> Combination | None:
    squares = _squares(into, inner)
    if squares is not None:
        return root_of_squares(into, squares.value, squares.weights, squares.rest, node.at)
    try:
        value = into.of(inner)
    except NotExpressibleError:
        return None
    products = [base for base in value.terms if isinstance(base, Product)]
    if not products or not all(isinstance(base, (Plain, Product)) for base in value.terms):
        return None
    try:
        return of_expression(cp.hstack([form.root() for form in forms_of(value)]))
    except IndefiniteError as error:
        raise NotExpressibleError(f"{node.at}: {error}") from None


TAMED: dict[str, Rule] = {"log": _logarithm, "log1p": _log1p, "sqrt": _root}
"""By operation."""
