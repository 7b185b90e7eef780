"""From combinations to expressions of cvxpy, and functions of them; equal functions of equal vectors are made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convex_init.cvxpy.parts.combination import (
    Base,
    Combination,
    Missing,
    Plain,
    Product,
    Ranked,
    joined,
    missing,
    numbers,
    of_expression,
)
from convex_init.cvxpy.parts.quadratic import IndefiniteError, forms_of


class NotExpressibleError(ValueError):
    """A value that is not convex by the rules of cvxpy, or has no atom there; says which and where."""


class Expressions:
    """Makes expressions of combinations, and new vectors by functions of these."""

    def __init__(self) -> None:
        """Start with none."""
        self._known: dict[Hashable, Combination] = {}
        self._made: dict[Hashable, Any] = {}
        self._positive_parts: dict[Base, Combination] = {}
        self._plainer: dict[Base, Combination] = {}

    def of(self, value: Combination, at: str) -> Any:
        """Return a flat expression.

        Args:
            value: that is convex, concave or affine by the rules of cvxpy.
            at: of what, for messages.

        Raises:
            NotExpressibleError: if it is none of these.
        """
        key = value.key()
        if key not in self._made:
            if not all(np.isfinite(own).all() for own in (value.offset, *(m.data for m in value.terms.values()))):
                raise NotExpressibleError(f"{at} takes a value that is NaN or infinite, or a weight that is")
            try:
                self._made[key] = self._expression(value, at)
            except NotExpressibleError:
                plainer = self._in_plain_terms(value)
                if plainer is None:
                    raise
                self._made[key] = self._expression(plainer, at)
        return self._made[key]

    def of_known_sign(self, value: Combination, at: str) -> Combination:
        """Return ``max(s, 0)`` of a convex value that is known to be non-negative: s itself, with a sign that shows.

        Where a sum of it with s is neither convex nor concave, it is taken for s again: so what cancels is gone.
        """
        found = self.apply("pos", value, at, cp.pos)
        for base, matrix in found.terms.items():
            rows = matrix.tocoo()
            if matrix.shape[0] == matrix.shape[1] and np.array_equal(rows.row, rows.col) and (rows.data == 1.0).all():
                self._plainer[base] = value
        return found

    def _in_plain_terms(self, value: Combination) -> Combination | None:
        """A value without the vectors that only show the sign of others, ``None`` if it has none of these."""
        found = Combination(value.offset, {b: own for b, own in value.terms.items() if b not in self._plainer})
        if len(found.terms) == len(value.terms):
            return None
        for base, matrix in value.terms.items():
            if base in self._plainer:
                found = found + self._plainer[base].mapped(matrix)
        return found

    def apply(
        self, name: Hashable, value: Combination, at: str, function: Callable[[Any], Any], length: int = 1
    ) -> Combination:
        """Return a new vector: a function of an expression, convex or concave.

        Where that is not so for some elements, those of the others are kept: a later slice may leave them out.

        Args:
            name: of the function with all its parameters; two of a name are the same function.
            value: what it is applied to.
            at: where, for messages.
            function: from a flat expression to one of cvxpy.
            length: how many elements, one behind the other, make one of the result.

        Raises:
            NotExpressibleError: if the result is neither by the rules of cvxpy.
        """
        if value.is_fixed:
            return numbers(function(cp.Constant(value.offset)).value)
        key = (name, length, value.key())
        if key not in self._known:
            try:
                self._known[key] = self._applied(name, value, at, function)
            except NotExpressibleError:
                kinds = _kinds(value, length)
                if kinds.max(initial=0) == 0:
                    raise
                parts, order = [], []
                for kind in range(kinds.max() + 1):
                    rows = np.flatnonzero(kinds == kind)
                    order.append(rows)
                    own = value.take((rows[:, None] * length + np.arange(length)).reshape(-1))
                    try:
                        parts.append(self._applied(name, own, at, function))
                    except NotExpressibleError as error:
                        parts.append(missing(str(error), rows.size))
                self._known[key] = joined(parts).take(np.argsort(np.concatenate(order)))
        return self._known[key]

    def _applied(self, name: Hashable, value: Combination, at: str, function: Callable[[Any], Any]) -> Combination:
        made = function(self.of(value, at))
        if not (made.is_convex() or made.is_concave()):
            raise NotExpressibleError(f"{at} is neither convex nor concave by cvxpy's rules of composition")
        found = of_expression(made)
        if name == "pos" and found.size == value.size:
            self._positive_parts[next(iter(found.terms))] = value
        return found

    def folded(self, value: Combination) -> Combination | None:
        """Return t where a value is ``−|t| = t − 2 max(t, 0)``, ``None`` if it is not known to be that."""
        for base, matrix in value.terms.items():
            if base not in self._positive_parts or (np.diff(matrix.indptr) != 1).any() or (matrix.data >= 0.0).any():
                continue
            half = self._positive_parts[base].take(matrix.indices.astype(np.int64)).scaled(-0.5 * matrix.data)
            rest = Combination(value.offset, {other: own for other, own in value.terms.items() if other is not base})
            if _is_zero(rest - half, half):
                return half
        return None

    def _expression(self, value: Combination, at: str) -> Any:
        for base in value.terms:
            if isinstance(base, Missing):
                raise NotExpressibleError(base.why)
        products: dict[Base, Any] = {base: own for base, own in value.terms.items() if isinstance(base, Product)}
        if products:
            inside = {base for base in value.terms if base in products or (isinstance(base, Plain) and base.is_affine)}
            others = {base: own for base, own in value.terms.items() if base not in inside}
            affine = Combination(value.offset, {base: own for base, own in value.terms.items() if base in inside})
            try:
                forms = [form.expression() for form in forms_of(affine)]
            except IndefiniteError as error:
                raise NotExpressibleError(f"{at}: {error}") from None
            parts = [cp.hstack(forms), *_terms(others, at)]
        else:
            parts = _terms(value.terms, at)
            if value.offset.any() or not parts:
                parts.append(cp.Constant(value.offset))
        made = parts[0]
        for part in parts[1:]:
            made = made + part
        if not (made.is_convex() or made.is_concave()):
            raise NotExpressibleError(
                f"{at} takes a value that is neither convex nor concave by cvxpy's rules: convex parts of it have "
                "weights of both signs"
            )
        return made


def _is_zero(value: Combination, beside: Combination) -> bool:
    size = max((float(abs(own).max()) for own in beside.terms.values()), default=0.0)
    near = 1e-12 * (size + float(np.abs(beside.offset).max(initial=0.0)))
    return bool((np.abs(value.offset) <= near).all()) and all(
        float(abs(own).max()) <= near for own in value.terms.values()
    )


def _kinds(value: Combination, length: int) -> NDArray[np.int64]:
    """Number results by the vectors that they are made of, and the signs of their weights."""
    rows = value.size // length
    found = []
    for matrix in value.terms.values():
        for sign in (1.0, -1.0):
            has = np.asarray((matrix * sign).maximum(0.0).sum(1)).reshape(rows, length).sum(1) > 0.0
            found.append(has)
    if not found:
        return np.zeros(rows, np.int64)
    numbered: NDArray[np.int64] = np.unique(np.array(found).T, axis=0, return_inverse=True)[1].reshape(-1)
    return numbered


def _terms(terms: Mapping[Base, Any], at: str) -> list[Any]:
    found: list[Any] = []
    for base, matrix in terms.items():
        if isinstance(base, Ranked):
            found.append(_ranked(base, matrix, at))
        else:
            assert isinstance(base, Plain)
            found.append(_mapped(matrix, base.expression))
    return found


def _mapped(matrix: Any, vector: Any) -> Any:
    """A product; nothing but a choice of elements where it is one."""
    if matrix.nnz == matrix.shape[0] and (matrix.data == 1.0).all() and (np.diff(matrix.indptr) == 1).all():
        if matrix.shape[0] == matrix.shape[1] and (matrix.indices == np.arange(matrix.shape[0])).all():
            return vector
        return vector[matrix.indices]
    return matrix @ vector


def _ranked(base: Ranked, matrix: Any, at: str) -> Any:
    """Sums over ranks, with weights that do not grow (or do not fall) from the largest element on."""
    length = base.length
    weights = matrix.toarray().reshape(matrix.shape[0], base.rows, length)
    steps = weights - np.concatenate([weights[..., 1:], np.zeros_like(weights[..., :1])], -1)
    inner = steps[..., :-1]  # the last one is that of the sum of all, of either sign
    if not ((inner >= 0.0).all() or (inner <= 0.0).all()):
        raise NotExpressibleError(f"{at} picks by rank: only sums of the largest elements are convex")
    values = Expressions().of(base.values, at)
    found: list[Any] = []
    for result in range(matrix.shape[0]):
        whole: Any = 0.0
        for row, rank in zip(*np.nonzero(steps[result]), strict=True):
            part = values[row * length : (row + 1) * length]
            summed = cp.sum(part) if rank == length - 1 else cp.sum_largest(part, int(rank) + 1)
            whole = whole + steps[result, row, rank] * summed
        found.append(cp.reshape(cp.Constant(0.0) + whole, (1,), order="C"))
    return cp.hstack(found)
