"""Sums of products of affine vectors as quadratic forms: positive semi-definite ones are sums of squares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from scipy import sparse

from convex_init.cvxpy.parts.combination import Base, Combination, Numbers, Plain, Product

_ROUNDING = 1e-7
"""Of a matrix, relative to its largest eigenvalue: models compute in float32."""


class IndefiniteError(ValueError):
    """A quadratic form is neither convex nor concave."""


@dataclass(frozen=True, eq=False)
class Form:
    """``zᵀ M z`` for ``z = (v, 1)``, with M symmetric.

    Attributes:
        matrix: M, of the elements of v that it depends on and of the 1.
        vector: v, an expression of cvxpy.
    """

    matrix: Numbers
    vector: Any

    def expression(self) -> Any:
        """Return it as a sum of squares, its negative, and an affine rest.

        Raises:
            IndefiniteError: if it is neither convex nor concave.
        """
        inner, slope, number = self.matrix[:-1, :-1], 2.0 * self.matrix[:-1, -1], self.matrix[-1, -1]
        root, sign = _root(inner)
        rest = slope @ self.vector + number
        if root.shape[0] == 0:
            return rest
        squares = cp.sum_squares(root @ self.vector)
        return (squares if sign > 0 else -squares) + rest

    def root(self) -> Any:
        """Return its square root, a norm.

        Raises:
            IndefiniteError: if it is not non-negative for all v.
        """
        root, sign = _root(self.matrix)
        if sign < 0:
            raise IndefiniteError("the form under the root is not known to be non-negative")
        if root.shape[0] == 0:
            return cp.Constant(0.0)
        return cp.norm(root[:, :-1] @ self.vector + root[:, -1], 2)


def forms_of(value: Combination) -> list[Form]:
    """Return each element of a combination of products and affine vectors as a form.

    Raises:
        IndefiniteError: if another vector is in it.
    """
    products = {base: matrix for base, matrix in value.terms.items() if isinstance(base, Product)}
    plain: dict[Base, Any] = {base: own for base, own in value.terms.items() if not isinstance(base, Product)}
    pairs = [(base.first, base.second) for base in products]
    inside: list[Mapping[Base, Any]] = [plain, *(part.terms for pair in pairs for part in pair)]
    bases = list(dict.fromkeys(base for terms in inside for base in terms))
    vectors = [base for base in bases if isinstance(base, Plain) and base.is_affine]
    if len(vectors) < len(bases):
        raise IndefiniteError("it is a product of values that are not affine")
    whole = cp.hstack([base.expression for base in vectors]) if vectors else None
    width = sum(base.expression.size for base in vectors)
    affine = _extended(Combination(value.offset, plain), vectors, width)
    extended = [tuple(_extended(part, vectors, width) for part in pair) for pair in pairs]
    known: dict[bytes, Form] = {}
    found = []
    for row in range(value.size):
        matrix = sparse.csr_array((width + 1, width + 1))
        for (first, second), weights in zip(extended, products.values(), strict=True):
            own = weights[[row]].tocoo()
            places = own.coords[1]
            if places.size:
                matrix = matrix + first[places].T @ sparse.diags_array(own.data) @ second[places]
        last = sparse.coo_array(affine[[row]])
        matrix = matrix + sparse.coo_array(
            (last.data, (np.full(last.data.size, width), last.coords[1])), shape=matrix.shape
        )
        matrix = (0.5 * (matrix + matrix.T)).tocoo()
        used = np.unique(np.concatenate([*matrix.coords, [width]]))
        dense = matrix.tocsr()[used][:, used].toarray()
        key = used.tobytes() + dense.tobytes()
        if key not in known:
            known[key] = Form(dense, whole[used[:-1]] if whole is not None and used.size > 1 else np.zeros(0))
        found.append(known[key])
    return found


def _extended(value: Combination, vectors: list[Plain], width: int) -> Any:
    """A matrix on all vectors and a 1."""
    blocks = [value.terms.get(base, sparse.csr_array((value.size, base.expression.size))) for base in vectors]
    return sparse.hstack([*blocks, sparse.csr_array(value.offset[:, None])], format="csr")


def _root(matrix: Numbers) -> tuple[Numbers, int]:
    """A root R of a matrix that is semi-definite, RᵀR = ± matrix, and the sign."""
    if matrix.size == 0:
        return np.zeros((0, 0)), 1
    found, vectors = np.linalg.eigh(matrix)
    size = float(np.abs(found).max())
    for sign in (1, -1):
        if (sign * found >= -_ROUNDING * size).all():
            kept = sign * found > 1e-14 * size
            root: Numbers = np.sqrt(sign * found[kept])[:, None] * vectors[:, kept].T
            return root, sign
    raise IndefiniteError(f"a quadratic form has eigenvalues from {found[0]:.3g} to {found[-1]:.3g}")
