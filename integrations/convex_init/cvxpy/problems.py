"""Minima, conjugates and proximal maps of a trained model, exactly, by a convex solver: for models that are small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from convex_init.cvxpy.arguments import conditions_of, convex_term, numbers_of, positive, reading_of, variable_of
from convex_init.cvxpy.expressions import read

Numbers: TypeAlias = "NDArray[np.float64]"
Constraints: TypeAlias = "Callable[[Any], Sequence[Any]] | Sequence[Any]"
"""Constraints of cvxpy, or a function from the variable to these."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found.

    Attributes:
        value: the least (of a conjugate: the largest) value; infinite where there is none.
        point: where, of the shape of one example; ``None`` unless a solution was found. One of several if the model is
            flat there.
        status: cvxpy's: ``"optimal"``, ``"infeasible"``, ``"unbounded"``, each also with ``"_inaccurate"``.
        duals: a multiplier for each constraint, in their order.
        gradient: of the value with respect to what it was asked for; ``None`` where there is none. Of ``conjugate``
            with respect to y it is the point, and of the Moreau envelope with respect to x ``(x − point) / t``, both by
            the envelope theorem: the first where the point is the only one, the second always.
    """

    value: float
    point: Numbers | None
    status: str
    duals: tuple[Any, ...] = ()
    gradient: Numbers | None = None

    def __bool__(self) -> bool:
        """Whether there is a solution."""
        return self.point is not None


def minimise(
    model: Any,
    constraints: Constraints = (),
    *,
    x: Any = None,
    shape: tuple[int, ...] | None = None,
    plus: Any = None,
    solver: str | None = None,
    **reading: Any,
) -> Solution:
    """Minimise a model over its input, under constraints.

    Args:
        model: as for :func:`expression`, with one output.
        constraints: of cvxpy, on ``x``; or a function from the variable to a list of them.
        x: the variable, or an affine expression of variables, that stands for one example.
        shape: of one example, to make a variable of; ``x`` or ``shape`` is needed.
        plus: a convex expression of cvxpy to be added, or a function from the variable to one.
        solver: of cvxpy, such as ``"CLARABEL"``, which is the default for problems without integer variables.
        **reading: ``example_inputs``, ``convex_inputs``, ``outputs``, ``entry``, as for :func:`expression`.

    Returns:
        a :class:`Solution`, which is true if there is one. Where the model is unbounded below, the value is −∞; where
        the constraints cannot be met, ∞.

    Raises:
        ValueError: if the model is not convex, or has several outputs; if what is added or a constraint is not convex
            by cvxpy's rules; if the solver is not there, or cannot solve such a problem.
        TypeError: if ``constraints``, ``plus``, ``x`` or ``shape`` are not what is said above.

    Example:
        >>> import convex_init, cvxpy as cp, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Softplus())
        >>> energy = torch.nn.Sequential(model, torch.nn.AvgPool1d(4))
        >>> found = convex_init.cvxpy.minimise(energy, lambda x: [x >= 1, x <= 2], shape=(2,))
        >>> bool(found), found.point.shape
        (True, (2,))
    """
    variable = variable_of(x, shape)
    given = conditions_of(constraints, variable)
    made = _scalar(model, variable, reading_of(reading, ("constraints", "x", "shape", "plus", "solver")))
    added = plus(variable) if callable(plus) else plus
    whole = made if added is None else made + convex_term(added)
    return _solved(cp.Minimize(whole), given, variable, solver)


def conjugate(model: Any, y: Any, *, solver: str | None = None, **reading: Any) -> Solution:
    """Return the convex conjugate ``f*(y) = max over x of y·x − f(x)``, and where it is reached.

    The point is the gradient of f* at y: for a Brenier potential f it is the inverse of its transport map ∇f.

    Args:
        model: f, as for :func:`expression`, with one output.
        y: numbers, of the shape of one example.
        solver: of cvxpy.
        **reading: as for :func:`minimise`.

    Returns:
        a :class:`Solution`; its value is ∞ where f does not grow as fast as y·x.

    Example:
        >>> import convex_init, torch
        >>> class Half(torch.nn.Module):
        ...     def forward(self, x):
        ...         return 0.5 * x.square().sum(1)
        >>> found = convex_init.cvxpy.conjugate(Half(), [1.0, 2.0], solver="CLARABEL")
        >>> round(found.value, 4), found.gradient.round(3).tolist()
        (2.5, [1.0, 2.0])
    """
    slope = numbers_of("y", y)
    variable = cp.Variable(slope.shape)
    made = _scalar(model, variable, reading_of(reading, ("y", "solver")), "y")
    found = _solved(cp.Minimize(made - cp.sum(cp.multiply(slope, variable))), [], variable, solver)
    return Solution(-found.value, found.point, found.status, (), found.point)


def proximal(model: Any, x: Any, t: float = 1.0, *, solver: str | None = None, **reading: Any) -> Solution:
    """Return the proximal map ``argmin over u of f(u) + |u − x|²/2t``; the value is the Moreau envelope of f at x.

    There is always one such point, if f has a value anywhere.

    Args:
        model: f, as for :func:`expression`, with one output.
        x: numbers, of the shape of one example.
        t: step, > 0.
        solver: of cvxpy.
        **reading: as for :func:`minimise`.

    Raises:
        ValueError: if t is not positive, or as for :func:`minimise`.

    Example:
        >>> import convex_init, torch
        >>> class Size(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.abs().sum(1)
        >>> (convex_init.cvxpy.proximal(Size(), [3.0, -0.5]).point.round(3) + 0.0).tolist()
        [2.0, 0.0]
    """
    t = positive("t", t)
    centre = numbers_of("x", x)
    variable = cp.Variable(centre.shape)
    made = _scalar(model, variable, reading_of(reading, ("x", "t", "solver")))
    found = _solved(cp.Minimize(made + cp.sum_squares(variable - centre) / (2.0 * t)), [], variable, solver)
    gradient = None if found.point is None else (centre - found.point) / t
    return Solution(found.value, found.point, found.status, (), gradient)


def _scalar(model: Any, variable: Any, reading: dict[str, Any], called: str = "x") -> Any:
    asked = {"example_inputs": None, "convex_inputs": None, "outputs": None, "entry": "forward", **reading}
    made = read(model, variable, called=called, **asked).expression
    if made.size != 1:
        raise ValueError(
            f"the model returns {made.size} numbers for one example; only one can be minimised: build the problem from "
            "expression(...), or reduce them in the model"
        )
    return made


def _solved(objective: Any, constraints: list[Any], variable: Any, solver: str | None) -> Solution:
    problem = cp.Problem(objective, constraints)
    # One for all of the cones, exact and silent; cvxpy itself would take another one for quadratic programs.
    chosen = solver or (None if problem.is_mixed_integer() else cp.CLARABEL)
    try:
        value = problem.solve(solver=chosen)
    except cp.error.SolverError as error:
        raise ValueError(
            f"solver={solver!r}: {error}; installed are {', '.join(cp.installed_solvers())}; by default one is "
            "chosen that fits"
        ) from None
    if problem.status.startswith(("infeasible", "unbounded")):
        return Solution(np.inf if problem.status.startswith("infeasible") else -np.inf, None, problem.status)
    if problem.status.startswith("optimal"):
        for free in variable.variables():  # in neither the objective nor a constraint: any number is as good
            if free.value is None:
                free.value = np.zeros(free.shape)
    duals = tuple(constraint.dual_value for constraint in constraints)
    point = None if variable.value is None else np.asarray(variable.value, np.float64)
    return Solution(float(value), point, problem.status, duals)
