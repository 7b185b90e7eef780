"""Arrays of a graph as linear combinations: a matrix for each vector that they are made of, and a vector of numbers.

Moves, sums, products with weights and convolutions are matrices, which are multiplied as they come; only a function
that is not linear makes a new vector. So a layer that sees features and the input side by side has one matrix for
each, whose signs are what the rules of composition ask for, and what cancels is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Numbers: TypeAlias = "NDArray[np.float64]"
Places: TypeAlias = "NDArray[np.int64]"
"""For each element of a result, where it is found in a vector; −1 for a zero."""


@dataclass(eq=False)
class Plain:
    """A vector that is an expression of cvxpy: the variable, or what a function makes."""

    expression: Any

    @property
    def is_affine(self) -> bool:
        """Whether it is affine in the variables."""
        return bool(self.expression.is_affine())


@dataclass(eq=False)
class Product:
    """Products of the elements of two affine vectors, which become a quadratic form where they are summed."""

    first: Combination
    second: Combination
    is_affine: bool = field(default=False, init=False)


@dataclass(eq=False)
class Ranked:
    """The elements of each row of a matrix, in descending order; sums of the largest of them are convex.

    Attributes:
        values: the rows, one after the other.
        rows: how many.
    """

    values: Combination
    rows: int
    is_affine: bool = field(default=False, init=False)

    @property
    def length(self) -> int:
        """Number of elements of a row."""
        return self.values.size // self.rows


@dataclass(eq=False)
class Missing:
    """A vector that has no form in cvxpy; one that no result needs does no harm.

    Attributes:
        why: for messages.
        size: number of elements.
    """

    why: str
    size: int
    is_affine: bool = field(default=False, init=False)


Base: TypeAlias = "Plain | Product | Ranked | Missing"


@dataclass(frozen=True, eq=False)
class Combination:
    """A flat array: ``Σ matrix · base + offset``.

    Attributes:
        offset: one number for each element.
        terms: for each vector that it depends on, a sparse matrix with one row for each element.
    """

    offset: Numbers
    terms: Mapping[Base, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.offset.size)

    @property
    def is_fixed(self) -> bool:
        """Whether it depends on no variable."""
        return not self.terms

    @property
    def is_affine(self) -> bool:
        """Whether it is affine in the variables."""
        return all(base.is_affine for base in self.terms)

    @property
    def fixed_rows(self) -> NDArray[np.bool_]:
        """Which elements depend on no variable."""
        found = np.ones(self.size, bool)
        for matrix in self.terms.values():
            found &= np.diff(matrix.indptr) == 0
        return found

    def take(self, places: Places) -> Combination:
        """Return the elements at some places, zero where a place is −1."""
        flat = places.reshape(-1)
        there = np.flatnonzero(flat >= 0)
        if there.size == flat.size:
            return _combined(self.offset[flat], {base: matrix[flat] for base, matrix in self.terms.items()})
        shape = flat.size, self.size
        return self.mapped(sparse.csr_array((np.ones(there.size), (there, flat[there])), shape=shape))

    def mapped(self, matrix: Any) -> Combination:
        """Return a linear map of it."""
        terms = {base: matrix @ own for base, own in self.terms.items()}
        return _combined(np.asarray(matrix @ self.offset, np.float64), terms)

    def scaled(self, numbers: Numbers | float) -> Combination:
        """Return it times numbers, one for all elements or one for each."""
        diagonal = np.broadcast_to(np.asarray(numbers, np.float64), (self.size,))
        with np.errstate(invalid="ignore"):
            offset = self.offset * diagonal
        scale = sparse.diags_array(diagonal)
        return _combined(offset, {base: scale @ own for base, own in self.terms.items()})

    def __neg__(self) -> Combination:
        """Return its negative."""
        return self.scaled(-1.0)

    def __add__(self, other: Combination | Numbers | float) -> Combination:
        """Return a sum, of which nothing stays of what cancels."""
        if not isinstance(other, Combination):
            return Combination(self.offset + other, self.terms)
        terms = dict(self.terms)
        for base, matrix in other.terms.items():
            terms[base] = _sum(terms[base], matrix) if base in terms else matrix
        return _combined(self.offset + other.offset, terms)

    def __sub__(self, other: Combination | Numbers | float) -> Combination:
        """Return a difference."""
        return self + (-other)

    def rounded(self) -> Combination:
        """Return it with weights to 13 places, of rows whose largest is 1: equal vectors look equal then."""
        terms = {}
        for base, matrix in self.terms.items():
            terms[base] = matrix.copy()
            terms[base].data = np.round(matrix.data, 13)
        return _combined(np.round(self.offset, 13), terms)

    def key(self) -> tuple[Any, ...]:
        """Return what two combinations have in common that are the same."""
        parts = ((id(base), *_bytes(matrix)) for base, matrix in self.terms.items())
        return self.offset.tobytes(), frozenset(parts)


def numbers(values: Any) -> Combination:
    """Return numbers as a combination of nothing."""
    return Combination(np.asarray(values, np.float64).reshape(-1))


def of_expression(expression: Any, places: Places | None = None) -> Combination:
    """Return an expression of cvxpy, flattened, or elements of it."""
    flat = expression if expression.ndim == 1 else cp.reshape(expression, (expression.size,), order="C")
    made = Combination(np.zeros(flat.size), {Plain(flat): sparse.eye_array(flat.size, format="csr")})
    return made if places is None else made.take(places)


def missing(why: str, size: int) -> Combination:
    """Return a vector that has no form."""
    return Combination(np.zeros(size), {Missing(why, size): sparse.eye_array(size, format="csr")})


def joined(parts: Sequence[Combination]) -> Combination:
    """Return the elements of several combinations, one after the other."""
    ends = np.cumsum([0, *(part.size for part in parts)])
    bases = dict.fromkeys(base for part in parts for base in part.terms)
    terms = {}
    for base in bases:
        width = next(part.terms[base].shape[1] for part in parts if base in part.terms)
        blocks = [part.terms.get(base, sparse.csr_array((part.size, width))) for part in parts]
        terms[base] = sparse.vstack(blocks, format="csr")
    offset = np.concatenate([part.offset for part in parts]) if parts else np.zeros(0)
    assert offset.size == ends[-1]
    return _combined(offset, terms)


def _sum(one: Any, other: Any) -> Any:
    """The sum of two matrices, without what rounding leaves of numbers that cancel."""
    made = sparse.csr_array(one + other)
    sizes = sparse.csr_array(abs(one) + abs(other))
    if made.nnz:
        lost = sparse.csr_array(abs(made) < _ROUNDING * sizes)
        made = made - made.multiply(lost)
    return made


_ROUNDING = 1e-14


def _combined(offset: Numbers, terms: Mapping[Base, Any]) -> Combination:
    kept = {}
    for base, matrix in terms.items():
        own = sparse.csr_array(matrix)
        own.eliminate_zeros()
        if own.nnz:
            own.sort_indices()
            kept[base] = own
    return Combination(offset, kept)


def _bytes(matrix: Any) -> tuple[bytes, ...]:
    return matrix.data.tobytes(), matrix.indices.tobytes(), matrix.indptr.tobytes()
