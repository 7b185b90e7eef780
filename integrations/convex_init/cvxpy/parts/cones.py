"""Functions that cvxpy has no atom for, each as one: what it computes, and the cone that its epigraph is.

All are convex, and non-decreasing (or so from zero on). A convex argument may stand in for an affine one then: cvxpy
puts a bound above it in its place. ELU, for instance, is ``min w + α (eᵛ − 1)`` over v ≤ 0 ≤ w with v + w = s, since
its slope is below that of w for every v < 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.atoms import EXP_ATOMS, SOC_ATOMS
from cvxpy.atoms.elementwise.elementwise import Elementwise
from cvxpy.reductions.dcp2cone.canonicalizers import CANON_METHODS
from cvxpy.reductions.dcp2cone.dcp2cone import Dcp2Cone

from convex_init.cvxpy.parts.combination import Numbers
from convex_init_core.graph.numpy_meaning import NUMPY

Epigraph = Callable[[Any], "tuple[Any, list[Any]]"]


@dataclass(frozen=True)
class Function:
    """A convex function of one number.

    Attributes:
        name: for messages.
        value: of NumPy arrays.
        slope: of it, at NumPy arrays.
        epigraph: from an affine expression to an expression, in new variables, of which the function is the smallest
            value under constraints.
        from_zero: whether it is even, and non-decreasing from zero on only.
        keeps_sign: whether its sign is that of the argument.
        is_exponential: whether its cone is the exponential one; else a second-order cone.
    """

    name: str
    value: Callable[[Numbers], Numbers]
    slope: Callable[[Numbers], Numbers]
    epigraph: Epigraph
    from_zero: bool = False
    keeps_sign: bool = False
    is_exponential: bool = True


class Convex(Elementwise):  # type: ignore[misc]
    """A convex function of each element of an expression."""

    def __init__(self, x: Any, function: Function) -> None:
        self.function = function
        super().__init__(x)

    def get_data(self) -> list[Any]:
        """Return what a copy is made with, beside the argument."""
        return [self.function]

    def name(self) -> str:
        """Return what it prints as."""
        return f"{self.function.name}({self.args[0].name()})"

    @Elementwise.numpy_numeric  # type: ignore[untyped-decorator]
    def numeric(self, values: Any) -> Any:
        """Return the numbers."""
        return self.function.value(np.asarray(values[0], np.float64))

    def sign_from_args(self) -> tuple[bool, bool]:
        """Return whether it is non-negative, and whether it is non-positive."""
        if self.function.keeps_sign:
            return self.args[0].is_nonneg(), self.args[0].is_nonpos()
        return True, False

    def is_atom_convex(self) -> bool:
        """Return whether it is convex."""
        return True

    def is_atom_concave(self) -> bool:
        """Return whether it is concave."""
        return False

    def is_incr(self, idx: int) -> bool:
        """Return whether it is non-decreasing where the argument lives."""
        return not self.function.from_zero or bool(self.args[idx].is_nonneg())

    def is_decr(self, idx: int) -> bool:
        """Return whether it is non-increasing where the argument lives."""
        return self.function.from_zero and bool(self.args[idx].is_nonpos())

    def _grad(self, values: Any) -> list[Any]:
        slope = self.function.slope(np.asarray(values[0], np.float64))
        return [self.elemwise_grad_to_diag(slope, self.args[0].size, self.size)]


def _canonical(expression: Convex, args: list[Any], solver_context: Any = None) -> tuple[Any, list[Any]]:
    """What cvxpy minimises in its place."""
    bound, constraints = expression.function.epigraph(args[0])
    reduction = Dcp2Cone(quad_obj=False, solver_context=solver_context)
    made, more = reduction.canonicalize_tree(bound, False)
    for constraint in constraints:
        own, further = reduction.canonicalize_tree(constraint, False)
        more += [*further, own]
    return made, more


class OfExponentialCone(Convex):
    """One whose epigraph is made of exponential cones."""


class OfSecondOrderCone(Convex):
    """One whose epigraph is made of second-order cones."""


# cvxpy asks its lists which cones the atoms of a problem need, and takes a solver that has them.
CANON_METHODS.update({OfExponentialCone: _canonical, OfSecondOrderCone: _canonical})
EXP_ATOMS.append(OfExponentialCone)
SOC_ATOMS.append(OfSecondOrderCone)


def applied(function: Function, x: Any) -> Convex:
    """Return a function of each element of an expression."""
    return (OfExponentialCone if function.is_exponential else OfSecondOrderCone)(x, function)


def elu(alpha: float, scale: float, input_scale: float) -> Function:
    """``scale · s`` for s > 0, else ``scale · α (exp(input_scale · s) − 1)``."""

    def epigraph(s: Any) -> tuple[Any, list[Any]]:
        below, above = cp.Variable(s.shape), cp.Variable(s.shape)
        bound = scale * (above + alpha * (cp.exp(input_scale * below) - 1.0))
        return bound, [below <= 0.0, above >= 0.0, below + above == s]

    def value(s: Numbers) -> Numbers:
        return NUMPY["elu"](s, alpha=alpha, scale=scale, input_scale=input_scale)

    def slope(s: Numbers) -> Numbers:
        found: Numbers = scale * np.where(s > 0.0, 1.0, alpha * input_scale * np.exp(input_scale * np.minimum(s, 0.0)))
        return found

    return Function("elu", value, slope, epigraph, keeps_sign=True)


def squareplus(b: float) -> Function:
    """``(s + √(s² + b)) / 2``."""

    def epigraph(s: Any) -> tuple[Any, list[Any]]:
        flat = cp.vec(s, order="C")
        sizes = cp.norm(cp.vstack([flat, np.full(flat.shape, np.sqrt(b))]), 2, axis=0)
        return 0.5 * (s + cp.reshape(sizes, s.shape, order="C")), []

    return Function(
        "squareplus",
        lambda s: NUMPY["squareplus"](s, b=b),
        lambda s: 0.5 * (1.0 + s / np.sqrt(s * s + b)),
        epigraph,
        is_exponential=False,
    )


def sparse_plus() -> Function:
    """0 for s ≤ −1, ``(s + 1)² / 4`` up to 1, then s: the least of ``p²/4 + w`` with ``p + w ≥ s + 1``."""

    def epigraph(s: Any) -> tuple[Any, list[Any]]:
        bent, above = cp.Variable(s.shape), cp.Variable(s.shape)
        return 0.25 * cp.square(bent) + above, [bent >= 0.0, above >= 0.0, bent + above >= s + 1.0]

    def slope(s: Numbers) -> Numbers:
        return np.clip(0.5 * (s + 1.0), 0.0, 1.0)

    return Function("sparse_plus", NUMPY["sparse_plus"], slope, epigraph, is_exponential=False)


def cosh() -> Function:
    """``(eˢ + e⁻ˢ) / 2``."""

    def epigraph(s: Any) -> tuple[Any, list[Any]]:
        return 0.5 * (cp.exp(s) + cp.exp(-s)), []

    return Function("cosh", np.cosh, np.sinh, epigraph, from_zero=True)


def log_cosh() -> Function:
    """``log cosh s``."""

    def epigraph(s: Any) -> tuple[Any, list[Any]]:
        return cp.logistic(2.0 * s) - s - np.log(2.0), []

    def value(s: Numbers) -> Numbers:
        found: Numbers = np.logaddexp(s, -s) - np.log(2.0)
        return found

    return Function("log_cosh", value, np.tanh, epigraph, from_zero=True)
